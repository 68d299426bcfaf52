"""Several runs at once in one live line: how many cells have ended, how far the others are, and the best so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tunewright.app.watch import Watch
from tunewright.reporter.words import figure


class Progress:
    """Stands between the runs of a pack and whoever watches the sweep; for the runs it is a Watch.

    ``cells``: of the whole sweep; :meth:`ended` counts them, over all packs.
    """

    def __init__(self, watch: Watch, cells: int) -> None:
        self._watch, self._cells = watch, cells
        self._ended = 0
        self._best: tuple[float, str] = (math.inf, "")

    def say(self, text: str) -> None:
        self._watch.say(text)

    def working(self, what: str, done: int, total: int) -> None:
        self._watch.working(what, done, total)

    def should_stop(self) -> bool:
        return self._watch.should_stop()

    def event(self, run: str, event: Mapping[str, Any], total_steps: int, finding: str = "") -> None:
        """One event of one run: the line shows its step, which the runs beside it are at too."""
        loss = event.get("eval_loss")
        if loss is not None and event["step"] and float(loss) < self._best[0]:  # False for NaN
            self._best = (float(loss), run)
        best = f"best eval {figure(self._best[0])} {self._best[1]}, " if self._best[1] else ""
        self._watch.working(f"step {event['step']}/{total_steps}, {best}cells done", self._ended, self._cells)

    def ended(self) -> None:
        """One more cell has its result."""
        self._ended += 1
