"""The engine beside its peers: speed, memory and loss of the same training."""
