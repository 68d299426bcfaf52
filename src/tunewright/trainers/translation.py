"""Recipe keys and the keys of another trainer: one table, read in both directions.

A table is a sequence of :class:`Translation` entries. Exporting asks each for the other tool's keys of a resolved
recipe; importing asks each for the recipe keys of that tool's settings, its own defaults filled in first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tunewright.planner.steps import evaluation_every, steps_per_epoch, total_steps, warmup_steps
from tunewright.schema.errors import RecipeError
from tunewright.schema.recipe import Recipe

Values = dict[str, Any]
Keys = Mapping[str, Any]

ROW_KEYS = ("data", "val", "test", "val_size", "template", "loss_on", "stage", "replay")
"""What decides which tokens are trained on. An export carries it in its rows, not in the other tool's keys."""


@dataclass(frozen=True)
class Code:
    """A Python expression of a script: not a value until the script runs, such as ``torch.bfloat16``."""

    text: str

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Translation:
    """ours, theirs: the keys on each side (no key of ours: a fixed setting); out: their values of a resolved recipe
    and its number of steps (None: the key is left out); back: our values of their keys; about: what differs in
    meaning, for the table in the documentation and as a comment."""

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    out: Callable[[Recipe, int], Values]
    back: Callable[[Keys], Values]
    about: str = ""


@dataclass(frozen=True)
class Lost:
    """A setting of a recipe that the other tool has no word for; effect: what its run does instead."""

    key: str
    value: Any
    effect: str

    def __str__(self) -> str:
        return f"{self.key} = {self.value}: {self.effect}"


def same(*keys: str, prefix: str = "") -> tuple[Translation, ...]:
    """Keys of the same name and meaning on both sides."""
    return tuple(renamed(key, prefix + key) for key in keys)


def renamed(
    ours: str,
    theirs: str,
    out: Callable[[Any], Any] = lambda value: value,
    back: Callable[[Any], Any] = lambda value: value,
    about: str = "",
) -> Translation:
    """One key under another name; ``out`` and ``back`` convert its value.

    >>> entry = renamed("lora_rank", "lora_r")
    >>> entry.out(Recipe(model="m", data="d"), 10), entry.back({"lora_r": 8})
    ({'lora_r': 16}, {'lora_rank': 8})
    """
    return Translation(
        (ours,),
        (theirs,),
        lambda recipe, _: {theirs: out(getattr(recipe, ours))},
        lambda keys: {ours: back(keys[theirs])} if keys.get(theirs) is not None else {},
        about,
    )


def fixed(values: Values, about: str) -> Translation:
    """Settings an export always makes, because a good run needs them; nothing of a recipe says them."""
    return Translation((), tuple(values), lambda _recipe, _steps: values, lambda _: {}, about)


def choice(ours: str, theirs: str, names: Mapping[Any, Any], also: Mapping[Any, tuple[Any, ...]]) -> Translation:
    """One key whose values have other names; also: further names of theirs for a value of ours."""
    back = {their: our for our, their in names.items()}
    for our, others in also.items():
        back.update(dict.fromkeys(others, our))
    return Translation(
        (ours,),
        (theirs,),
        lambda recipe, _: {theirs: names[getattr(recipe, ours)]},
        lambda keys: {ours: back[keys[theirs]]} if keys.get(theirs) in back else {},
    )


def resolved(recipe: Recipe, *, rows: int, val_rows: int, max_length: int) -> Recipe:
    """The recipe with every value spelt out that it leaves to the run: the form all tools understand.

    A warm-up becomes whole steps, the cadence of evaluation and saving becomes numbers, and a save falls on an
    evaluation (rounded up), because loading the best checkpoint needs both at once.
    """
    total = total_steps(recipe, rows)
    per_epoch = steps_per_epoch(rows, recipe.per_device_train_batch_size, recipe.gradient_accumulation_steps)
    every = evaluation_every(recipe, total, per_epoch)
    save = recipe.save_steps or every
    return recipe.changed(
        max_length=recipe.max_length or max_length,
        warmup_steps=warmup_steps(recipe, total),
        warmup_ratio=None,
        eval_steps=every,
        save_steps=-(-save // every) * every if val_rows else save,
        lora_target=targets(recipe.lora_target),
    )


def adjusted(recipe: Recipe, resolved_recipe: Recipe) -> tuple[Lost, ...]:
    """What :func:`resolved` had to change in what the user asked for."""
    asked, got = recipe.save_steps, resolved_recipe.save_steps
    if asked is None or asked == got:
        return ()
    return (Lost("save_steps", asked, f"{got} there, since a checkpoint must fall on an evaluation to be the best"),)


def targets(value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """ "all", or module names as a tuple, however they were written."""
    if isinstance(value, str):
        return value if value == "all" else tuple(name.strip() for name in value.split(","))
    return value


def imported_values(table: tuple[Translation, ...], defaults: Keys, given: Keys) -> Values:
    """The recipe keys of the other tool's settings, what it does by itself included.

    What is code is left out: its value is not known. Raises RecipeError for a value no such setting can have.
    """
    keys = {**defaults, **given}
    values: Values = {}
    for entry in table:
        try:
            values |= entry.back(keys)
        except RecipeError:
            raise  # says itself what is wrong
        except (TypeError, ValueError, AttributeError):
            told = {key: given[key] for key in entry.theirs if key in given}
            if not any(is_code(value) for value in told.values()):
                raise RecipeError(
                    [f"{key} = {value!r}: not a value it can have" for key, value in told.items()]
                ) from None
    return {key: value for key, value in values.items() if value is not None and not is_code(value)}


def is_code(value: Any) -> bool:
    """Whether any of it is only known when a script runs."""
    if isinstance(value, Mapping):
        return any(is_code(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(is_code(item) for item in value)
    return isinstance(value, Code)


def with_prefix(entry: Translation, prefix: str) -> Translation:
    """The same entry where the other tool's keys live under ``prefix``, such as ``SFTConfig.``."""
    return replace(
        entry,
        theirs=tuple(prefix + key for key in entry.theirs),
        out=lambda recipe, steps: {prefix + key: value for key, value in entry.out(recipe, steps).items()},
        back=lambda keys: entry.back(
            {key.removeprefix(prefix): value for key, value in keys.items() if key.startswith(prefix)}
        ),
    )
