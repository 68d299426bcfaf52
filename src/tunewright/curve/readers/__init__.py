"""One reader per log format: ``matches(path) -> bool`` looks at name and first bytes, ``read(path) -> [Curve, ...]``.

Order matters: the most specific first. Modules are imported when asked for, so that a rarely met format costs
nothing at start.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast

from tunewright.schema.curve import Curve

OF_FOLDERS = ("tunewright_run", "trainer_state", "trainer_log", "swift_log", "tensorboard", "wandb_run")
"""Readers that know a folder as one run, the one that says most first: a finished Trainer's state has everything."""

OF_FILES = (
    *("trainer_log", "swift_log", "jsonl", "json_history", "table", "studio_db", "wandb_run", "tensorboard"),
    *("pasted", "printed", "lines"),
)


class Reader(Protocol):
    """What every module here offers. ``columns``: the user's word on which column is what (metric -> column)."""

    def matches(self, path: Path) -> bool: ...

    def read(self, path: Path, columns: Mapping[str, str] | None = None) -> list[Curve]: ...


def reader(name: str) -> Reader:
    """The reader of that name, one of OF_FOLDERS or OF_FILES."""
    return cast(Reader, importlib.import_module(f"{__name__}.{name}"))
