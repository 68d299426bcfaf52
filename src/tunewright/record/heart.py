"""The heartbeat of runs at work, renewed now and then, so that others can tell them from killed ones."""

from __future__ import annotations

import time
from collections.abc import Iterable

from tunewright.record.run import STALE_AFTER_S, Run

HEARTBEAT_EVERY_S = STALE_AFTER_S / 6


class Heart:
    """Beats when it is asked to and its last beat is long enough ago: ask as often as you like."""

    def __init__(self) -> None:
        self._beaten_s = time.monotonic()

    def beat(self, runs: Iterable[Run]) -> None:
        """A sign of life in the folder of every one of these runs."""
        if time.monotonic() - self._beaten_s > HEARTBEAT_EVERY_S:
            self._beaten_s = time.monotonic()
            for run in runs:
                run.update()
