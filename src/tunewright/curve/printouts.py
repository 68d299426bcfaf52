"""Text that a terminal was shown, captured in a file: what its readers share."""

from __future__ import annotations

import re
from pathlib import Path

SUFFIXES = (".log", ".txt", ".out", ".err")
LOOKED_AT = 2**18
"""Bytes at an end of a file that are looked at to tell a log from other text."""

BAR = re.compile(r"(?<![\w/.])(\d{1,12})/(\d{1,12}) \[")
"""A progress bar: its step and how many there will be."""

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def head_of(path: Path) -> str:
    """The first part of a file as text, whatever its bytes are."""
    with open(path, "rb") as file:
        return file.read(LOOKED_AT).replace(b"\x00", b"").decode("utf-8", "replace")


def without_colours(text: str) -> str:
    r"""The text without the codes that colour it and move the cursor.

    >>> without_colours("\x1b[31mloss\x1b[0m 1.2")
    'loss 1.2'
    """
    return _COLOUR.sub("", text)
