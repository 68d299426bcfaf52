"""A run and what is left of the budget: whether it may start, and how it is cut where it nearly fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tunewright.planner.sources import TUNEWRIGHT
from tunewright.prescribe.promise import BUDGET_RULE
from tunewright.schema.prescription import Change
from tunewright.schema.recipe import Recipe
from tunewright.tuner.budget import Budget, Spent, exhausted

LEAST_SHARE = 0.5
"""A run is cut to fit the budget down to this share of its epochs, not further."""
MOST_CUTS = 4
BUDGET_MARGIN = 0.97
"""Costs are predicted: a cut run aims a little below what is left."""


@dataclass(frozen=True)
class Costs:
    """What a recipe would take: training tokens (evaluations at half weight included) and seconds."""

    tokens: float
    seconds: float


def fit_to_budget(
    recipe: Recipe,
    cost_of: Callable[[Recipe], Costs],
    budget: Budget,
    used: Spent,
    *,
    least_share: float = LEAST_SHARE,
) -> tuple[Recipe, tuple[Change, ...]]:
    """The recipe with its epochs cut to what is left of the budget, when at least ``least_share`` of them can be run.

    A run that would be cut shorter than that answers another question: it is left as it is, and refused. With a least
    share of 0 every run is cut, to one step if need be.
    """
    share = affordable_share(cost_of(recipe), budget, used)
    if share >= 1 or (BUDGET_MARGIN * share < least_share and least_share > 0) or recipe.max_steps is not None:
        return recipe, ()
    before = after = recipe.num_train_epochs
    for _ in range(MOST_CUTS):  # evaluations at the ends do not get fewer with the epochs, so one cut may not do
        wanted = after * max(0.0, BUDGET_MARGIN * share)
        after = round(wanted, 1) if wanted >= 1 else max(0.001, round(wanted, 3))
        share = affordable_share(cost_of(recipe.changed(num_train_epochs=after)), budget, used)
        if share >= 1 or after <= least_share * before:
            break
    why = f"cut to what is left of the budget ({100 * after / before:.0f} % of the run asked for)"
    change = Change("num_train_epochs", before, after, after / before, why, BUDGET_RULE, TUNEWRIGHT)
    return recipe.changed(num_train_epochs=after), (change,)


def affordable_share(cost: Costs, budget: Budget, used: Spent) -> float:
    """What is left of the budget as a share of the cost."""
    shares = [(budget.tokens - used.cost) / max(1.0, cost.tokens)]
    shares += [(budget.seconds - used.seconds) / cost.seconds] if cost.seconds > 0 else []
    return min(shares)


def refusal_of(recipe: Recipe, cost_of: Callable[[Recipe], Costs], budget: Budget, used: Spent) -> str:
    """Why the run may not start; empty if it may."""
    cost = cost_of(recipe)
    refusal = exhausted(budget, used, cost.tokens, cost.seconds)
    return f"the budget is used up: {refusal}" if refusal else ""
