"""Where the runs are below a folder: one walk that looks at names only, and never into checkpoints."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

METRICS_FILE = "metrics.jsonl"
"""A run's log: one JSON event a line."""
MARKS = ("run.json", "recipe.yaml", METRICS_FILE)
"""A folder with any of these files is a run's."""
SERIES_MARK = "tuning.json"
"""A folder with this file is a tuning's or a sweep's: its runs are below it."""
_INSIDE = frozenset({"checkpoints", "best", "blend"})
"""Folders of a run that hold many files and no runs."""
_EXPORT_MARKS = frozenset({"train.py", "train.yaml"})
"""A folder that ``export`` wrote has a recipe too, and is no run."""


@dataclass(frozen=True)
class Found:
    """runs: folders of runs; series: folders of tunings and sweeps; closed: folders that may not be read, and why.

    Each is sorted by path.
    """

    runs: tuple[Path, ...]
    series: tuple[Path, ...]
    closed: tuple[tuple[Path, str], ...]


def find(top: Path) -> Found:
    """Every run below ``top``, itself included. Links are not followed; a folder that is not there holds nothing.

    >>> find(Path("/nonexistent")).runs
    ()
    """
    runs: list[Path] = []
    series: list[Path] = []
    closed: list[tuple[Path, str]] = []
    for folder, names in _walk(top.absolute(), closed):
        if SERIES_MARK in names:
            series.append(folder)
        elif "run.json" in names or (names.intersection(MARKS) and not names & _EXPORT_MARKS):
            runs.append(folder)
    return Found(tuple(sorted(runs)), tuple(sorted(series)), tuple(sorted(closed)))


def _walk(top: Path, closed: list[tuple[Path, str]]) -> Iterator[tuple[Path, set[str]]]:
    """Every folder with the names of its files."""
    waiting = [str(top)]
    while waiting:
        folder = waiting.pop()
        names: set[str] = set()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        names.add(entry.name)
                    elif not entry.name.startswith(".") and entry.name not in _INSIDE:
                        waiting.append(entry.path)
        except FileNotFoundError:  # it went away since its name was read
            continue
        except OSError as error:
            closed.append((Path(folder), error.strerror or "cannot be read"))
            continue
        yield Path(folder), names
