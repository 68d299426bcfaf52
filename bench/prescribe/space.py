"""What random search and TPE may vary: two decades of learning rates around the planner's start, the rest by choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.fault_sft.spec import Recipe, Spec
from bench.prescribe.knobs import usual_rate

REACH = 10.0
"""Times the planner's rate, above and below."""
CHOICES: Mapping[str, tuple[Any, ...]] = {
    "batch": (4, 8, 16),
    "schedule": ("cosine", "linear", "constant"),
    "warmup": (0.0, 0.05, 0.1),
    "weight_decay": (0.0, 0.01),
    "rank": (8, 16, 32),
    "steps": (40, 75, 110, 150),
}


def middle_rate(first: Spec) -> float:
    """The planner's rate for the method and model of a case, whatever its own settings are."""
    return usual_rate(replace(first, recipe=_plain(first)))


def recipe_of(first: Spec, rate: float, chosen: Mapping[str, Any]) -> Recipe:
    """A recipe for the case's method and rows, with this rate and one choice of each kind."""
    settings = {name: chosen[name] for name in CHOICES if name != "steps"}
    recipe = _plain(first).changed(learning_rate=float(f"{rate:.3g}"), **settings)
    return recipe.changed(epochs=chosen["steps"] / recipe.steps_per_epoch)


def chosen_by(recipe: Recipe) -> dict[str, Any]:
    """The choices nearest to a recipe's settings; a schedule that is none of them is left out."""
    sizes = {name: getattr(recipe, name) for name in CHOICES if name not in ("batch", "schedule")}
    sizes["batch"] = recipe.batch * recipe.accumulation
    near = {name: min(CHOICES[name], key=lambda one: abs(one - size)) for name, size in sizes.items()}
    return {**near, **({"schedule": recipe.schedule} if recipe.schedule in CHOICES["schedule"] else {})}


def _plain(first: Spec) -> Recipe:
    return Recipe(method=first.recipe.method, rows=first.recipe.rows)
