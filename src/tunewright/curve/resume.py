"""Resumed runs: a log that is only appended to and whose steps fall went back to a checkpoint.

What had been logged from there on belongs to a branch that no longer exists. It is left out of the curve and
kept apart, because a chart shows it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_RESUMES = 3
MOST_RESUME_SHARE = 0.02
"""More falls than this share of the points (and than MOST_RESUMES) are a table in no order, not so many resumes."""


class Resumes:
    """Where a run went back: (row number from which, first step logged again)."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._steps: list[int] = []

    def went_back(self, row: int, step: int) -> None:
        """From row number ``row`` on, everything logged before at ``step`` or later no longer counts."""
        self._rows.append(row)
        self._steps.append(step)

    def find(self, rows: NDArray[np.int64], steps: NDArray[np.int64]) -> list[str]:
        """Take every fall of the training-loss steps for a resume; returns what to tell about it."""
        falls = np.flatnonzero(np.diff(steps) < 0) + 1
        if not len(falls):
            return []
        if len(falls) > max(MOST_RESUMES, MOST_RESUME_SHARE * len(steps)):
            return [f"the steps are out of order {len(falls)} times: sorted, a later row of a step replaces an earlier"]
        known = set(self._rows)
        said = []
        for fall in falls.tolist():
            row, step, top = int(rows[fall]), int(steps[fall]), int(steps[fall - 1])
            if not any(rows[fall - 1] < start <= row for start in known):
                self.went_back(row, step)
                said.append(f"the steps go back from {top} to {step}: resumed or restarted, the later rows count")
        return said

    def survive(self, rows: NDArray[np.int64], steps: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the points still count: those no later row went back behind."""
        if not self._rows:
            return np.ones(len(rows), bool)
        order = np.argsort(self._rows, kind="stable")
        starts = np.array(self._rows, np.int64)[order]
        lowest = np.minimum.accumulate(np.array(self._steps, np.int64)[order][::-1])[::-1]
        after = np.searchsorted(starts, rows, side="right")
        limits = np.append(lowest, np.iinfo(np.int64).max)
        return np.asarray(steps < limits[after], bool)

    def survives(self, row: int, step: int) -> bool:
        """Whether one row still counts."""
        return bool(self.survive(np.array([row]), np.array([step]))[0])
