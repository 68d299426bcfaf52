"""Benchmarks: commands that anyone can run, each with its own README."""
