"""One use case per verb: the Python API behind the command line."""
