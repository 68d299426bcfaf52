"""What a run's recipe becomes next, and the form of a new tuning: what can be started from the board."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from tunewright.app.next_recipe import next_recipe
from tunewright.board.jobs import GOALS
from tunewright.board.places import folder_at
from tunewright.board.store import Store
from tunewright.board.tree_json import block_json
from tunewright.reporter.curve_section import changes_table
from tunewright.reporter.words import one_line, safe
from tunewright.schema.errors import TunewrightError
from tunewright.schema.prescription import Prescription
from tunewright.schema.recipe_io import json_schema, make_recipe, read_settings, to_yaml

NOT_IN_FORM = ("model", "data", "replay", "modules_to_save", "report_to", "init_adapter", "seed")
"""Recipe keys with a field of their own in the form, or that are no plain value."""


def next_answer(store: Store, name: str) -> dict[str, Any]:
    """The next recipe of a run: what changes and why, the recipe to copy, and its difference to this one.

    Raises UsageError or DataError when the run has no curve or no recipe to go by.
    """
    folder = folder_at(store.root, name)
    answer = next_recipe(folder, runs_dir=store.root)
    prescription: Prescription = answer["prescription"]
    after = yaml_of(answer["recipe"], prescription)
    return {
        "keep": prescription.keep or not prescription.changes,
        "why": safe(prescription.why),
        "changes": block_json(changes_table(prescription.changes)) if prescription.changes else None,
        "disagreements": [one_line(said) for said in prescription.disagreements],
        "recipe": after,
        "diff": _diff(folder / "recipe.yaml", after) if after else [],
        "can_start": bool(after),
    }


def yaml_of(recipe: Any, prescription: Prescription) -> str:
    """The recipe as it is run, with the reasons of what changed; empty when the run's own recipe is not known."""
    if not recipe or "model" not in recipe or "data" not in recipe:
        return ""
    return to_yaml(make_recipe(recipe), {change.key: change.why for change in prescription.changes})


def _diff(recipe: Path, after: str) -> list[dict[str, str]]:
    """Lines of both recipes that differ: {"sign": "-" or "+", "text"}.

    Both are written out alike first, so that another order, a comment or a default left out is no difference.
    """
    try:
        before = to_yaml(make_recipe(read_settings(recipe)))
    except (TunewrightError, OSError):
        return []
    lines = difflib.ndiff(_bare(before), _bare(after))
    return [{"sign": line[0], "text": one_line(line[2:])} for line in lines if line[:1] in "+-"]


def _bare(yaml: str) -> list[str]:
    """The lines without their comments."""
    lines = (line.partition("  #")[0].rstrip() for line in yaml.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def form_answer() -> dict[str, Any]:
    """The fields of the form, from the recipe's own schema: name, kind, choices, default, bounds, what it means."""
    schema = json_schema()
    fields = [_field(key, about) for key, about in schema["properties"].items() if key not in NOT_IN_FORM]
    return {"goals": list(GOALS), "fields": [field for field in fields if field is not None]}


def _field(key: str, about: dict[str, Any]) -> dict[str, Any] | None:
    """One input; None for a value that is no word or number."""
    plain = [one for one in about.get("anyOf", [about]) if one.get("type") in _INPUTS]
    if not plain:
        return None
    kind = plain[0]
    return {
        "key": key,
        "input": "choice" if "enum" in kind else _INPUTS[kind["type"]],
        "choices": kind.get("enum", []),
        "default": about.get("default"),
        "least": kind.get("minimum", kind.get("exclusiveMinimum")),
        "most": kind.get("maximum", kind.get("exclusiveMaximum")),
        "about": about.get("description", ""),
    }


_INPUTS = {"string": "text", "integer": "whole", "number": "number", "boolean": "switch"}
