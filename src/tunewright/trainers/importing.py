"""Another trainer's config as recipe keys: what its run has, its own defaults included."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tunewright.schema.errors import RecipeError
from tunewright.schema.recipe_io import KEYS, nearest, parse_yaml, read_settings
from tunewright.trainers.exported import OUTPUT, TRAIN, WRITTEN
from tunewright.trainers.script_reading import script_settings
from tunewright.trainers.tool import Tool
from tunewright.trainers.tools import TOOLS
from tunewright.trainers.translation import ROW_KEYS, Keys, Values, imported_values, is_code

MOST_BYTES = 1_000_000
"""A config is a page or two; a file larger than this is something else."""

_SIGNS = {
    "axolotl": {"base_model", "micro_batch_size", "sequence_len", "num_epochs", "lora_r"},
    "llamafactory": {"model_name_or_path", "finetuning_type", "cutoff_len", "dataset_dir", "do_train"},
}
_NEW_LLAMAFACTORY = {"model_class", "train_dataset", "dist_config", "kernel_config", "peft_config"}
"""Keys of LLaMA-Factory's second trainer, whose configs share nothing else with those of the first."""

_SILENT = {
    "output_dir",
    "plot_loss",
    "dataset_prepared_path",
    "overwrite_output_dir",
    "do_train",
    "do_eval",
    "template",
}
_SILENT |= {"dataset", "dataset_dir", "eval_dataset", "datasets", "test_datasets", "val_size", "val_set_size"}
_SILENT |= {"warmup_ratio", "train_on_inputs", "random_state", "task_type", "bias", "logging_first_step"}


@dataclass(frozen=True)
class Foreign:
    """tool: whose config it is; values: recipe keys; left_out: its settings that a recipe has no word for, and what
    only the running script knows."""

    tool: Tool
    values: Values
    left_out: tuple[str, ...]


def read_foreign(path: Path, *, needs_rows: bool = True) -> Foreign | None:
    """The config of TRL, Unsloth, Axolotl or LLaMA-Factory at ``path``; None for what is none of theirs.

    Raises RecipeError, see :func:`read_config`.
    """
    found = read_config(path, needs_rows=needs_rows)
    return found if isinstance(found, Foreign) else None


def read_config(path: Path, *, needs_rows: bool = True) -> Foreign | Values:
    """The config of another trainer at ``path``; the keys of a YAML file as they are when it is none of theirs.

    A script is parsed, never executed. ``needs_rows``: data sets that the config names elsewhere must be found there;
    a change of its settings needs none. Raises RecipeError for a file that cannot be read, a key that newer releases
    removed (naming what replaced it), and keys that the tool never had (naming the nearest).
    """
    text = _text(path)
    if path.suffix == ".py":
        tool, keys = _script(path, text)
    else:
        loaded = _yaml(path, text)
        found = _whose(loaded, path)
        if found is None:
            return loaded
        tool, keys = found, loaded
    keys = tool.today(keys)
    _refuse_keys(tool, keys, path)
    try:
        values = imported_values(tool.table, tool.defaults, keys)
    except RecipeError as error:
        raise RecipeError([f"{path}: {fault}" for fault in error.faults]) from None
    try:
        rows = _rows(tool, keys, path, text)
    except RecipeError:
        if needs_rows:
            raise
        rows = {}
    values |= {key: value for key, value in rows.items() if value is not None}
    if isinstance(values.get("model"), str) and (path.parent / values["model"]).is_dir():
        values["model"] = str(path.parent / values["model"])
    return Foreign(tool, values, tuple(_left_out(tool, keys)))


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise RecipeError(f"{path}: {path.stat().st_size} bytes: a config is smaller than {MOST_BYTES}")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise RecipeError(f"{path}: cannot be read: {reason}") from None


