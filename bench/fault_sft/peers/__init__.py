"""The other readers of training logs, each fed with what it can read."""
