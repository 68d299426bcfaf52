"""Names in addresses as folders, confined to the runs folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from tunewright.schema.errors import UsageError

LONGEST_NAME = 400


def folder_at(root: Path, name: str) -> Path:
    """The folder below ``root`` that ``name`` (``tune-1/run-2``) means; it exists.

    Raises UsageError for a name that is absolute, climbs, leaves ``root`` by a link, or means no folder. The text
    never says whether something exists outside.

    >>> folder_at(Path("/tmp"), "../etc")
    Traceback (most recent call last):
    ...
    tunewright.schema.errors.UsageError: no run of that name here
    """
    parts = PurePosixPath(name).parts
    odd = not parts or len(name) > LONGEST_NAME or "\x00" in name or "\\" in name or name.startswith("/")
    if odd or any(part in (".", "..") for part in name.split("/")):
        raise no_such_run()
    top = root.resolve()
    try:
        found = top.joinpath(*parts).resolve()
        if found.is_relative_to(top) and found.is_dir():
            return found
    except (OSError, RuntimeError):  # a loop of links, a name the system refuses
        pass
    raise no_such_run()


def no_such_run() -> UsageError:
    return UsageError("no run of that name here", hint="tunewright runs ls", code="no_such_run")
