"""A curve read while it grows: collect events, read when there is news, tell each finding once.

Reading everything at every step would cost more than the step. A reading is due at every evaluation, at the first
loss that is not finite, and between evaluations after an eighth more points (at least 40): so a run that never
evaluates is read 18 times in 1,000 points, and the cost per step stays bounded however long it gets.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np

from tunewright.curve.names import METRICS, columns_of, to_float, to_step
from tunewright.doctor.diagnose import diagnose
from tunewright.schema.curve import Curve, Series
from tunewright.schema.finding import Diagnosis, Finding

FEWEST_NEW_POINTS = 40
NEW_SHARE = 1 / 8
UNTOLD = ("prefix_log", "too_few_points")
"""True of every living run, so never news."""

AT_ONCE = ("non_finite", "all_masked", "weights_not_updating", "not_an_nll", "lr_jump", "spike")
"""Facts rather than estimates: the first reading that has them counts."""


def event_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """One logged row of any tool as a metrics event under our names; empty when nothing in it is known.

    >>> event_of({"current_steps": 5, "loss": "NaN", "lr": 1e-4, "elapsed_time": "0:01:02"})
    {'loss': nan, 'learning_rate': 0.0001, 'step': 5}
    """
    if "train_runtime" in row:  # the Trainer's closing row: its train_loss is the mean of the whole run
        return {}
    columns = columns_of(frozenset(key for key in row if isinstance(key, str)))
    event: dict[str, Any] = {}
    for name in (*METRICS, "epoch"):
        numbers = (to_float(row[key]) for key in columns.get(name, ()))
        number = next((found for found in numbers if found is not None), None)
        event |= {} if number is None else {name: number}
    steps = (to_step(row[key]) for key in columns.get("step", ()))
    step = next((found for found in steps if found is not None), None)
    return event if step is None else {**event, "step": step}


class Growing:
    """A series that grows at its end. A point at or before the last step replaces what was logged from there on."""

    def __init__(self) -> None:
        self._steps, self._values = array("q"), array("d")

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, step: int, value: float) -> None:
        if self._steps and step <= self._steps[-1]:
            self.cut(step - 1)
        self._steps.append(step)
        self._values.append(value)

    def cut(self, last: int) -> None:
        """Forget what was logged after step ``last``."""
        while self._steps and self._steps[-1] > last:
            self._steps.pop()
            self._values.pop()

    def series(self) -> Series:
        """A copy, as every reader of a file would give it."""
        return Series(np.array(self._steps, dtype=np.int64), np.array(self._values, dtype=np.float64))


class LiveCurve:
    """A run's events as a growing curve, and what was said of it so far.

    total_steps : planned steps, so that verdicts about the end wait for it; None when nobody knows
    config      : the recipe keys that are known
    """

    def __init__(self, kind: str, *, total_steps: int | None = None, config: Mapping[str, Any] | None = None) -> None:
        self.kind, self.path, self.total_steps, self.config = kind, "", total_steps, dict(config or {})
        self._points = {key: Growing() for key in METRICS}
        self._rows: dict[int, tuple[int, ...]] = {}
        self._steps_per_epoch: float | None = None
        self._read_at, self._broken, self._news = 0, False, False
        self._suspected: set[str] = set()
        self._told: set[tuple[str, str, int]] = set()

    def add(self, event: Mapping[str, Any]) -> None:
        """Keep one metrics event; an event without a step only matters when it says where a run was resumed."""
        if "resumed_at" in event:
            self.resumed_at(int(event["resumed_at"]))
        if "step" not in event:
            return
        step = int(event["step"])
        if event.get("epoch"):
            self._steps_per_epoch = step / float(event["epoch"])
        if "rows" in event:
            self._rows[step] = tuple(event["rows"])
        for key in METRICS:
            if key in event:
                self._points[key].add(step, float(event[key]))
        self._note_news(event)

    def _note_news(self, event: Mapping[str, Any]) -> None:
        if "eval_loss" in event:
            self._news = True
        if "loss" in event and not self._broken and not math.isfinite(float(event["loss"])):
            self._broken = self._news = True

    def resumed_at(self, step: int) -> None:
        """The run went back to ``step``: what was logged beyond it belongs to a branch that no longer exists."""
        for points in self._points.values():
            points.cut(step)
        self._rows = {logged: rows for logged, rows in self._rows.items() if logged <= step}
        self._read_at = min(self._read_at, len(self._points["loss"]))

    @property
    def due(self) -> bool:
        """Whether there is enough news for another reading."""
        points = len(self._points["loss"])
        return self._news or points - self._read_at >= max(FEWEST_NEW_POINTS, NEW_SHARE * points)

    def read(self) -> Diagnosis:
        """What the doctor says of the curve so far."""
        self._read_at, self._news = len(self._points["loss"]), False
        return diagnose(self.curve())

    def confirmed(self, diagnosis: Diagnosis) -> list[Finding]:
        """The findings of this reading to act on: facts at once, estimates when the reading before had them too.

        A living run is looked at many times, and each look is a chance for a false alarm; two in a row rarely agree
        by chance.
        """
        found = [finding for finding in diagnosis.findings if finding.symptom not in UNTOLD]
        sure = [finding for finding in found if finding.symptom in AT_ONCE or finding.symptom in self._suspected]
        self._suspected = {finding.symptom for finding in found}
        return sure

    def news(self, findings: list[Finding], *, least: tuple[str, ...] = ("warning", "error")) -> list[Finding]:
        """Those of ``findings`` that were not told before, of these severities, and spikes; from now on they are."""
        loud = [finding for finding in findings if finding.severity in least or finding.symptom == "spike"]
        fresh = [finding for finding in loud if _name(finding) not in self._told]
        self._told |= {_name(finding) for finding in fresh}
        return fresh

    def curve(self) -> Curve:
        """The curve so far, as any reader would give it."""
        loss, eval_loss, general_loss, learning_rate, grad_norm = (self._points[key].series() for key in METRICS)
        return Curve(
            kind=self.kind,
            path=self.path,
            loss=loss,
            eval_loss=eval_loss,
            general_loss=general_loss,
            learning_rate=learning_rate,
            grad_norm=grad_norm,
            total_steps=self.total_steps,
            steps_per_epoch=self._steps_per_epoch,
            config=self.config,
            batch_rows=self._rows,
        )


def _name(finding: Finding) -> tuple[str, str, int]:
    """What makes a finding another one: symptom, severity, and for spikes how many there were."""
    return finding.symptom, finding.severity, int(finding.evidence.get("count", 0))
