"""Examining a model: the suite of questions, asking them, scoring the answers, and what the scores mean."""
