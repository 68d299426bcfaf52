"""plan: the first run with a reason for every value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewright.app.prepare import prepare
from tunewright.app.request import Request
from tunewright.record.files import write_whole
from tunewright.schema.plan import Plan
from tunewright.schema.recipe_io import to_yaml


def plan(data: str = "", *, request: Request | None = None, **settings: Any) -> Plan:
    """Plan a run without starting it. Keyword arguments are recipe keys and win over everything planned.

    ``tw.plan("rows.jsonl", model="Qwen/Qwen3-0.6B").recipe.learning_rate``
    """
    return prepare(request or Request(data=data, settings=settings), refuse_faults=False).plan


def plan_answer(made: Plan) -> dict[str, Any]:
    """The ``plan`` JSON."""
    return {
        "recipe": made.recipe.model_dump(mode="json"),
        "values": made.values,
        "predicted": made.predicted,
        "stages": made.stages,
        "warnings": made.warnings,
    }


def save_recipe(made: Plan, out: str) -> None:
    """Write the recipe as YAML, each value under its reason."""
    write_whole(Path(out), to_yaml(made.recipe, {value.key: value.why for value in made.values}))
