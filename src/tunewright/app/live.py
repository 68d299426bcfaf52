"""Watching a run while it trains: every event goes to the reader, every evaluation to the doctor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tunewright.app.watch import Watch
from tunewright.doctor.diagnose import diagnose
from tunewright.schema.curve import Curve, Series
from tunewright.schema.finding import Diagnosis
from tunewright.schema.recipe import Recipe

StopRule = Callable[[Diagnosis], str]


def never(diagnosis: Diagnosis) -> str:
    """The stop rule of a run that nobody ends early."""
    return ""


class Live:
    """Collects a run's events into a curve; after each evaluation reads it and may end the run.

    ``stop_when``: given the reading so far, the reason to end the run now, or an empty string.
    """

    def __init__(self, name: str, recipe: Recipe, total_steps: int, watch: Watch, stop_when: StopRule = never) -> None:
        self._name, self._recipe, self._total_steps = name, recipe, total_steps
        self._watch, self._stop_when = watch, stop_when
        self._points: dict[str, list[tuple[int, float]]] = {}
        self._rows: dict[int, tuple[int, ...]] = {}
        self._steps_per_epoch: float | None = None
        self._finding = ""

    def on_event(self, event: Mapping[str, Any]) -> str:
        """Keep the event, show it, and say why to stop (empty: go on)."""
        if "step" not in event:
            return ""
        if event.get("epoch"):
            self._steps_per_epoch = float(event["step"]) / float(event["epoch"])
        if "rows" in event:
            self._rows[int(event["step"])] = tuple(event["rows"])
        for key in ("loss", "eval_loss", "general_loss", "learning_rate", "grad_norm"):
            if key in event:
                self._points.setdefault(key, []).append((int(event["step"]), float(event[key])))
        reason = self._read() if "eval_loss" in event else ""
        self._watch.event(self._name, event, self._total_steps, self._finding)
        return reason

    def _read(self) -> str:
        diagnosis = diagnose(self.curve())
        serious = [finding for finding in diagnosis.findings if finding.severity != "info"]
        if serious and serious[0].symptom != self._finding:
            self._finding = serious[0].symptom
            self._watch.say(f"{self._name}: {serious[0].why}")
        return self._stop_when(diagnosis)

    def curve(self) -> Curve:
        """The curve so far, as any reader would give it."""
        return Curve(
            kind="tunewright",
            path="",
            loss=self._series("loss"),
            eval_loss=self._series("eval_loss"),
            learning_rate=self._series("learning_rate"),
            grad_norm=self._series("grad_norm"),
            general_loss=self._series("general_loss"),
            total_steps=self._total_steps,
            steps_per_epoch=self._steps_per_epoch,
            config=self._recipe.model_dump(),
            batch_rows=self._rows,
        )

    def _series(self, key: str) -> Series:
        return Series.of(self._points.get(key, ()))
