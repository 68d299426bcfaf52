"""What can be seen of a run while it is made: its curve, its reading, how it stands, and the time left."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from tunewright.schema.curve import Curve
from tunewright.schema.finding import Diagnosis


@dataclass(frozen=True)
class Sight:
    """What can be seen of a run right now.

    status       : "waiting" (nothing logged yet), "running", or how it ended
    curve        : None while waiting
    diagnosis    : the last reading of the curve
    total_steps  : None when nobody knows
    seconds_left : None without a plan or a speed
    """

    path: str
    status: str
    curve: Curve | None = None
    diagnosis: Diagnosis | None = None
    total_steps: int | None = None
    seconds_left: float | None = None

    @property
    def over(self) -> bool:
        return self.status not in ("waiting", "running", "planned")

    @property
    def step(self) -> int:
        return self.curve.last_step if self.curve else 0

    def __json__(self) -> dict[str, Any]:
        curve = self.curve
        return {
            "path": self.path,
            "status": self.status,
            "step": self.step,
            "total_steps": self.total_steps,
            "seconds_left": self.seconds_left,
            "loss": float(curve.loss.values[-1]) if curve and len(curve.loss) else None,
            "eval_loss": float(curve.eval_loss.values[-1]) if curve and len(curve.eval_loss) else None,
            "base_eval_loss": curve.base_eval_loss if curve else None,
            "health": self.diagnosis.health if self.diagnosis else None,
            "findings": self.diagnosis.findings if self.diagnosis else (),
        }


class Speed:
    """Seconds per step: from the log's own clock when it has one, else from when steps were seen."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None
        self._last: tuple[int, float] | None = None

    def see(self, step: int, seconds: float | None) -> None:
        at = (step, time.monotonic() if seconds is None else seconds)
        if self._first is None or step < self._first[0]:
            self._first = at
        self._last = at

    def left(self, step: int, total: int | None) -> float | None:
        if total is None or self._first is None or self._last is None or self._last[0] <= self._first[0]:
            return None
        took = (self._last[1] - self._first[1]) / (self._last[0] - self._first[0])
        return max(0.0, took * (total - step)) if took > 0 else None