def _script(path: Path, text: str) -> tuple[Tool, Values]:
    try:
        keys = script_settings(text)
    except SyntaxError as error:
        hint = "a YAML config is named .yaml" if re.search(r"(?m)^\w+:( |$)", text) else ""
        raise RecipeError(f"{path}, line {error.lineno}: not Python: {error.msg}", hint=hint) from None
    except (ValueError, RecursionError, MemoryError):
        raise RecipeError(f"{path}: not Python that can be read") from None
    if "SFTConfig" not in keys and "SFTTrainer" not in keys:
        raise RecipeError(
            f"{path}: no SFTConfig and no SFTTrainer in it: expected a TRL or Unsloth script for supervised fine-tuning"
        )
    unsloth = "FastLanguageModel" in keys or re.search(r"(?m)^\s*(from|import) unsloth\b", text)
    return TOOLS["unsloth" if unsloth else "trl"], keys


def _yaml(path: Path, text: str) -> Values:
    try:
        loaded = parse_yaml(text, where=str(path))
    except RecipeError as error:
        raise RecipeError(error.faults, hint=_python_hint(text) or error.hint) from None
    if not isinstance(loaded, dict):
        raise RecipeError(f"{path}: expected a mapping of keys to values", hint=_python_hint(text))
    return loaded


def _python_hint(text: str) -> str:
    return "it reads like Python: a script is named .py" if re.search(r"(?m)^(import|from) \w", text) else ""


def _whose(keys: Keys, path: Path) -> Tool | None:
    """The tool whose tell-tale keys are there, when they are not a recipe's own."""
    if not keys or all(key in KEYS for key in keys):
        return None
    if len(_NEW_LLAMAFACTORY & keys.keys()) > 1:
        raise RecipeError(
            f"{path}: a config of LLaMA-Factory's v1 trainer, which is not read",
            hint="configs of its stable trainer are: they begin with model_name_or_path",
        )
    counts = {name: len(signs & keys.keys()) for name, signs in _SIGNS.items()}
    name = max(counts, key=lambda name: counts[name])
    return TOOLS[name] if counts[name] else None


def _refuse_keys(tool: Tool, keys: Keys, path: Path) -> None:
    """Raise one RecipeError for every key that is gone and every key that never was."""
    faults = [
        f"{path}: {key} is gone from {tool.title}; in its place: {tool.removed[key]}"
        for key in keys
        if key in tool.removed
    ]
    if not keys.get("plugins"):  # a plugin brings keys of its own
        faults += [f"{path}: {fault}" for fault in _unknown(tool, keys)]
    if faults:
        raise RecipeError(faults, hint=f"keys of {tool.version}; our own: tunewright plan --schema")


def _unknown(tool: Tool, keys: Keys) -> Iterator[str]:
    scopes = {name.partition(".")[0] for name in tool.known if "." in name}
    for key in keys:
        scope, dot, _ = key.partition(".")
        checked = (dot and scope in scopes) or (not dot and not scopes)
        if checked and key not in tool.known and key not in tool.removed and key not in tool.translated:
            guess = nearest(key, tool.known)
            yield f"unknown key {key!r} of {tool.title}" + (f", did you mean {guess!r}?" if guess else "")


def _rows(tool: Tool, keys: Keys, path: Path, text: str) -> Values:
    """Where the rows are. An export of ours has the recipe beside it, whose rows have not been turned into tokens."""
    found = tool.rows({**tool.defaults, **keys}, path.parent)
    recipe = path.with_name("recipe.yaml")
    if WRITTEN in text[:300] and found.get("data") == str(path.parent / TRAIN) and recipe.is_file():
        settings = read_settings(recipe)
        return {key: settings[key] for key in ROW_KEYS if key in settings}
    return found


def _left_out(tool: Tool, keys: Keys) -> Iterator[str]:
    scopes = {name.partition(".")[0] for name in tool.translated if "." in name}
    for key, value in keys.items():
        scope, dot, name = key.partition(".")
        if (dot and scope not in scopes) or (not dot and scopes) or (name or key) in _SILENT:
            continue
        if is_code(value) and key in tool.translated and not _understood(key):
            yield f"{key} = {value}: only known when the script runs"
        elif key not in tool.translated and value not in (None, False, OUTPUT):
            yield f"{key} = {value}: a recipe has no word for it"


def _understood(key: str) -> bool:
    return key.endswith((".bf16", ".fp16", ".dtype"))
