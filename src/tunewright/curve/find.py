"""Where logs are below a folder, without reading them whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tunewright.curve.readers import OF_FILES, OF_FOLDERS, Reader, reader

MOST_FOLDERS = 20_000
MOST_FILES = 200_000
"""What is looked at before a search gives up: a typed "/" must not walk the whole disk."""

NEVER_ENTERED = {"node_modules", "__pycache__", "site-packages", "best", "blend"}

# A file of these endings can be a log on its own; a folder's readers have their own marks.
_ENDINGS = {
    ".jsonl": ("jsonl",),
    ".ndjson": ("jsonl",),
    ".csv": ("table",),
    ".tsv": ("table",),
    ".db": ("studio_db",),
    ".sqlite": ("studio_db",),
    ".sqlite3": ("studio_db",),
    ".log": ("pasted", "printed", "lines"),
    ".txt": ("pasted", "printed", "lines"),
    ".out": ("pasted", "printed", "lines"),
    ".err": ("printed", "lines"),
}


class Found:
    """One place with a log: ``owner`` is the folder whose run it belongs to."""

    def __init__(self, owner: Path, path: Path, reader: Reader) -> None:
        self.owner, self.path, self.reader = owner, path, reader


def logs_below(root: Path, problems: list[str]) -> Iterator[Found]:
    """Every log below ``root``, sorted by path; what could not be looked at goes to ``problems``.

    Our own run is one log whatever lies in it. Checkpoints of a run are never logs of their own. Links are not
    followed, hidden folders not entered.
    """
    looked_at = 0
    for count, (place, folders, files) in enumerate(os.walk(root, onerror=lambda e: problems.append(str(e)))):
        looked_at += len(files)
        if count >= MOST_FOLDERS or looked_at > MOST_FILES:
            problems.append(f"{root}: too large to search, stopped at {place}; name the run's own folder")
            return
        folder = Path(place)
        folders[:] = sorted(name for name in folders if _entered(name))
        names = [name for name in OF_FOLDERS if _knows(reader(name), folder, problems)]
        if "tunewright_run" in names:
            folders.clear()
            names = ["tunewright_run"]
        yield from (Found(folder, folder, reader(name)) for name in names)
        if "tunewright_run" not in names:
            yield from _files(folder, files, problems)


def _entered(name: str) -> bool:
    return name not in NEVER_ENTERED and not name.startswith((".", "checkpoint-"))


def _knows(one: Reader, path: Path, problems: list[str]) -> bool:
    try:
        return one.matches(path)
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
        return False


def _files(folder: Path, names: list[str], problems: list[str]) -> Iterator[Found]:
    for name in sorted(names):
        if name in ("trainer_log.jsonl", "logging.jsonl"):
            continue  # the folder's readers have them
        path = folder / name
        known = map(reader, _ENDINGS.get(path.suffix.lower(), ()))
        first = next((found for found in known if _knows(found, path, problems)), None)
        if first is not None:
            yield Found(folder, path, first)


def reader_of(path: Path) -> Reader | None:
    """The reader that knows this file or folder, or None."""
    names = OF_FOLDERS if path.is_dir() else ("tunewright_run", "trainer_state", *OF_FILES)
    return next((found for found in map(reader, names) if found.matches(path)), None)
