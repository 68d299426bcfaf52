"""The makers of the fixtures run in other tools' environments and are no tests."""

collect_ignore = ["writers", "make_fixtures.py"]
