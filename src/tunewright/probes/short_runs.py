"""Short trainings side by side that leave no trace: what the probes of learning rate and set-up are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
    rows = look_at[:MOST_EVAL_ROWS]
    jobs = {name: Job(recipe=recipe, train=train, val=rows) for name, recipe in recipes.items()}
    followed = _Followed(recipes, partial(on_progress, what))
    found: dict[str, ShortRun] = {}
    for group in _together(recipes):
        outcomes = run_pack(
            pristine(base),
            [jobs[name] for name in group],
            on_event=partial(followed.on_event, group),
            should_stop=should_stop,
        )
        for name, outcome in zip(group, outcomes, strict=True):
            spent = 0 if isinstance(outcome, TunewrightError) else outcome.tokens_train + outcome.tokens_eval
            found[name] = ShortRun(*followed.ends(name), spent)
    pristine(base)
    return found


def _together(recipes: Mapping[str, Recipe]) -> list[list[str]]:
    """The names in packs: full fine-tuning changes the base's own weights, so there one follows another."""
    alone = any(recipe.method == "full" for recipe in recipes.values())
    return [[name] for name in recipes] if alone else [list(recipes)]


class _Followed:
    """What runs log as they go: the loss of each at each evaluation, and how far all of them have come."""

    def __init__(self, recipes: Mapping[str, Recipe], tell: Callable[[int, int], None]) -> None:
        self._last_step = {name: recipe.max_steps or 0 for name, recipe in recipes.items()}
        self._steps = dict.fromkeys(recipes, 0)
        self._losses: dict[str, dict[int, float]] = {name: {} for name in recipes}
        self._tell = tell

    def on_event(self, group: Sequence[str], index: int, event: dict[str, Any]) -> None:
        name, step = group[index], int(event.get("step", 0))
        if "eval_loss" in event:
            self._losses[name][step] = float(event["eval_loss"])
        if step > self._steps[name]:  # a step and its evaluation are two events
            self._steps[name] = step
            self._tell(sum(self._steps.values()), sum(self._last_step.values()))

    def ends(self, name: str) -> tuple[float, float]:
        """The losses before the first and after the last step; NaN for one that was not reached."""
        points = sorted(self._losses[name].items())
        before = points[0][1] if points else math.nan
        whole = len(points) > 1 and points[-1][0] >= self._last_step[name]
        return before, points[-1][1] if whole else math.nan
