"""Writing so that a kill at any moment leaves either the old file or the new one, never half of one."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tunewright.schema.errors import RunFailed, UsageError

LOOKED_AT_BYTES = 1 << 20
"""Of a file, when it is looked for a mark of ours: more than any page has before its mark."""


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file whole: to a temporary name beside it, synced, then renamed over ``path``."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.tmp")
    with storage_errors(path):
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def new_file(name: str | Path, option: str) -> Path:
    """The file a user names for something to be written to. Raises UsageError when it is there already.

    ``option`` is the flag it was named with, for the hint.
    """
    if Path(name).exists():
        raise UsageError(f"{name}: exists already, nothing was written", hint=f"give {option} another file name")
    return Path(name)


def own_or_new_file(name: str | Path, option: str, mark: str) -> Path:
    """Like :func:`new_file`, but a file that Tunewright wrote may be there: it is one that holds ``mark``."""
    path = Path(name)
    if not path.is_file():
        return new_file(name, option)
    with storage_errors(path), open(path, "rb") as file:
        ours = mark.encode() in file.read(LOOKED_AT_BYTES)
    return path if ours else new_file(name, option)


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder whole: ``fill`` writes into a temporary one beside it, which then takes its place.

    An older folder of that name is replaced; between the two renames a reader may see none, never half of one.
    """
    temporary, old = (path.with_name(f".{path.name}.{end}") for end in ("tmp", "old"))
    with storage_errors(path):
        for stale in (temporary, old):
            shutil.rmtree(stale, ignore_errors=True)
        try:
            temporary.mkdir(parents=True)
            fill(temporary)
            _sync_tree(temporary)
            if path.exists():
                os.replace(path, old)
            os.replace(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def _sync_tree(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            with open(file, "rb") as opened:
                os.fsync(opened.fileno())


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the file system's refusals into one line: disk full is a failed run, no permission a wrong place."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunFailed(
                f"{path}: the disk is full; everything written before is intact",
                hint="free some space, then: tunewright train --resume RUN",
                code="disk_full",
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UsageError(f"{path}: no permission to write there", hint="choose another place") from None
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EISDIR):
            raise UsageError(f"{path}: cannot be made: {error.strerror}", hint="choose another place") from None
        raise
