"""Any path as curves: one log, a run's folder, or a tree of runs."""

from __future__ import annotations

import os
from pathlib import Path

from tunewright.curve.readers import Reader, reader, reader_for
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError

MOST_FOLDERS = 20_000
"""Folders looked into before a search gives up: a typed "/" must not walk the whole disk."""

# A folder is one run for these; the first that knows it reads it. The state of a finished run says most, the
# LLaMA-Factory log outlives a kill, a checkpoint's state is a prefix.
_FOLDER_READERS = ("tunewright_run", "trainer_state", "trainer_log")
_FILE_READERS = ("jsonl", "table")
_NEVER_ENTERED = {"node_modules", "__pycache__", "site-packages", "best"}
_EXPECTED = "a run folder, trainer_state.json, trainer_log.jsonl, a CSV or a JSONL log"


def read_curves(path: Path) -> list[Curve]:
    """Every curve at ``path``: a file gives one, a folder is searched (sorted by path).

    Damaged logs in a folder are passed over while another can be read; :func:`search` names them.
    Raises DataError when there is nothing to read.
    """
    curves, problems = search(path)
    if not curves:
        raise problems[0]
    return curves


def search(path: Path) -> tuple[list[Curve], list[DataError]]:
    """The curves at ``path`` and what could not be read; at least one of the two lists has an entry."""
    if not path.exists():
        return [], [DataError(f"{path}: no such file or folder", hint=f"expected {_EXPECTED}")]
    logs = _logs_below(path) if path.is_dir() else [(path, reader_for(path))]
    curves: list[Curve] = []
    problems: list[DataError] = []
    for place, found in logs:
        try:
            curves.append(_read(place, found))
        except DataError as error:
            problems.append(error)
    if not curves and not problems:
        problems.append(DataError(f"{path}: no training log in it", hint=f"expected {_EXPECTED}"))
    return curves, problems


def _read(path: Path, found: Reader | None) -> Curve:
    if found is not None:
        return found.read(path)
    by_suffix = {".jsonl": "jsonl", ".csv": "table", ".json": "trainer_state"}.get(path.suffix.lower())
    if by_suffix is None:
        raise DataError(f"{path}: not a training log", hint=f"expected {_EXPECTED}")
    return reader(by_suffix).read(path)  # says what is missing in it


def _logs_below(root: Path) -> list[tuple[Path, Reader | None]]:
    logs: list[tuple[Path, Reader | None]] = []
    for count, (place, folders, files) in enumerate(os.walk(root)):
        if count >= MOST_FOLDERS:
            break
        folder = Path(place)
        folders[:] = sorted(name for name in folders if name not in _NEVER_ENTERED and not name.startswith("."))
        owner = _folder_reader(folder)
        if owner is not None:
            logs.append((folder, owner))
            folders.clear()  # checkpoints inside belong to this run
        else:
            logs.extend(_log_files(folder, files))
    return logs


def _folder_reader(folder: Path) -> Reader | None:
    known = [reader(name) for name in _FOLDER_READERS]
    if (folder / "trainer_log.jsonl").is_file() and not (folder / "trainer_state.json").is_file():
        known.insert(0, known.pop())  # killed before the end: the log goes further than the last checkpoint
    return next((found for found in known if found.matches(folder)), None)


def _log_files(folder: Path, names: list[str]) -> list[tuple[Path, Reader | None]]:
    paths = [folder / name for name in sorted(names)]
    found = [(path, next((r for r in map(reader, _FILE_READERS) if r.matches(path)), None)) for path in paths]
    return [(path, one) for path, one in found if one is not None]
