"""One reader per log format: ``matches(path) -> bool`` looks at name and first bytes, ``read(path) -> Curve``.

Order matters: the most specific first. Modules are imported when asked for, so that a rarely met format costs
nothing at start.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast

from tunewright.schema.curve import Curve

NAMES = ("tunewright_run", "trainer_state", "trainer_log", "jsonl", "table")


class Reader(Protocol):
    """What every module here offers."""

    def matches(self, path: Path) -> bool: ...

    def read(self, path: Path) -> Curve: ...


def reader(name: str) -> Reader:
    """The reader of that name, one of NAMES."""
    return cast(Reader, importlib.import_module(f"{__name__}.{name}"))


def reader_for(path: Path) -> Reader | None:
    """The first reader that knows ``path``, or None."""
    return next((found for found in _all() if found.matches(path)), None)


def _all() -> Iterator[Reader]:
    return (reader(name) for name in NAMES)
