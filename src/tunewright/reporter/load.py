"""Files of a run as plain dicts, texts and numbers, forgiving: what is damaged is said and left out, never fatal.

A report is often made of a run that was killed, or of a folder that was copied by hand; refusing to show the
rest because one file is cut off would help nobody.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import orjson

from tunewright.schema import jsonio

T = TypeVar("T", bound=str)


class Problems:
    """Collects what could not be read, one sentence each."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def json_object(folder: Path, name: str, problems: Problems) -> dict[str, Any]:
    """One JSON file of a folder as a dict; empty when it is missing, and when it is damaged, which is noted."""
    try:
        value = orjson.loads((folder / name).read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, orjson.JSONDecodeError) as error:
        problems.note(f"{name} cannot be read ({_reason(error)}); what it holds is left out.")
        return {}
    if not isinstance(value, dict):
        problems.note(f"{name} holds no JSON object; it is left out.")
        return {}
    return value


def text_file(folder: Path, name: str, problems: Problems) -> str:
    """One text file of a folder; empty when missing; bytes that are no UTF-8 are replaced, which is noted."""
    try:
        data = (folder / name).read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        problems.note(f"{name} cannot be read ({_reason(error)}); it is left out.")
        return ""
    text = data.decode("utf-8", errors="replace")
    if "\N{REPLACEMENT CHARACTER}" in text:
        problems.note(f"{name} is not all UTF-8; the bytes that are not are shown as \N{REPLACEMENT CHARACTER}.")
    return text


def json_lines(folder: Path, name: str, problems: Problems, *, having: str = "") -> list[dict[str, Any]]:
    """The JSON objects of a file, one a line; broken lines are left out, and counted unless it is only the last.

    ``having``: only objects with this key are kept; a log of millions of lines is checked without being held.
    """
    lines = text_file(folder, name, problems).split("\n")
    objects: list[dict[str, Any]] = []
    broken: list[int] = []
    for number, line in enumerate(lines, start=1):
        try:
            value = orjson.loads(line) if line.strip() else None
        except orjson.JSONDecodeError:
            broken += [number] if number < len(lines) else []
            continue
        if isinstance(value, dict) and (not having or having in value):
            objects.append(value)
    if broken:
        problems.note(f"{name}: {len(broken)} broken lines left out, the first is line {broken[0]}.")
    return objects


def yaml_object(text: str, name: str, problems: Problems) -> dict[str, Any]:
    """YAML text as a dict; empty when it is none, which is noted."""
    if not text.strip():
        return {}
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        value = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        problems.note(f"{name} is not YAML ({_reason(error)}); it is shown as text only.")
        return {}
    return {str(key): _as_json(item) for key, item in value.items()} if isinstance(value, dict) else {}


def _as_json(value: Any) -> Any:
    """YAML knows dates, sets and more; what JSON does not know becomes its text."""
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return (str(error).splitlines() or [type(error).__name__])[0]


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; everything else in it is passed over."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def texts(value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def text(value: Any) -> str:
    return "" if value is None else str(value)


def number(value: Any) -> float | None:
    """A JSON number (non-finite strings included) or None.

    >>> number("NaN"), number(3), number("three"), number(True)
    (nan, 3.0, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return jsonio.number(value)
    except (ValueError, OverflowError):
        return None


def count(value: Any) -> int | None:
    """A whole number of at most 15 digits, or None."""
    found = number(value)
    return int(found) if found is not None and math.isfinite(found) and abs(found) < 1e15 else None


def one_of(value: Any, choices: Sequence[T], otherwise: T) -> T:
    return next((choice for choice in choices if choice == value), otherwise)
