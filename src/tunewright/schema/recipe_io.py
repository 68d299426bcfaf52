"""Recipes in and out: YAML text, ``key=value`` settings, and errors that name every fault at once."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tunewright.schema.errors import RecipeError
from tunewright.schema.recipe import Recipe

KEYS = tuple(Recipe.model_fields)


def nearest(word: str, choices: Iterable[str]) -> str:
    """The choice most like ``word``, or an empty string when none is close.

    >>> nearest("lerning_rate", KEYS)
    'learning_rate'
    """
    close = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.6)
    return close[0] if close else ""


def make_recipe(values: Mapping[str, Any], *, where: str = "recipe") -> Recipe:
    """A checked recipe from plain values.

    Raises RecipeError with every fault: unknown keys (with the nearest name), wrong types, out-of-range numbers.
    """
    try:
        return Recipe.model_validate(dict(values))
    except ValidationError as error:
        faults = [_fault(dict(item)) for item in error.errors(include_url=False)]
        raise RecipeError([f"{where}: {fault}" for fault in faults], hint="tunewright plan --schema") from None


def check_keys(values: Mapping[str, Any], *, where: str = "recipe") -> None:
    """Refuse keys no recipe has, all at once, each with the nearest name."""
    unknown = [_unknown(key) for key in values if key not in KEYS]
    if unknown:
        raise RecipeError([f"{where}: {fault}" for fault in unknown], hint="tunewright plan --schema")


def _unknown(key: str) -> str:
    guess = nearest(key, KEYS)
    return f"unknown key {key!r}" + (f", did you mean {guess!r}?" if guess else "")


def _fault(item: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        *outer, key = (str(part) for part in item["loc"])
        return f"{'.'.join(outer)}: unknown key {key!r}" if outer else _unknown(key)
    if item["type"] == "missing":
        return f"{place} is missing"
    message = str(item["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    return f"{place} = {item['input']!r}: {message}" if place else message


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """``["learning_rate=1e-4", "replay={share: 0.25}"]`` as a dict; the right-hand sides are YAML.

    >>> parse_settings(["learning_rate=1e-4", "lora_target=q_proj+v_proj"])
    {'learning_rate': 0.0001, 'lora_target': ['q_proj', 'v_proj']}
    """
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise RecipeError(f"--set {setting}: expected key=value", hint="tunewright plan --schema")
        values[key.strip()] = parse_value(text.strip(), where=f"--set {key}")
    check_keys(values, where="--set")
    return values


def parse_value(text: str, *, where: str) -> Any:
    """One YAML value; ``a+b`` is a list of words; ``1e-4`` is a number."""
    if "+" in text and all(part.isidentifier() for part in text.split("+")):
        return text.split("+")
    return parse_yaml(text, where=where)


def _tidy(value: Any) -> Any:
    """Keys as text, and dates as the text they were: no recipe key holds a date, but a path may look like one."""
    if isinstance(value, dict):
        return {str(key): _tidy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


MOST_VALUES = 100_000
"""Values a YAML text may stand for once its references are written out; a page of them can name billions."""


def _written_out(value: Any, known: dict[int, int]) -> int:
    """How many values there are when every reference is written out; each is counted once and remembered.

    Raises ValueError for a list or mapping that holds itself.
    """
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        known[id(value)] = -1
        known[id(value)] = 1 + sum(_written_out(item, known) for item in _items(value))
    if known[id(value)] < 0:
        raise ValueError("it refers to itself")
    return known[id(value)]


def _items(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def parse_yaml(text: str, *, where: str) -> Any:
    """The value of a YAML text (version 1.2, so ``1e-4`` is a number and a quoted one is text).

    Raises RecipeError, with the line, for text that is not YAML or that stands for more than MOST_VALUES values.
    """
    try:
        value = YAML(typ="safe", pure=True).load(text)
        if _written_out(value, {}) > MOST_VALUES:
            raise ValueError(f"its references stand for more than {MOST_VALUES} values")
        return _tidy(value)
    except YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        place = where if line is None else f"{where}, line {line + 1}"
        raise RecipeError(f"{place}: not YAML: {getattr(error, 'problem', None) or 'cannot be read'}") from None
    except (ValueError, TypeError, RecursionError) as error:
        # tags that lie (!!int x), impossible dates, endless digits, lists that hold themselves
        raise RecipeError(f"{where}: not YAML that can be meant: {error}") from None


def read_settings(path: Path) -> dict[str, Any]:
    """The keys and values of a recipe file, checked for unknown keys only (a partial recipe is fine)."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise RecipeError(f"{path}: cannot be read: {reason}") from None
    values = parse_yaml(text, where=str(path))
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: expected a mapping of recipe keys to values", hint="tunewright plan --schema")
    check_keys(values, where=str(path))
    return {str(key): value for key, value in values.items()}


def to_yaml(recipe: Recipe, comments: Mapping[str, str] | None = None) -> str:
    """The recipe as YAML, one key a line, with a comment (the reason) above the keys that have one."""
    writer = YAML()
    writer.default_flow_style = False
    lines: list[str] = []
    for key, value in recipe.model_dump(mode="json").items():
        if comments and comments.get(key):
            lines.append("# " + " ".join(comments[key].split()))
        buffer = io.StringIO()
        writer.dump({key: value}, buffer)
        lines.append(buffer.getvalue().rstrip("\n"))
    return "\n".join(lines) + "\n"


def comments_of(text: str) -> dict[str, str]:
    """The comment above each key of a recipe as :func:`to_yaml` writes it: why the key has its value.

    >>> comments_of(chr(10).join(["# small model", "learning_rate: 0.003", "seed: 0"]))
    {'learning_rate': 'small model'}
    """
    found: dict[str, str] = {}
    above = ""
    for line in text.splitlines():
        key, colon, _ = line.partition(":")
        if colon and key in KEYS and above:
            found[key] = above
        above = line.removeprefix("# ") if line.startswith("# ") else ""
    return found


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a recipe, for editors."""
    return Recipe.model_json_schema()
