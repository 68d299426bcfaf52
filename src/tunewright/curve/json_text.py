"""JSON as trainers write it: bare ``NaN`` and ``Infinity`` tokens, half-written last lines, byte-order marks.

Python's own writer puts ``NaN`` into JSON although it is not JSON; strict readers then refuse exactly the logs
of the runs that went wrong. Everything here turns a damaged file into a DataError of one line.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from tunewright.schema.errors import DataError

MOST_BYTES = 512 * 2**20
"""Logs are a few MB; a file beyond this is something else, and would be read into memory."""

MOST_STREAMED_BYTES = 8 * 2**30
MOST_LINE_BYTES = 64 * 2**20
BLOCK_BYTES = 2**18
"""Rows of one block stay in the processor's cache while they are taken apart."""

MOST_BROKEN_SHARE = 0.02
"""Broken lines a log may have (a kill leaves half a line, two writers a mangled one) before it is refused."""


def open_size(path: Path, most: int = MOST_BYTES) -> int:
    """The size of a regular file. Raises DataError when it is none (a pipe would block) or too large."""
    try:
        if not path.exists():
            raise DataError(f"{path}: no such file")
        if not path.is_file():
            raise DataError(f"{path}: not a file")
        size = path.stat().st_size
    except DataError:
        raise
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    if size > most:
        raise DataError(f"{path}: larger than {most // 2**20} MiB, which no training log is")
    return size


def unreadable(path: Path, error: OSError | ValueError) -> DataError:
    """The system's refusal in one line."""
    return DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}")


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises DataError."""
    open_size(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None


def read_text(path: Path) -> str:
    """The whole file as text: UTF-8 with or without a byte-order mark, or UTF-16 with one (PowerShell's ``>``).

    Raises DataError.
    """
    content = read_bytes(path)
    coding = "utf-16" if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    try:
        return content.decode(coding).lstrip("\ufeff")  # a second mark is left by some converters
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not text (byte {error.start} is not {coding.upper()[:6].strip('-')})") from None


def parse(text: str | bytes) -> Any:
    """One JSON value; bare NaN and Infinity are accepted. Raises ValueError.

    >>> parse('{"loss": NaN}')
    {'loss': nan}
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
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


def read_rows(path: Path) -> Iterator[list[dict[str, Any]]]:
    """The JSON objects of a JSONL file, in order, a block at a time: bounded memory, a million lines a second.

    A last line that was cut off and a few broken ones are left out; more raise DataError naming the first (after
    the good ones were given).
    """
    good, broken, first, before = 0, 0, 0, 0
    for lines in _blocks(path):
        try:
            values: list[Any] = [orjson.loads(line) for line in lines]
        except orjson.JSONDecodeError:
            values = [_one(line) for line in lines]
        rows = [value for value in values if type(value) is dict]
        if len(rows) < len(values):
            bad = [at for at, value in enumerate(values, start=1) if type(value) is not dict and value is not _BLANK]
            first = first or (before + bad[0] if bad else 0)
            broken += len(bad)
        good += len(rows)
        before += len(lines)
        yield rows
    if broken > max(1, MOST_BROKEN_SHARE * good) or (broken and not good):
        raise DataError(f"{path}, line {first}: not a JSON object ({broken} such lines)")


_BLANK = object()


def _one(line: bytes) -> Any:
    """The value of one line, None for a broken one."""
    if not line.strip(b" \t\r\n\xef\xbb\xbf"):
        return _BLANK
    try:
        return parse(line.removeprefix(codecs.BOM_UTF8))
    except ValueError:
        return None


def _blocks(path: Path) -> Iterator[list[bytes]]:
    """The file's lines, many at once; a line beyond MOST_LINE_BYTES loses its start (and is then no JSON)."""
    open_size(path, MOST_STREAMED_BYTES)
    rest = b""
    try:
        with open(path, "rb") as file:
            while block := file.read(BLOCK_BYTES):
                lines = (rest + block).split(b"\n")
                rest = lines.pop()[-MOST_LINE_BYTES:]
                yield lines
    except OSError as error:
        raise unreadable(path, error) from None
    if rest.strip():
        yield [rest]
