"""Logged rows gathered into one Curve; what every reader shares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tunewright.curve.names import METRICS, has_reward, known, to_float, to_step
from tunewright.schema.curve import Curve, Series
from tunewright.schema.errors import DataError

T = TypeVar("T")


class Collector:
    """Takes a log's rows in file order; :meth:`curve` gives the normalised curve.

    A later row of the same step replaces an earlier one, as after a resume. Rows without a step are numbered
    by their order (or by their epoch when each has one of its own).
    """

    def __init__(self) -> None:
        self._points: dict[str, dict[int, float]] = {metric: {} for metric in METRICS}
        self._epochs: dict[int, float] = {}
        self._rows: dict[int, tuple[int, ...]] = {}
        self._unnumbered = 0
        self._total: int | None = None
        self._reward = False

    def add(self, row: Mapping[str, Any]) -> None:
        """One logged row under any known names. A row without a known metric is passed over."""
        if "train_runtime" in row:
            return  # the Trainer's closing row: its train_loss is the mean of the whole run, not a step
        values = known(row)
        self._reward = self._reward or has_reward(row)
        step = self._step(values)
        if step is None:
            return
        for metric in METRICS:
            number = to_float(values[metric]) if metric in values else None
            if number is not None:
                self._points[metric][step] = number
        self._note_epoch(step, values)
        self._note_rows(step, row.get("rows"))

    def _step(self, values: Mapping[str, Any]) -> int | None:
        if "step" in values:
            return to_step(values["step"])
        if not any(metric in values for metric in METRICS):
            return None
        self._unnumbered += 1
        return self._unnumbered

    def _note_epoch(self, step: int, values: Mapping[str, Any]) -> None:
        epoch = to_float(values.get("epoch"))
        if epoch is not None and math.isfinite(epoch) and epoch >= 0:
            self._epochs[step] = epoch
        total = to_step(values.get("total_steps"))
        if total:
            self._total = total

    def _note_rows(self, step: int, rows: Any) -> None:
        if isinstance(rows, list) and rows and all(isinstance(row, int) for row in rows):
            self._rows[step] = tuple(rows)

    def resumed_at(self, step: int) -> None:
        """The run went back to ``step``: what was logged beyond it belongs to a branch that no longer exists."""
        self._points = {metric: _up_to(step, points) for metric, points in self._points.items()}
        self._epochs = _up_to(step, self._epochs)
        self._rows = _up_to(step, self._rows)

    def curve(
        self,
        kind: str,
        path: Path,
        *,
        total_steps: int | None = None,
        eval_rows: int | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Curve:
        """The curve of all rows so far. Raises DataError when no row had a loss."""
        series = {metric: Series.of(points.items()) for metric, points in self._points.items()}
        if not len(series["loss"]) and not len(series["eval_loss"]):
            raise DataError(
                f"{path}: no training loss in it (columns looked for: loss, train_loss, eval_loss, step, ...)",
                hint="tunewright diagnose takes run folders, trainer_state.json, trainer_log.jsonl, CSV and JSONL",
            )
        return Curve(
            kind=kind,
            path=str(path),
            **series,
            total_steps=total_steps or self._total,
            steps_per_epoch=steps_per_epoch(self._epochs),
            eval_rows=eval_rows,
            config=config or {},
            batch_rows=self._rows,
            objective="reward" if self._reward else "nll",
        )


def _up_to(step: int, points: Mapping[int, T]) -> dict[int, T]:
    return {logged: value for logged, value in points.items() if logged <= step}


def steps_per_epoch(epochs: Mapping[int, float]) -> float | None:
    """Steps per epoch from logged (step, epoch) pairs; None when they do not tell.

    Two conventions are met: a fraction that grows with every step (Trainer), and a whole number that stays for
    an epoch (Lightning and hand-written loops; counted from 0 or 1).

    >>> steps_per_epoch({10: 0.5, 20: 1.0}), steps_per_epoch({1: 0, 2: 0, 3: 1, 4: 1, 5: 2})
    (20.0, 2.0)
    """
    points = [(step, epoch) for step, epoch in sorted(epochs.items()) if step > 0]
    if len(points) < 2:
        return points[0][0] / points[0][1] if points and points[0][1] > 0 else None
    steps = np.array([step for step, _ in points], float)
    values = np.array([epoch for _, epoch in points], float)
    changes = np.flatnonzero(np.diff(values) > 0) + 1
    if np.all(values == np.floor(values)) and len(changes) < len(points) - 1:  # a counter
        return float(np.median(np.diff(steps[changes]))) if len(changes) > 1 else None
    return float(steps[-1] / values[-1]) if values[-1] > 0 else None
