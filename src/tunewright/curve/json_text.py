"""JSON as trainers write it: bare ``NaN`` and ``Infinity`` tokens, half-written last lines, byte-order marks.

Python's own writer puts ``NaN`` into JSON although it is not JSON; strict readers then refuse exactly the logs
of the runs that went wrong. Everything here turns a damaged file into a DataError of one line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from tunewright.schema.errors import DataError

MOST_BYTES = 512 * 2**20
"""Logs are a few MB; a file beyond this is something else, and would be read into memory."""

MOST_BROKEN_SHARE = 0.02
"""Broken lines a log may have (a kill leaves half a line, two writers a mangled one) before it is refused."""


def read_text(path: Path) -> str:
    """The whole file as text (UTF-8, with or without a byte-order mark). Raises DataError."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{path}: larger than {MOST_BYTES // 2**20} MiB, which no training log is")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not text (byte {error.start} is not UTF-8)") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def parse(text: str) -> Any:
    """One JSON value; bare NaN and Infinity are accepted. Raises ValueError.

    >>> parse('{"loss": NaN}')
    {'loss': nan}
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if "NaN" not in text and "Infinity" not in text:
            raise
    import json  # only for the logs that need it: the standard reader takes the bare tokens

    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``. Raises DataError when it is empty, cut off, or no object."""
    text = read_text(path)
    if not text.strip():
        raise DataError(f"{path}: empty, expected a JSON object")
    try:
        value = parse(text)
    except ValueError as error:
        raise DataError(f"{path}: not complete JSON ({error})", hint="was the run killed while writing it?") from None
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def read_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The JSON objects of a JSONL file with their 1-based line numbers.

    A last line that was cut off and a few broken ones are left out; more raise DataError naming the first.
    """
    good: list[tuple[int, dict[str, Any]]] = []
    broken: list[int] = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = parse(line)
        except ValueError:
            value = None
        if isinstance(value, dict):
            good.append((number, value))
        else:
            broken.append(number)
    if len(broken) > max(1, MOST_BROKEN_SHARE * len(good)) or (broken and not good):
        raise DataError(f"{path}, line {broken[0]}: not a JSON object ({len(broken)} such lines)")
    return good
