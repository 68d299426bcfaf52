"""One module per contestant; each is a process of its own, in the environment of what it drives."""
