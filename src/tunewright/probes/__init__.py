"""Probes: one cheap question each about data or model."""
