"""The recipe of a run folder, read the fast way where that is sure to give the same."""

from __future__ import annotations

from typing import Any

from tunewright.record.run import Run
from tunewright.schema.errors import DataError


def settings_of(run: Run) -> dict[str, Any]:
    """The recipe keys of a run, empty when its recipe is missing. Raises DataError or RecipeError for a damaged one.

    plan.json holds the same values and is read a hundred times as fast as YAML; it is believed unless recipe.yaml
    was changed after it.
    """
    recipe = run.path / "recipe.yaml"
    try:
        written_ns = recipe.stat().st_mtime_ns
    except OSError:
        return {}
    planned = _planned(run, written_ns)
    if planned:
        return planned
    from tunewright.schema.recipe_io import read_settings

    return read_settings(recipe)


def _planned(run: Run, recipe_written_ns: int) -> dict[str, Any]:
    """The values of plan.json; empty when it is older than the recipe, damaged or not as the planner writes it."""
    try:
        if (run.path / "plan.json").stat().st_mtime_ns < recipe_written_ns:
            return {}
        values = run.read("plan.json").get("values")
    except (OSError, DataError):
        return {}
    if not isinstance(values, list) or not all(isinstance(one, dict) and "key" in one for one in values):
        return {}
    return {str(one["key"]): one.get("value") for one in values}
