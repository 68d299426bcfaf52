"""JSON as Tunewright writes it: non-finite numbers as strings, never as 0, null or a bare token.

``json.dumps`` writes NaN as the bare token ``NaN``, which is not JSON, and most encoders turn it to null,
which hides the very symptom a diagnosis looks for. So NaN and the infinities become the strings
``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, and :func:`from_json` turns them back where a number is meant.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

SCHEMA_VERSION = 1
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def plain(value: Any) -> Any:
    """``value`` as dicts, lists, strings and numbers that JSON can hold.

    Dataclasses become objects (fields that start with ``_`` are left out), paths strings, arrays lists.
    An object with a method ``__json__`` says its own form.

    >>> plain({"loss": float("nan"), "steps": (1, 2)})
    {'loss': 'NaN', 'steps': [1, 2]}
    """
    if isinstance(value, float):
        return _float(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if hasattr(value, "__json__"):
        return plain(value.__json__())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.name[0] != "_"}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy here
        return plain(value.tolist())
    raise TypeError(f"no JSON form for {type(value).__name__}")


def _float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def number(value: Any) -> float:
    """The number behind a JSON value, non-finite strings included.

    >>> number("NaN"), number(2)
    (nan, 2.0)
    """
    return _NON_FINITE[value] if isinstance(value, str) and value in _NON_FINITE else float(value)


def number_or_none(value: Any) -> float | None:
    """The same where nothing may stand.

    >>> number_or_none("Infinity"), number_or_none(None)
    (inf, None)
    """
    return None if value is None else number(value)


def dumps(value: Any, *, indent: bool = False) -> bytes:
    """``value`` through :func:`plain`, as UTF-8 bytes with a final newline."""
    options = orjson.OPT_APPEND_NEWLINE | (orjson.OPT_INDENT_2 if indent else 0)
    return orjson.dumps(plain(value), option=options)


def document(value: Any) -> bytes:
    """The one document a command prints under ``--json``: the value's fields beside ``schema_version``."""
    return dumps({"schema_version": SCHEMA_VERSION, **plain(value)}, indent=True)


loads = orjson.loads
