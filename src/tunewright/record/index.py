"""What was read from run folders, remembered: a small SQLite file that may be deleted at any time.

The folders are the truth. An entry counts only while every file it was made from has the inode, size and time of
change it had then, so a stale, damaged, missing or unwritable index costs time and nothing else.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from tunewright.schema import jsonio

INDEX_FILE = ".tunewright-index.sqlite"
YOUNG_S = 2.0
"""Files changed less than this ago are not remembered: they may change again within one tick of the clock."""
WAIT_S = 0.5
"""How long one reader waits for another's write before it goes on without."""
_TABLE = "CREATE TABLE IF NOT EXISTS entries (folder TEXT PRIMARY KEY, stamp TEXT NOT NULL, summary BLOB NOT NULL)"
_BROKEN = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_SCHEMA})

Summary = dict[str, Any]


def remembered(
    top: Path,
    folders: Sequence[Path],
    files: Iterable[str],
    read: Callable[[Path], Summary],
    *,
    version: str,
) -> list[Summary]:
    """``read(folder)`` of every folder, taken from the index of ``top`` where nothing has changed.

    files   : names of the files that ``read`` looks at
    version : of what ``read`` gives; entries of another one are read again

    Several processes may do this at once. Never raises for the index's sake.
    """
    path = top / INDEX_FILE
    watched = tuple(files)
    stamps = [_stamp(folder, watched, version) for folder in folders]
    names = [name_below(folder, top) for folder in folders]
    known = _load(path)
    answers: list[Summary] = []
    fresh: dict[str, tuple[str, Summary]] = {}
    for folder, name, (stamp, young) in zip(folders, names, stamps, strict=True):
        entry = known.get(name)
        if entry is not None and entry[0] == stamp:
            answers.append(orjson.loads(entry[1]))
            continue
        summary = jsonio.plain(read(folder))
        answers.append(summary)
        if not young:
            fresh[name] = (stamp, summary)
    gone = known.keys() - set(names)
    if fresh or gone:
        _save(path, fresh, gone)
    return answers


def name_below(folder: Path, top: Path) -> str:
    """A folder's name below ``top``, "." for itself; by text alone, because there may be thousands.

    >>> name_below(Path("/runs/tune-1/run-2"), Path("/runs"))
    'tune-1/run-2'
    """
    return str(folder).removeprefix(str(top)).lstrip("/\\").replace(os.sep, "/") or "."


def _stamp(folder: Path, names: tuple[str, ...], version: str) -> tuple[str, bool]:
    """What tells whether one of the files has changed, and whether that was only a moment ago."""
    parts = [version]
    newest_ns = 0
    for name in names:
        try:
            found = os.stat(f"{folder}/{name}")
        except OSError:
            parts.append("-")
            continue
        parts.append(f"{found.st_ino}.{found.st_size}.{found.st_mtime_ns}")
        newest_ns = max(newest_ns, found.st_mtime_ns)
    return " ".join(parts), newest_ns / 1e9 > time.time() - YOUNG_S


def _load(path: Path) -> dict[str, tuple[str, bytes]]:
    """Every entry; none when the index is missing, damaged or busy."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=WAIT_S)) as index:
            rows = index.execute("SELECT folder, stamp, summary FROM entries").fetchall()
    except sqlite3.Error:
        return {}
    return {folder: (stamp, summary) for folder, stamp, summary in rows if isinstance(summary, bytes)}


def _save(path: Path, fresh: Mapping[str, tuple[str, Summary]], gone: Iterable[str]) -> None:
    """Write what is new and forget what is gone, in one transaction; a broken index is made anew once."""
    for last_try in (False, True):
        try:
            with closing(sqlite3.connect(path, timeout=WAIT_S)) as index, index:
                index.execute(_TABLE)
                index.executemany("DELETE FROM entries WHERE folder = ?", [(name,) for name in gone])
                index.executemany(
                    "INSERT OR REPLACE INTO entries VALUES (?, ?, ?)",
                    [(name, stamp, orjson.dumps(summary)) for name, (stamp, summary) in fresh.items()],
                )
            return
        except sqlite3.Error as error:
            if last_try or getattr(error, "sqlite_errorcode", 0) & 0xFF not in _BROKEN or not _removed(path):
                return


def _removed(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True
