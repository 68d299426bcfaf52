"""What a user asked for, turned into the recipe keys they gave: file, then flags, then ``--set``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunewright.data.sources import demo_files
from tunewright.planner.machine import this_machine
from tunewright.planner.models import models_that_fit
from tunewright.schema.errors import RecipeError, UsageError
from tunewright.schema.recipe_io import check_keys, read_settings
from tunewright.trainers.importing import read_foreign

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


def given_settings(request: Request) -> dict[str, Any]:
    """Every recipe key the user set, by any way; later ways win: recipe file, flags, ``--set``.

    Raises UsageError when there is no data or no model, RecipeError for unknown keys and double warm-ups.
    """
    check_keys(request.settings, where="--set")
    values: dict[str, Any] = {}
    data_is_recipe = request.data.endswith(RECIPE_ENDINGS)
    for file in (request.data if data_is_recipe else "", request.recipe):
        values.update(settings_of_file(Path(file)) if file else {})
    values.update(_flags(request, with_data=not data_is_recipe))
    values = with_settings(values, request.settings)
    return _completed(values)


def settings_of_file(path: Path) -> dict[str, Any]:
    """The recipe keys of a recipe file, or of a config or script of another trainer with that trainer's defaults."""
    foreign = read_foreign(path)
    return read_settings(path) if foreign is None else foreign.values


def import_notes(request: Request) -> tuple[str, ...]:
    """What another trainer's config says that a recipe has no word for; nothing for recipes of our own."""
    files = [request.data if request.data.endswith(RECIPE_ENDINGS) else "", request.recipe]
    found = [(file, read_foreign(Path(file))) for file in files if file]
    return tuple(f"{file}: left out: {one}" for file, foreign in found if foreign for one in foreign.left_out)


def with_settings(values: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` overruled by ``settings``; a warm-up of one kind replaces the other kind."""
    if settings.get("warmup_steps") is not None and settings.get("warmup_ratio") is not None:
        raise RecipeError("--set: warmup_steps and warmup_ratio are both set: choose one")
    replaced = {"warmup_steps": "warmup_ratio", "warmup_ratio": "warmup_steps"}
    gone = {replaced[key] for key in settings if key in replaced}
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


def _completed(values: dict[str, Any]) -> dict[str, Any]:
    """Fill in what ``demo`` brings along; refuse what cannot be guessed."""
    if not values.get("data"):
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
