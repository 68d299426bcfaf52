"""Watching a run while it trains: every event goes to the reader, every piece of news to the doctor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tunewright.app.offending_rows import MOST_ROWS
from tunewright.app.watch import Watch
from tunewright.doctor.live import LiveCurve
from tunewright.reporter.words import one_line
from tunewright.schema.curve import Curve
from tunewright.schema.finding import Diagnosis, Finding
from tunewright.schema.recipe import Recipe

StopRule = Callable[[Diagnosis], str]


def never(diagnosis: Diagnosis) -> str:
    """The stop rule of a run that nobody ends early."""
    return ""


def unknown_row(number: int) -> str:
    """For runs whose rows are not at hand."""
    return ""


class Live:
    """Collects a run's events into a curve; reads it at every evaluation and now and then between, and may end the run.

    ``stop_when``: given the reading at an evaluation, the reason to end the run now, or an empty string.
    ``text_of_row``: the text behind a row's number, so that the rows of a spike can be shown.
    """

    def __init__(
        self,
        name: str,
        recipe: Recipe,
        total_steps: int,
        watch: Watch,
        stop_when: StopRule = never,
        text_of_row: Callable[[int], str] = unknown_row,
    ) -> None:
        self._name, self._total_steps = name, total_steps
        self._watch, self._stop_when, self._text_of_row = watch, stop_when, text_of_row
        self._live = LiveCurve("tunewright", total_steps=total_steps, config=recipe.model_dump())
        self._finding = ""
        self.sure: list[Finding] = []
        """What the last reading found that is to be acted on."""

    def remember(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Take in what a run that is resumed had logged before, without saying anything.

        The stop rule sees every evaluation again, so that it ends the run where it would have ended it.
        """
        for event in events:
            self._live.add(event)
            if "eval_loss" in event and self._stop_when is not never:
                self._stop_when(self._live.read())

    def on_event(self, event: Mapping[str, Any]) -> str:
        """Keep the event, show it, and say why to stop (empty: go on)."""
        self._live.add(event)
        if "step" not in event:
            return ""
        reason = self._read(event) if self._live.due else ""
        self._watch.event(self._name, event, self._total_steps, self._finding)
        return reason

    def _read(self, event: Mapping[str, Any]) -> str:
        diagnosis = self._live.read()
        self.sure = self._live.confirmed(diagnosis)
        for finding in self._live.news(self.sure):
            self._tell(finding)
        return self._stop_when(diagnosis) if "eval_loss" in event else ""

    def _tell(self, finding: Finding) -> None:
        if finding.severity != "info":
            self._finding = finding.symptom
        self._watch.say(f"{self._name}: {finding.why}")
        for number in finding.rows[:MOST_ROWS]:
            self._watch.say(f"  row {number}: {one_line(self._text_of_row(number))}".rstrip(": "))

    def curve(self) -> Curve:
        """The curve so far, as any reader would give it."""
        return self._live.curve()
