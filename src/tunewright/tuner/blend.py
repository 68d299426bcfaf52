"""The last thing a tuning tries: the mean of its good runs' weights, which costs a few evaluations and no training.

Runs that start from one base and see the same rows lie in one valley of the loss, and the mean of their weights often
lies lower than any of them (Wortsman et al., Model soups, 2022-03). As there, the best run comes first and the others
are added from the next best on, each kept only where the mean gets better; siblings come before, all at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tunewright.doctor.thresholds import FORGETTING_NATS
from tunewright.tuner.budget import FORWARD_WEIGHT, Budget
from tunewright.tuner.choice import eval_loss_of
from tunewright.tuner.rungs import BAR_SHARE
from tunewright.tuner.step import Goal, Step

MOST_TRIED = 5
"""Runs that are tried beside the best one."""
NEAR_SHARE = 0.25
"""A run whose loss is more than this share above the best one's lies elsewhere: its mean with it is not tried."""
MOST_BUDGET_SHARE = 0.03
"""Of a budget, what the evaluations of the means may cost; as many are measured as that pays for."""


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


def means_within(budget: Budget, eval_tokens: float) -> int:
    """How many means 3 % of the budget can measure, one more than runs are tried at most.

    >>> means_within(Budget(tokens=10_000.0), eval_tokens=250.0)
    2
    """
    affordable = MOST_BUDGET_SHARE * budget.tokens / max(1.0, FORWARD_WEIGHT * eval_tokens)
    return int(min(MOST_TRIED + 1, affordable))


def candidates(steps: Sequence[Step], best: Step) -> list[Step]:
    """The runs that may be averaged with the best one: those near it that ended well, best first; all siblings, and
    of the others no more than five runs in all leave room for. A run that kept the weights of another is that one."""
    bar = (1 + NEAR_SHARE) * eval_loss_of(best)
    near = [step for step in steps if step.outcome.diagnosis.health != "sick" and eval_loss_of(step) <= bar]
    kept = {_kept(step): step for step in reversed([best, *sorted(near, key=eval_loss_of)])}
    different = sorted((step for step in kept.values() if step is not best), key=eval_loss_of)
    others = [step for step in different if step.phase != "sibling"]
    room = max(1, MOST_TRIED - (len(different) - len(others)))
    return [step for step in different if step.phase == "sibling" or step in others[:room]]


def _kept(step: Step) -> tuple[object, ...]:
    """What tells the weights that a run kept: a longer run keeps those of the one it went on from when it got no
    better."""
    summary = step.outcome.summary
    return step.outcome.recipe.learning_rate, step.outcome.recipe.lora_rank, summary.best_epoch, summary.eval_loss


def blend(
    steps: Sequence[Step], best: Step, *, measure: Measure, goal: Goal, most: int = MOST_TRIED + 1
) -> tuple[Blend | None, int]:
    """The mean to keep in place of the best run, None when none is better; and the tokens forwarded to find out.

    Better: 0.5 % below the best run's own loss, and for goal ``balanced`` with no more forgotten than the doctor
    allows, or than the best run forgets. The mean of siblings, which is tried first, needs only not to be 0.5 % above
    it: the best of several alike was in part lucky with the validation rows, and their mean was not chosen by them.

    most : means that may be measured
    """
    most_grown = most if goal == "eval" else most - 1  # one is kept for what the mean forgets
    names, lowest, tokens = _grown(candidates(steps, best), best, measure, most_grown)
    if len(names) == 1:
        return None, tokens
    if goal == "eval":
        return Blend(names, lowest, None), tokens
    found = measure(names, forgetting=True)
    allowed = max(FORGETTING_NATS.value, best.outcome.summary.forgetting or 0.0)
    if found.forgetting is not None and not found.forgetting <= allowed:
        return None, tokens + found.eval_tokens
    return Blend(names, lowest, found.forgetting), tokens + found.eval_tokens


def _grown(others: Sequence[Step], best: Step, measure: Measure, most: int) -> tuple[tuple[str, ...], float, int]:
    """The runs whose mean is better than the best one alone, that one first; its loss; tokens forwarded.

    All siblings at once, then one run after the other, each kept where the mean gets better.
    """
    alone = eval_loss_of(best)
    names: tuple[str, ...] = (best.outcome.name,)
    lowest, bar, tokens = alone, (1 - BAR_SHARE) * alone, 0
    singles = [(step.outcome.name,) for step in others]
    family = tuple(step.outcome.name for step in others if step.phase == "sibling")
    alike = family if len(family) > 1 else ()
    measured = 0
    for more in dict.fromkeys((alike, *singles)):
        if set(more) <= set(names) or measured == most:
            continue
        found = measure([*names, *more], forgetting=False)
        tokens, measured = tokens + found.eval_tokens, measured + 1
        if more == alike and found.eval_loss <= (1 + BAR_SHARE) * alone:
            names, lowest, bar = (*names, *more), found.eval_loss, math.inf
        elif found.eval_loss < lowest:
            names, lowest = (*names, *more), found.eval_loss
    return (names, lowest, tokens) if lowest < bar else ((best.outcome.name,), alone, tokens)
