"""What a user asked for, turned into the recipe keys they gave: file, then flags, then ``--set``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunewright.data.sources import demo_files
from tunewright.planner.machine import this_machine
from tunewright.planner.models import models_that_fit
from tunewright.schema.errors import RecipeError, UsageError
from tunewright.schema.recipe import OTHER_WARMUP
from tunewright.schema.recipe_io import check_keys
from tunewright.trainers.importing import Foreign, read_config

RECIPE_ENDINGS = (".yaml", ".yml", ".py")


@dataclass(frozen=True)
class Request:
    """The arguments of a verb as given; empty strings and None mean: not given.

    ``data`` may be a recipe file; ``settings`` are recipe keys and win over everything else.
    """

    data: str = ""
    model: str = ""
    val: str = ""
    test: str = ""
    preset: str = ""
    recipe: str = ""
    stage: str = ""
    method: str = ""
    task: str = ""
    vram_GiB: float | None = None
    seed: int | None = None
    replay: str = ""
    report_to: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


REPLAY_SHARE = 0.25
"""Share of general rows when the user names none: brought old skills back in full on the bundled world."""


@dataclass(frozen=True)
class Given:
    """Recipe keys that the user set; ``notes``: what their file says that a recipe has no word for."""

    values: dict[str, Any]
    notes: tuple[str, ...] = ()


def given_settings(request: Request) -> dict[str, Any]:
    """The values of :func:`read_request`."""
    return read_request(request).values


def read_request(request: Request) -> Given:
    """Every recipe key the user set, by any way; later ways win: recipe file, flags, ``--set``.

    Raises UsageError when there is no data or no model, RecipeError for unknown keys and double warm-ups.
    """
    check_keys(request.settings, where="--set")
    data_is_recipe = request.data.endswith(RECIPE_ENDINGS)
    names = [file for file in (request.data if data_is_recipe else "", request.recipe) if file]
    files = [_read_file(file) for file in names]
    values = {key: value for file in files for key, value in file.values.items()}
    values.update(_flags(request, with_data=not data_is_recipe))
    values = with_settings(values, request.settings)
    return Given(_completed(values, names), tuple(note for file in files for note in file.notes))


def _read_file(file: str) -> Given:
    """A recipe file, or a config or script of another trainer with that trainer's defaults."""
    found = read_config(Path(file))
    if isinstance(found, Foreign):
        return Given(found.values, tuple(f"{file}: left out: {one}" for one in found.left_out))
    check_keys(found, where=str(Path(file)))
    return Given(found)


def with_settings(values: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` overruled by ``settings``; a warm-up of one kind replaces the other kind."""
    if settings.get("warmup_steps") is not None and settings.get("warmup_ratio") is not None:
        raise RecipeError("--set: warmup_steps and warmup_ratio are both set: choose one")
    gone = {OTHER_WARMUP[key] for key in settings if key in OTHER_WARMUP}
    return {**{key: value for key, value in values.items() if key not in gone}, **settings}


def _flags(request: Request, *, with_data: bool) -> dict[str, Any]:
    named = {
        "data": request.data if with_data else "",
        "model": request.model,
        "val": request.val,
        "test": request.test,
        "stage": request.stage,
        "method": request.method,
    }
    flags: dict[str, Any] = {key: value for key, value in named.items() if value}
    if request.seed is not None:
        flags["seed"] = request.seed
    if request.replay:
        flags["replay"] = {"data": request.replay, "share": REPLAY_SHARE}
    if request.report_to:
        flags["report_to"] = [name for name in request.report_to.split(",") if name not in ("", "none")]
    return flags


def _completed(values: dict[str, Any], files: Sequence[str]) -> dict[str, Any]:
    """Fill in what ``demo`` brings along; refuse what cannot be guessed. ``files``: where the values are from."""
    if not values.get("data"):
        if files:
            raise UsageError(
                f"{files[-1]} does not name its data (a script may know it only when it runs): expected it beside",
                hint="add --set data=rows.jsonl",
            )
        raise UsageError(
            "no data given: expected a file, a folder, hub:NAME or demo",
            hint="tunewright tune demo",
        )
    if values["data"] == "demo":
        demo = demo_files()
        values = {"model": str(demo["model"]), "val": str(demo["validation"]), **values, "data": str(demo["train"])}
    if not values.get("model"):
        names = ", ".join(name for name, _ in models_that_fit(this_machine())[:3])
        raise UsageError(
            f"no model given: expected --model with a Hub name or a folder; on this machine for example {names}"
        )
    return values
