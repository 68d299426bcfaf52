"""Axolotl: one YAML file."""
