"""A prescription written back into the user's own config or script: the fewest keys that say it, nothing else."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewright.planner.steps import warmup_steps
from tunewright.schema.errors import RecipeError
from tunewright.schema.recipe import OTHER_WARMUP, Recipe
from tunewright.schema.recipe_io import make_recipe, parse_yaml
from tunewright.trainers.importing import Foreign
from tunewright.trainers.script_edit import edit_script
from tunewright.trainers.script_reading import script_settings
from tunewright.trainers.tool import Tool
from tunewright.trainers.translation import Lost, Translation, Values
from tunewright.trainers.yaml_edit import edit_yaml

HELD_OUT = {"axolotl": "val_set_size", "llamafactory": "val_size"}
"""The share of rows held out, which no table has: an export carries the rows themselves."""

STOPPING = ("eval_steps", "save_steps")
"""What early stopping needs beside its patience, with the best checkpoint kept."""


@dataclass(frozen=True)
class Edited:
    """text: the user's file with the changes in it; changed: their key -> (before, after), None where there was or is
    none; cannot: changes that such a file has no word for."""

    tool: Tool
    text: str
    changed: Mapping[str, tuple[Any, Any]]
    cannot: tuple[Lost, ...]

    def diff(self, old: str, name: str) -> str:
        """The change as a patch."""
        lines = difflib.unified_diff(
            old.splitlines(keepends=True), self.text.splitlines(keepends=True), name, name, n=1
        )
        return "".join(lines)


def edited(path: Path, foreign: Foreign, changes: Mapping[str, Any], *, steps: int | None) -> Edited:
    """``path`` (a config that was read as ``foreign``) with these recipe keys changed.

    steps: optimizer steps of the run, which a warm-up given as a share is counted in; None: not known. Raises
    RecipeError where the file cannot be changed in place.
    """
    tool, text = foreign.tool, path.read_text(encoding="utf-8")
    script = tool.file.endswith(".py")
    given: Values = script_settings(text) if script else dict(parse_yaml(text, where=str(path)))
    known = {**foreign.values, "model": foreign.values.get("model", "?"), "data": foreign.values.get("data", "?")}
    after = _spelt(make_recipe({**_without_warmup(known, changes), **changes}), steps)
    wanted: Values = {}
    cannot: list[Lost] = []
    for key in changes:
        found = _keys_for(tool, key, after, given, steps)
        if found is None:
            cannot.append(Lost(key, changes[key], f"{tool.title} has no word for it: the file is left as it is there"))
        else:
            wanted |= found
    gone = [] if script else [key for key in _replaced(wanted) if key in given]
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in wanted.items()}
    new = edit_script(text, plain, where=str(path)) if script else edit_yaml(text, plain, gone, where=str(path))
    changed = {key: (given.get(key), value) for key, value in plain.items()} | {key: (given[key], None) for key in gone}
    return Edited(tool, new, changed, tuple(cannot))


def _without_warmup(known: Values, changes: Mapping[str, Any]) -> Values:
    """A warm-up of one kind replaces the other."""
    gone = {OTHER_WARMUP[key] for key in changes if key in OTHER_WARMUP}
    return {key: value for key, value in known.items() if key not in gone}


def _spelt(recipe: Recipe, steps: int | None) -> Recipe:
    """Warm-up and cadence as numbers, where the length of the run is known."""
    if steps is None:
        return recipe
    every = recipe.eval_steps or max(1, steps // 10)
    save = recipe.save_steps or every
    return recipe.changed(
        warmup_steps=warmup_steps(recipe, steps),
        warmup_ratio=None,
        eval_steps=every,
        save_steps=-(-save // every) * every,
    )


def _keys_for(tool: Tool, key: str, after: Recipe, given: Values, steps: int | None) -> Values | None:
    """The fewest of the tool's keys that make it read ``key`` as ``after`` has it; None when there are none."""
    if key == "warmup_ratio" and (given.get(key) is not None or steps is None) and key in tool.known:
        return {key: after.warmup_ratio if steps is None else round((after.warmup_steps or 0) / steps, 4)}
    if key == "val_size" and tool.name in HELD_OUT:
        return {HELD_OUT[tool.name]: after.val_size}
    entries = [entry for entry in tool.table if key in entry.ours]
    if key == "early_stopping_patience" and after.early_stopping_patience:
        if after.eval_steps is None:
            return None
        entries += [entry for entry in tool.table if set(entry.ours) & set(STOPPING) or _keeps_the_best(entry)]
    if not entries or any(one.key == key for one in tool.lost(after)):
        return None
    found: Values = {}
    for entry in entries:
        found |= _fewest(entry, after, {**tool.defaults, **given}, steps or 0)
    return found or None


def _keeps_the_best(entry: Translation) -> bool:
    return not entry.ours and any(key.endswith("load_best_model_at_end") for key in entry.theirs)


def _fewest(entry: Translation, after: Recipe, has: Values, steps: int) -> Values:
    """Of the entry's keys those that must be written; a setting that is there already stays untouched."""
    out = {key: value for key, value in entry.out(after, steps).items() if value is not None}
    kept = {key: value for key, value in out.items() if has.get(key) != value}
    said = _plain(entry.back({**has, **out}))
    for key in list(kept):
        fewer = {name: value for name, value in kept.items() if name != key}
        if entry.ours and _plain(entry.back({**has, **fewer})) == said:
            kept = fewer
    return kept


def _plain(values: Values) -> Values:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def _replaced(wanted: Iterable[str]) -> list[str]:
    """Keys that may not stand beside those that are written."""
    pairs = {**OTHER_WARMUP, "eval_steps": "evals_per_epoch", "save_steps": "saves_per_epoch"}
    return [pairs[key] for key in wanted if key in pairs]


def refuse_other(tool: Tool, wanted: str, path: Path) -> None:
    """Raise RecipeError when ``--to`` asks for another tool's config than the one given."""
    if wanted and wanted != tool.name:
        raise RecipeError(
            f"{path}: a config of {tool.title}, but --to {wanted}",
            hint=f"tunewright export {path} --to {wanted} -o DIR writes the run for that tool",
        )
