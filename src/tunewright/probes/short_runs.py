"""Short trainings side by side that leave no trace: what the probes of learning rate and set-up are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunewright.engine.base import Base, pristine
from tunewright.engine.job import Job
from tunewright.engine.loop import run_pack
from tunewright.schema.errors import TunewrightError
from tunewright.schema.recipe import Recipe

if TYPE_CHECKING:
    from tunewright.data.tokens import TokenRow

OnProgress = Callable[[str, int, int], None]
"""Told what is being done, how much of it, and of how much."""
MOST_EVAL_ROWS = 64


def no_progress(what: str, done: int, total: int) -> None:
    """Nobody is told."""


@dataclass(frozen=True)
class ShortRun:
    """Nats per token on the same rows before the first and after the last step (NaN: not finite), and tokens spent."""

    before: float
    after: float
    tokens: int

    @property
    def fell(self) -> float:
        """Share of the loss that went; negative when it rose, minus infinity when it is no number any more."""
        return 1 - self.after / self.before if math.isfinite(self.after) and self.before > 0 else -math.inf


def short_recipe(recipe: Recipe, **changes: Any) -> Recipe:
    """The recipe as a probe trains it: no stopping, no general rows, nothing reported, looked at when it ends."""
    steps = changes["max_steps"]
    still = {"early_stopping_patience": 0, "replay": None, "report_to": (), "eval_steps": steps, "save_steps": None}
    return recipe.changed(**still, logging_steps=max(1, steps // 4), **changes)


def short_runs(
    base: Base,
    recipes: Mapping[str, Recipe],
    train: Sequence[TokenRow],
    look_at: Sequence[TokenRow],
    *,
    what: str,
    on_progress: OnProgress,
    should_stop: Callable[[], bool],
) -> dict[str, ShortRun]:
    """Train each recipe from the untouched base on the same rows in the same order; all at once where that is possible.

    ``look_at``: the rows whose loss is compared, at most 64 of them. A run that fails by itself (non-finite numbers
    end it) counts as not finite. Raises Interrupted when ``should_stop`` says so, RunFailed when nothing fits.
    """
    names, rows = list(recipes), look_at[:MOST_EVAL_ROWS]
    jobs = [Job(recipe=recipes[name], train=train, val=rows) for name in names]
    total = sum(recipe.max_steps or 0 for recipe in recipes.values())
    seen: dict[int, dict[int, float]] = {place: {} for place in range(len(jobs))}
    steps = dict.fromkeys(seen, 0)

    def on_event(place: int, event: dict[str, Any]) -> None:
        if "eval_loss" in event:
            seen[place][int(event["step"])] = float(event["eval_loss"])
        if int(event.get("step", 0)) > steps[place]:  # a step and its evaluation are two events
            steps[place] = int(event["step"])
            on_progress(what, sum(steps.values()), total)

    # full fine-tuning changes the base's own weights, so there one follows another
    alone = recipes[names[0]].method == "full"
    groups = [[place] for place in range(len(jobs))] if alone else [list(range(len(jobs)))]
    found: dict[str, ShortRun] = {}
    for group in groups:
        outcomes = run_pack(
            pristine(base),
            [jobs[place] for place in group],
            on_event=lambda index, event, group=group: on_event(group[index], event),  # type: ignore[misc]
            should_stop=should_stop,
        )
        for place, outcome in zip(group, outcomes, strict=True):
            spent = 0 if isinstance(outcome, TunewrightError) else outcome.tokens_train + outcome.tokens_eval
            points = sorted(seen[place].items())
            whole = len(points) > 1 and points[-1][0] >= (jobs[place].recipe.max_steps or 0)
            after = points[-1][1] if whole else math.nan
            found[names[place]] = ShortRun(points[0][1] if points else math.nan, after, spent)
    pristine(base)
    return found
