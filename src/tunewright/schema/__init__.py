"""The shared words as frozen types. Nothing here reads a file, a clock or a model."""
