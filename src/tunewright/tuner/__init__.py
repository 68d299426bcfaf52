"""A series of runs toward the sweet spot: what to run next, when to stop, which run to keep."""
