"""A tool that recipes are exported to and imported from, as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tunewright.schema.recipe import Recipe
from tunewright.trainers.exported import Files, Job
from tunewright.trainers.translation import Keys, Lost, Translation, Values


@dataclass(frozen=True)
class Tool:
    """name: on our command line; title: as its makers write it; version: that keys and defaults were read from;
    file: the name of its exported file; table: the translation; defaults: what it does by itself; removed: keys it
    once had, and what replaces each; lost: what of a recipe it cannot be told; files: the export of a job, with what
    had to change; rows: where its rows are, as recipe keys, of its keys and the config file's folder; today: its
    settings with older spellings that it still takes renamed."""

    name: str
    title: str
    version: str
    file: str
    table: tuple[Translation, ...]
    defaults: Values
    removed: Mapping[str, str]
    lost: Callable[[Recipe], tuple[Lost, ...]]
    files: Callable[[Job, tuple[Lost, ...]], tuple[Files, tuple[Lost, ...]]]
    rows: Callable[[Keys, Path], Values]
    keys_file: Path
    today: Callable[[Keys], Values] = dict

    @cached_property
    def known(self) -> frozenset[str]:
        """Every key that this version of the tool accepts."""
        lines = self.keys_file.read_text(encoding="utf-8").splitlines()
        return frozenset(word for line in lines if not line.startswith("#") for word in line.split())

    @property
    def translated(self) -> frozenset[str]:
        """Its keys that a recipe has a word for, and the fixed ones."""
        return frozenset(key for entry in self.table for key in entry.theirs)


def beside(folder: Path, name: str) -> str:
    """A file name of a config: beside the config when it is there, else as it was written.

    >>> beside(Path("/nowhere"), "rows.jsonl")
    'rows.jsonl'
    """
    return str(folder / name) if (folder / name).exists() else name


def source(folder: Path, name: str) -> str:
    """A data source of a config as a recipe names it: a file or a folder that is there, else a data set on the Hub."""
    here = beside(folder, name)
    looks_local = Path(here).exists() or Path(name).suffix or name.startswith((".", "/", "~"))
    return here if looks_local else f"hub:{name}"
