"""A grid of recipe values: ``key=v1,v2`` in, one setting per cell of the product out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tunewright.schema.errors import UsageError
from tunewright.schema.recipe_io import check_keys, parse_value

MOST_CELLS = 4096
"""More than anyone can read; and each cell is a folder."""
Grid = Mapping[str, Sequence[Any]]


def parse_grid(texts: Iterable[str]) -> dict[str, list[Any]]:
    """``--grid`` texts as lists of values, each read like the right-hand side of ``--set``.

    Commas between brackets or quotes belong to a value. Raises UsageError and RecipeError for what is no list.

    >>> parse_grid(["learning_rate=1e-4,1e-3", "lora_target=q_proj+v_proj,all"])
    {'learning_rate': [0.0001, 0.001], 'lora_target': [['q_proj', 'v_proj'], 'all']}
    """
    grid: dict[str, list[Any]] = {}
    for text in texts:
        key, equals, values = (part.strip() for part in text.partition("="))
        if not equals:
            raise UsageError(f"--grid {text}: expected key=v1,v2", hint="--grid learning_rate=1e-4,3e-4,1e-3")
        check_keys({key: values}, where="--grid")
        if key in grid:
            raise UsageError(f"--grid {key}: given twice, expected one list of values", hint=f"--grid {key}=v1,v2,v3")
        parts = split_values(values)
        if not all(parts):
            raise UsageError(f"--grid {text}: expected values between the commas", hint=f"--grid {key}=v1,v2")
        grid[key] = [parse_value(part, where=f"--grid {key}") for part in parts]
    return grid


def split_values(text: str) -> list[str]:
    """``text`` cut at its outermost commas, blanks around the parts removed; an empty text is one empty part.

    >>> split_values("null, {data: general, share: 0.25}")
    ['null', '{data: general, share: 0.25}']
    """
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote or letter in "\"'":
            quote = "" if letter == quote else quote or letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        if letter == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def check_grid(grid: Grid, settings: Mapping[str, Any]) -> None:
    """Refuse a grid that cannot be meant. ``settings``: what is set for all cells, by flag or ``--set``.

    Raises RecipeError for unknown keys, UsageError for everything else.
    """
    check_keys(grid, where="--grid")
    if not grid:
        raise UsageError("a sweep needs values to try", hint="--grid learning_rate=1e-4,3e-4,1e-3")
    for key, values in grid.items():
        if not values:
            raise UsageError(f"--grid {key}: no values", hint=f"--grid {key}=v1,v2")
        twice = next((value for place, value in enumerate(values) if value in values[:place]), None)
        if twice is not None:
            raise UsageError(f"--grid {key}: {twice} is there twice")
        if key in settings:
            raise UsageError(f"{key} is both swept and set to {settings[key]}: choose one", hint=f"--grid {key}=...")
    warm_ups = {"warmup_steps", "warmup_ratio"}
    if warm_ups & set(grid) and warm_ups <= {*grid, *settings}:
        raise UsageError("--grid: there are values for warmup_steps and for warmup_ratio: choose one")
    count = math.prod(len(values) for values in grid.values())
    if count > MOST_CELLS:
        raise UsageError(f"--grid: {count:,} cells, at most {MOST_CELLS:,} can be run", hint="fewer values, or tune")


def grid_settings(grid: Grid) -> list[dict[str, Any]]:
    """One dict per cell of the product, the last key changing fastest.

    >>> grid_settings({"lora_rank": [8, 16], "seed": [0, 1]})[1]
    {'lora_rank': 8, 'seed': 1}
    """
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
