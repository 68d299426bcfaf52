"""Which step a logged row belongs to, and how many steps there will be, as far as the log says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.curve.columns import Numbers, column, numbers, whole
from tunewright.curve.names import to_step


class Numbering:
    """Takes the rows in file order, some at once. ``total``: the planned steps, None where nothing says."""

    def __init__(self) -> None:
        self.total: int | None = None
        self._unnumbered = 0

    def steps(
        self,
        rows: Sequence[Mapping[str, Any]],
        keys: tuple[str, ...] | None,
        found: Mapping[str, Numbers],
        maybe: Mapping[str, Numbers],
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(step of each row, which rows have one), from the columns ``keys``, None where the log has none.

        found, maybe: the rows' numbers by metric, and by the name of a column that may be a loss. Rows without a step
        are counted, those of a loss move the count.
        """
        logged = column(rows, keys) if keys else [None] * len(rows)
        if str in set(map(type, logged)):
            logged = [self._without_total(value) for value in logged]
        is_number, values = numbers(logged)
        fits = whole(is_number, values)
        steps = np.where(fits, values, 0).astype(np.int64)
        if fits.all():
            return steps, fits
        bare = np.array([value is None or value == "" for value in logged], bool)
        losses = [found[metric][0] for metric in ("loss", "eval_loss") if metric in found]
        losses += [is_number for is_number, _ in maybe.values()]
        lead = losses[0] if losses else np.zeros(len(rows), bool)
        counted = bare & np.logical_or.reduce([lead, *losses, *(is_number for is_number, _ in found.values())])
        moves = counted & (lead if (lead & bare).any() else np.ones(len(rows), bool))
        numbered = self._unnumbered + np.cumsum(moves)
        self._unnumbered = int(numbered[-1])
        return np.where(counted, numbered, steps).astype(np.int64), fits | counted

    @property
    def counted(self) -> bool:
        """Whether rows without a step were numbered by their order."""
        return self._unnumbered > 0

    def note_total(self, rows: Sequence[Mapping[str, Any]], keys: tuple[str, ...] | None) -> None:
        """Remember the newest total that the columns ``keys`` hold; None where the log has none."""
        if keys:
            totals = (to_step(row.get(key)) for row in reversed(rows) for key in keys if key in row)
            self.total = next((total for total in totals if total), self.total)

    def _without_total(self, value: Any) -> Any:
        """ms-swift writes the step as "12/300"."""
        if not isinstance(value, str) or "/" not in value:
            return value
        step, _, total = value.partition("/")
        self.total = to_step(total) or self.total
        return step
