"""Runs as the scouting asks for them: each a whole run at a held rate that may go on where another one ended.

A run of ``total`` steps holds its learning rate and keeps the mean of its weights over its last part, which does what a
decay to zero does. So a longer run at the same rate is the same run up to there: it begins where the shorter one ended,
nothing is trained twice, and each of them is what ``tunewright train recipe.yaml`` would make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tunewright.schema.prescription import Change
from tunewright.schema.recipe import Recipe
from tunewright.tuner.step import Outcome

AVERAGE_SHARE = 0.3
"""Of the steps so far. On five models of the bundled size 0.15 to 0.5 did alike, and as well as a decay to zero."""


@dataclass(frozen=True)
class Order:
    """One run to make.

    after, at_step : the run whose first steps it shares, and how many; "" and 0: it starts by itself
    kept_at        : steps at which later runs may want to begin
    ends_on        : symptoms that end it early when two evaluations in a row show them
    """

    name: str
    recipe: Recipe
    phase: str
    changes: tuple[Change, ...]
    why: str
    after: str = ""
    at_step: int = 0
    kept_at: tuple[int, ...] = ()
    ends_on: tuple[str, ...] = ()


class Maker(Protocol):
    """Makes runs side by side and says what came of each; those made earlier are answered from their folders."""

    def __call__(self, orders: Sequence[Order]) -> list[Outcome]: ...


def held(planned: Recipe, *, learning_rate: float, total: int, per_epoch: int, eval_every: int, warmup: int) -> Recipe:
    """The planned recipe as a run of ``total`` steps at a held rate that keeps the mean of its weights."""
    return planned.changed(
        learning_rate=learning_rate,
        lr_scheduler_type="constant",
        average_share=planned.average_share or AVERAGE_SHARE,
        num_train_epochs=total / per_epoch,
        max_steps=None,
        warmup_steps=warmup,
        eval_steps=eval_every,
        save_steps=None,
        early_stopping_patience=0,
    )
