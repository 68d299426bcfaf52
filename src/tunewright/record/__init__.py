"""Run folders: how they are written, read and found."""
