"""LLaMA-Factory: one YAML file, and a second one that names the data."""
