"""Text that a terminal was shown, captured in a file: what its readers share."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from tunewright.schema.curve import Curve

SUFFIXES = (".log", ".txt", ".out", ".err")
LOOKED_AT = 2**18
"""Bytes at an end of a file that are looked at to tell a log from other text."""

BAR = re.compile(r"(?<![\w/.])(\d{1,12})/(\d{1,12}) \[")
"""A progress bar: its step and how many there will be."""

MOST_OF_AN_ERROR = 200
"""Letters of an error that are kept."""

_TRACEBACK = "Traceback (most recent call last)"
_ERROR = re.compile(r"(?m)^(?:\[[^\]\n]{1,20}\]:\s*)?((?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b[^\n]*)")
_LOSS_AGAIN = re.compile(r"""['" ]loss['"]?\s?[:=]\s?['"]?\d""")

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def head_of(path: Path) -> str:
    """The first part of a file as text, whatever its bytes are."""
    with open(path, "rb") as file:
        return file.read(LOOKED_AT).replace(b"\x00", b"").decode("utf-8", "replace")


def failure_in(text: str) -> str:
    r"""The error that ends the last traceback in the text, when no loss is printed after it; "" for none.

    >>> failure_in("{'loss': 1.2}\nTraceback (most recent call last):\n  File x\nValueError: no room\n")
    'ValueError: no room'
    """
    _, mark, rest = without_colours(text).rpartition(_TRACEBACK)
    named = _ERROR.search(rest) if mark and not _LOSS_AGAIN.search(rest) else None
    return named[1].strip()[:MOST_OF_AN_ERROR] if named else ""


def with_failure(curve: Curve, text: str) -> Curve:
    """The curve of captured output with the error that it ends in."""
    failure = failure_in(text)
    note = f"the output ends in an error: {failure}"
    return replace(curve, failure=failure, notes=(*curve.notes, note)) if failure else curve


def without_colours(text: str) -> str:
    r"""The text without the codes that colour it and move the cursor.

    >>> without_colours("\x1b[31mloss\x1b[0m 1.2")
    'loss 1.2'
    """
    return _COLOUR.sub("", text)
