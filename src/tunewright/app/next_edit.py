"""next for another trainer: the prescription as an edit of the user's own config, or as a new export."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tunewright.app.export import export
from tunewright.record.files import write_whole
from tunewright.schema.errors import UsageError
from tunewright.schema.prescription import Prescription
from tunewright.schema.recipe_io import make_recipe, to_yaml
from tunewright.trainers.edit import edited, refuse_other
from tunewright.trainers.importing import Foreign, read_foreign


def foreign_config(file: str, to: str) -> Foreign:
    """The config of TRL, Unsloth, Axolotl or LLaMA-Factory that a run was made with.

    Raises UsageError for what is none of theirs, RecipeError when it cannot be read or is not for the tool ``to``.
    """
    path = Path(file)
    found = read_foreign(path, needs_rows=False)
    if found is None:
        raise UsageError(
            f"{file}: no config of TRL, Unsloth, Axolotl or LLaMA-Factory",
            hint="a run of ours has its recipe in its folder: leave --recipe out",
        )
    refuse_other(found.tool, to, path)
    return found


def write_back(
    file: str, foreign: Foreign, prescription: Prescription, *, steps: int | None, out: str
) -> dict[str, Any]:
    """The prescription in the user's own file: ``{"file", "tool", "changed", "cannot", "diff", "written"}``.

    steps: of the run that was read, where known; out: where the edited file goes, "" for nowhere (the diff tells).
    """
    path = Path(file)
    changes = {change.key: change.after for change in prescription.changes if change.after is not None}
    changes = {} if prescription.keep else changes
    old = path.read_text(encoding="utf-8")
    made = edited(path, foreign, changes, steps=steps)
    if out:
        write_whole(Path(out), made.text)
    return {
        "file": str(path),
        "tool": foreign.tool.name,
        "changed": [{"key": key, "from": before, "to": after} for key, (before, after) in made.changed.items()],
        "cannot": [{"key": one.key, "value": one.value, "effect": one.effect} for one in made.cannot],
        "diff": made.diff(old, path.name),
        "written": out or None,
    }


def export_next(recipe: dict[str, Any] | None, prescription: Prescription, *, to: str, out: str) -> dict[str, Any]:
    """The next recipe as a folder for ``to``. Raises UsageError when the recipe is not known whole."""
    if not out:
        raise UsageError(
            f"--to {to}: expected --out DIR for the files", hint="or --recipe FILE to edit your own config"
        )
    if recipe is None or "model" not in recipe or "data" not in recipe:
        raise UsageError(
            f"--to {to}: the run's own recipe is not known, so no whole run can be written",
            hint="name the config the run was made with: --recipe FILE",
        )
    whys = {change.key: change.why for change in prescription.changes}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.yaml"
        write_whole(file, to_yaml(make_recipe(recipe), whys))
        return export(file, to=to, out=out)
