"""``python -m tunewright``: the same as the ``tunewright`` command."""

from tunewright.cli.main import main

main()
