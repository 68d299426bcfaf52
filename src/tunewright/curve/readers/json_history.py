"""A history in one JSON document: a list of logged rows (``trainer.state.log_history`` saved by hand), such a list
under a name, or a list for each column, as Keras gives (``{"loss": [...], "val_loss": [...]}``)."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import Any

from tunewright.curve.collect import Collector, Columns
from tunewright.curve.json_text import parse, read_text
from tunewright.curve.names import flat, names_loss
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError

LOOKED_AT = 65536
MOST_NAMES = 1000
"""Columns of a history; an object of more is something else."""


def matches(path: Path) -> bool:
    """A .json file whose beginning names a loss."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with open(path, "rb") as file:
        return b"loss" in file.read(LOOKED_AT).lower()


def read(path: Path, columns: Columns | None = None) -> list[Curve]:
    """The curve of the rows. Raises DataError for what is no history."""
    try:
        value = parse(read_text(path))
    except ValueError as error:
        raise DataError(f"{path}: not complete JSON ({error})", hint="was the run killed while writing it?") from None
    rows = rows_in(value, columns)
    if not rows:
        expected = "a list of logged rows, or a list of numbers for each column"
        raise DataError(f"{path}: no training log in it; expected log_history, {expected}")
    collected = Collector(columns)
    collected.add_all([flat(row) for row in rows])
    return [collected.curve("json", path)]


def rows_in(value: Any, columns: Columns | None = None) -> list[dict[str, Any]]:
    """The logged rows in a JSON value, or nothing.

    >>> rows_in({"history": [{"loss": 2.0}, {"loss": 1.5}]})
    [{'loss': 2.0}, {'loss': 1.5}]
    >>> rows_in({"loss": [2.0, 1.5], "val_loss": [2.5]})
    [{'loss': 2.0, 'val_loss': 2.5}, {'loss': 1.5}]
    """
    if isinstance(value, list):
        rows = [row for row in value if isinstance(row, dict)]
        return rows if any(names_loss(flat(row), columns) for row in rows) else []
    if not isinstance(value, dict) or len(value) > MOST_NAMES:
        return []
    series = {name: one for name, one in value.items() if isinstance(one, list)}
    if names_loss(series, columns) and not any(
        isinstance(one, (dict, list)) for line in series.values() for one in line
    ):
        parts = zip_longest(*series.values())
        return [{name: one for name, one in zip(series, part, strict=True) if one is not None} for part in parts]
    return next((rows for one in value.values() if (rows := rows_in(one, columns))), [])
