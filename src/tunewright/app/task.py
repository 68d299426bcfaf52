"""A run to make, as whoever orders it says: its folder, plan and rows, and what may end it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tunewright.app.live import StopRule, never
from tunewright.data.tokens import TokenRow
from tunewright.engine.job import Job
from tunewright.planner.steps import total_steps
from tunewright.record.run import Run
from tunewright.schema.errors import TunewrightError
from tunewright.schema.plan import Plan


@dataclass(frozen=True)
class Work:
    """What a run trains on and is measured by: the data, replay to mix in by turns, and the forgetting probe."""

    train: tuple[TokenRow, ...]
    val: tuple[TokenRow, ...]
    replay: tuple[TokenRow, ...] = ()
    replay_rows: int = 0
    probe: tuple[TokenRow, ...] = ()


@dataclass(frozen=True)
class Task:
    """One run to make: its folder, plan and rows, what may end it early, and what it is called while it works.

    ``kept_at``: steps whose checkpoints stay, for other runs to begin at. ``end_rows``: keep the losses of the
    validation rows at its last evaluation, for paired comparisons.
    """

    run: Run
    plan: Plan
    work: Work
    stop_when: StopRule = never
    label: str = ""
    kept_at: frozenset[int] = frozenset()
    end_rows: bool = False

    @property
    def called(self) -> str:
        return self.label or self.run.name

    @property
    def total_steps(self) -> int:
        return total_steps(self.plan.recipe, len(self.work.train) + self.work.replay_rows)

    def job(self) -> Job:
        work = self.work
        return Job(
            recipe=self.plan.recipe,
            train=work.train,
            val=work.val,
            replay=work.replay,
            replay_rows=work.replay_rows,
            probe=work.probe,
            run=self.run,
            kept_at=self.kept_at,
        )


Ended = Callable[[int, "dict[str, Any] | TunewrightError"], None]
"""Told of each task, by its place, as it ends: its ``train`` JSON, or why it failed."""
