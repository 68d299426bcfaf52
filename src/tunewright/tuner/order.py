"""Runs as the scouting asks for them: each a whole warm-up-stable-decay run that may begin where another one stood.

A run of ``total`` steps holds its learning rate until ``fork_step(total)`` and decays from there to zero. A longer run
at the same rate is the same run up to that step, so it begins there and only the rest is paid for: the chain of runs at
one rate is one trunk with its decay branches, and each of them is what ``tunewright train recipe.yaml`` would make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tunewright.schema.prescription import Change
from tunewright.schema.recipe import Recipe
from tunewright.tuner.tuning import Outcome

DECAY_SHARE = 0.2
"""10 to 20 % of decay matched cosine (Hägele et al., 2024-05)."""


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


def fork_step(total: int) -> int:
    """The last step before the decay of a run of ``total`` steps.

    >>> fork_step(100), fork_step(3)
    (80, 2)
    """
    return total - max(1, round(DECAY_SHARE * total))


def total_for(step: int) -> int:
    """The steps of the shortest run that holds its rate for at least ``step`` steps.

    >>> total_for(80), fork_step(total_for(57)) >= 57
    (100, True)
    """
    total = max(step + 1, round(step / (1 - DECAY_SHARE)))
    while fork_step(total) < step:
        total += 1
    return total


def stable_then_decay(
    planned: Recipe, *, learning_rate: float, total: int, per_epoch: int, eval_every: int, warmup: int
) -> Recipe:
    """The planned recipe as a run of ``total`` steps at a constant rate with a decay at its end."""
    return planned.changed(
        learning_rate=learning_rate,
        lr_scheduler_type="wsd",
        decay_share=DECAY_SHARE,
        num_train_epochs=total / per_epoch,
        max_steps=None,
        warmup_steps=warmup,
        eval_steps=eval_every,
        save_steps=None,
        early_stopping_patience=0,
    )


def kept_between(shorter: int, longer: int) -> list[int]:
    """Two steps between the decays of two runs at which a branch may be wanted later.

    >>> kept_between(100, 200)
    [101, 127]
    """
    ratio = longer / shorter
    return [fork_step(round(shorter * ratio**share)) for share in (1 / 3, 2 / 3)]
