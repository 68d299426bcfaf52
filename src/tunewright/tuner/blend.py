"""The last thing a tuning tries: the mean of its good runs' weights, which costs a few evaluations and no training.

Runs that start from one base and see the same rows lie in one valley of the loss, and the mean of their weights often
lies lower than any of them (Wortsman et al., Model soups, 2022-03). As there, the best run comes first and the others
are added from the next best on, each kept only where the mean gets better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tunewright.doctor.thresholds import FORGETTING_NATS
from tunewright.tuner.budget import FORWARD_WEIGHT, Budget
from tunewright.tuner.choice import eval_loss_of
from tunewright.tuner.rungs import BAR_SHARE
from tunewright.tuner.step import Goal, Step

MOST_TRIED = 5
"""Means that are measured."""
NEAR_SHARE = 0.25
"""A run whose loss is more than this share above the best one's lies elsewhere: its mean with it is not tried."""
MOST_BUDGET_SHARE = 0.03
"""Of a budget, what the evaluations of the means may cost; where they would cost more none is tried."""


@dataclass(frozen=True)
class Measured:
    """A mean on the validation rows, nats per token; ``forgetting`` is None where it was not asked for."""

    eval_loss: float
    forgetting: float | None
    eval_tokens: int


class Measure(Protocol):
    """What the mean of these runs' weights comes to; with its forgetting where that counts."""

    def __call__(self, names: Sequence[str], *, forgetting: bool) -> Measured: ...


@dataclass(frozen=True)
class Blend:
    """A mean that is better than the best run, of the runs named, that one first."""

    names: tuple[str, ...]
    eval_loss: float
    forgetting: float | None


def held_for_means(budget: Budget, eval_tokens: float) -> float:
    """What to set aside of a budget for measuring means, in training tokens; 0 when it is too much to ask."""
    price = FORWARD_WEIGHT * (MOST_TRIED + 1) * eval_tokens
    return price if price <= MOST_BUDGET_SHARE * budget.tokens else 0.0


def candidates(steps: Sequence[Step], best: Step) -> list[Step]:
    """The runs that may be averaged with the best one, best first: those near it that ended well."""
    bar = (1 + NEAR_SHARE) * eval_loss_of(best)
    near = [
        step
        for step in steps
        if step is not best and step.outcome.diagnosis.health != "sick" and eval_loss_of(step) <= bar
    ]
    return sorted(near, key=eval_loss_of)[:MOST_TRIED]


def blend(steps: Sequence[Step], best: Step, *, measure: Measure, goal: Goal) -> tuple[Blend | None, int]:
    """The mean to keep in place of the best run, None when none is better; and the tokens forwarded to find out.

    Better: 0.5 % below the best run's own loss, and for goal ``balanced`` with no more forgotten than the doctor
    allows, or than the best run forgets.
    """
    names, lowest, tokens = [best.outcome.name], eval_loss_of(best), 0
    for step in candidates(steps, best):
        found = measure([*names, step.outcome.name], forgetting=False)
        tokens += found.eval_tokens
        if found.eval_loss < lowest:
            names, lowest = [*names, step.outcome.name], found.eval_loss
    if not lowest < (1 - BAR_SHARE) * eval_loss_of(best):
        return None, tokens
    if goal == "eval":
        return Blend(tuple(names), lowest, None), tokens
    found = measure(names, forgetting=True)
    allowed = max(FORGETTING_NATS.value, best.outcome.summary.forgetting or 0.0)
    if found.forgetting is not None and not found.forgetting <= allowed:
        return None, tokens + found.eval_tokens
    return Blend(tuple(names), lowest, found.forgetting), tokens + found.eval_tokens
