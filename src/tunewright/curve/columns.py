"""Columns of logged values as arrays: what turns a chunk of rows into numbers at a million rows a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.curve.names import LOSSES, STEP_LIMIT, place, to_float
from tunewright.schema.curve import Series
from tunewright.schema.errors import DataError

_PLAIN = {float, int, type(None)}
_ABSENT = (None, "")

Numbers = tuple[NDArray[np.bool_], NDArray[np.float64]]
"""Of each row: whether it holds a number, and which."""


def column(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[Any]:
    """The value of every row under the first of ``keys`` it has; None where it has none.

    Raises DataError when two columns of the same name, once case and separators are dropped, disagree in a row.
    """
    first, *others = keys
    values = [row.get(first) for row in rows]
    for before, key in pairwise(keys):
        where = place(key)
        if where == place(before) and where is not None and where[0] in LOSSES:
            _agree(rows, before, key)
    for key in others:
        values = [row.get(key) if value in _ABSENT else value for row, value in zip(rows, values, strict=True)]
    return values


def _agree(rows: Sequence[Mapping[str, Any]], one: str, other: str) -> None:
    for row in rows:
        a, b = to_float(row.get(one)), to_float(row.get(other))
        if a is not None and b is not None and a != b and not (a != a and b != b):
            metric = (place(one) or ("loss", 0))[0]
            raise DataError(
                f"two columns may be the {metric}: {one!r} and {other!r}, and they differ",
                hint=f'choose one: tunewright diagnose LOG --map "{metric}={one}"',
                code="ambiguous",
            )


def numbers(values: Sequence[Any]) -> Numbers:
    """(which entries are numbers, the numbers); NaN and the infinities are numbers, True and lists are none.

    >>> numbers([1, None, "2.5", "x"])[0].tolist()
    [True, False, True, False]
    """
    kinds = set(map(type, values))
    if kinds <= _PLAIN:
        try:
            found = np.array([value is not None for value in values], bool) if type(None) in kinds else None
            return np.ones(len(values), bool) if found is None else found, np.array(values, np.float64)
        except OverflowError:
            pass  # a whole number beyond the doubles: one by one below
    read = [to_float(value) for value in values]
    found = np.array([value is not None for value in read], bool)
    return found, np.array([np.nan if value is None else value for value in read], np.float64)


def whole(found: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which entries are steps: whole numbers from 0 to 2**53."""
    with np.errstate(invalid="ignore"):
        fits = found & (values >= 0) & (values < STEP_LIMIT)
        return np.asarray(fits & (np.floor(values) == values), bool)


class Points:
    """The points of one metric in the order they were logged: row number, step, value."""

    def __init__(self) -> None:
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []

    def add(self, rows: NDArray[np.int64], steps: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        if len(rows):
            self._parts.append((rows, steps, values))

    def __bool__(self) -> bool:
        return bool(self._parts)

    def joined(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """(rows, steps, values), the order of logging kept."""
        if not self._parts:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64)
        if len(self._parts) > 1:
            rows, steps, values = (np.concatenate(part) for part in zip(*self._parts, strict=True))
            self._parts = [(rows, steps, values)]
        return self._parts[0]

    def shift(self, by: int) -> None:
        self._parts = [(rows, steps + by, values) for rows, steps, values in self._parts]

    def series(self, keep: NDArray[np.bool_] | None = None) -> Series:
        """The points (those of ``keep``) by step; of several at one step the one logged last."""
        _, steps, values = self.joined()
        if keep is not None:
            steps, values = steps[keep], values[keep]
        if len(steps) > 1 and not (np.diff(steps) > 0).all():
            order = np.argsort(steps, kind="stable")
            order = order[np.append(np.diff(steps[order]) > 0, True)]
            steps, values = steps[order], values[order]
        return Series(steps, values)
