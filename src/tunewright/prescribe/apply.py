"""From a recipe and a prescription to the next recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunewright.prescribe.values import is_number, scaled
from tunewright.schema.prescription import Change, Prescription

if TYPE_CHECKING:  # a recipe brings pydantic along, which reading a log must not load
    from tunewright.schema.recipe import Recipe


def apply(recipe: Recipe, prescription: Prescription) -> Recipe:
    """The recipe with the prescription's changes made.

    A change with a value sets it; one with only a factor scales the recipe's own value (epochs mean ``max_steps``
    where that rules, the warm-up means the kind in use); a step for a person changes nothing. ``keep`` changes
    nothing. The result is checked like any recipe: RecipeError never, pydantic's ValidationError only when a change
    sets a value that no recipe can have.
    """
    values: dict[str, Any] = {}
    for change in () if prescription.keep else prescription.changes:
        values.update(_new_value(recipe, change))
    return recipe.changed(**values) if values else recipe


def recipe_changes(before: Recipe, after: Recipe) -> dict[str, tuple[Any, Any]]:
    """Key -> (before, after) for every key whose value differs; the keys are a run's ``changed``."""
    old, new = before.model_dump(), after.model_dump()
    return {key: (old[key], new[key]) for key in new if old[key] != new[key]}


def _new_value(recipe: Recipe, change: Change) -> dict[str, Any]:
    if change.after is not None:
        return {change.key: change.after}
    if change.factor is None:
        return {}
    key = _key_in_use(recipe, change.key)
    before = getattr(recipe, key, None)
    return {key: scaled(key, before, change.factor)} if is_number(before) and before else {}


def _key_in_use(recipe: Recipe, key: str) -> str:
    if key == "num_train_epochs" and recipe.max_steps is not None:
        return "max_steps"
    if key == "warmup_ratio" and recipe.warmup_ratio is None:
        return "warmup_steps"
    return key
