"""Where a run's events go: metrics.jsonl first, then the trackers, then the caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tunewright.engine.trackers import Tracker, numbers_of, open_trackers
from tunewright.record.run import Run
from tunewright.schema.recipe import Recipe

OnEvent = Callable[[dict[str, Any]], str | None]
"""Sees a metrics event; may answer why the run should stop."""


class EventLog:
    """One run's events on their way out. Raises EnvironmentMissing when a tracker asked for is not installed."""

    def __init__(self, run: Run | None, recipe: Recipe, on_event: OnEvent) -> None:
        self._run, self._on_event = run, on_event
        self._trackers: list[Tracker] = []
        self.notes: list[str] = []
        if run is not None:
            self._trackers, self.notes = open_trackers(recipe, run.path)

    def emit(self, event: dict[str, Any]) -> str | None:
        """Write one event everywhere. Returns the caller's reason to stop, if it has one."""
        if self._run is not None:
            self._run.append(event)
        if "step" in event:
            for tracker in self._trackers:
                tracker.log(event["step"], numbers_of(event))
        return self._on_event(event)

    def close(self) -> None:
        """Let the trackers write out what they hold."""
        for tracker in self._trackers:
            tracker.close()
