"""What a sweep will run: one resolved plan per cell, and the cells that train together. Nothing is written here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tunewright.app.grid import Grid, check_grid, grid_settings
from tunewright.app.prepare import READ_KEYS, Prepared, prepare, prepare_settings, replanned
from tunewright.app.request import Request, with_settings
from tunewright.data.model_folder import is_target, matrices
from tunewright.planner.machine import this_machine
from tunewright.planner.pack_plan import Pack, plan_packs, total_seconds
from tunewright.planner.packs import OUTPUT_LAYERS, Cell
from tunewright.planner.sources import GIVEN
from tunewright.record.run import Run
from tunewright.reporter.words import setting
from tunewright.schema.errors import UsageError
from tunewright.schema.prescription import Change
from tunewright.schema.recipe import Recipe
from tunewright.schema.recipe_io import make_recipe, nearest, read_settings

PLANNED_ANEW = ("model", "method")
"""Keys that decide what all the others should be: a learning rate for LoRA means nothing for full fine-tuning."""
OTHER_BASIS = ("data", "val", "val_size", "stage", "loss_on", "max_length", "template", "model")
"""Keys that change what the validation loss is a loss of."""


@dataclass(frozen=True)
class PlannedCell:
    """One run of a sweep: its name, the swept values, and everything it needs but the model's weights."""

    name: str
    settings: Mapping[str, Any]
    prepared: Prepared

    @property
    def recipe(self) -> Recipe:
        return self.prepared.recipe

    @property
    def label(self) -> str:
        """Its name with what makes it different, for people."""
        return f"{self.name} ({settings_text(self.settings)})"

    def for_packing(self) -> Cell:
        prepared = self.prepared
        return Cell(prepared.recipe, prepared.plan.predicted, prepared.facts, prepared.model)


@dataclass(frozen=True)
class SweepPlan:
    """All cells of a sweep and how they are packed. ``notes``: what to know before reading its result."""

    grid: Grid
    cells: tuple[PlannedCell, ...]
    packs: tuple[Pack, ...]
    notes: tuple[str, ...] = ()

    def __json__(self) -> dict[str, Any]:
        return {
            "cells": [{"name": cell.name, "set": cell.settings} for cell in self.cells],
            "packs": [pack_json(pack, self.cells) for pack in self.packs],
            "tokens": sum(pack.tokens for pack in self.packs),
            "seconds": total_seconds(self.packs),
            "peak_GiB": max(pack.peak_GiB for pack in self.packs),
            "notes": self.notes,
        }


def pack_json(pack: Pack, cells: tuple[PlannedCell, ...]) -> dict[str, Any]:
    """One pack with its cells by name."""
    fields = {key: getattr(pack, key) for key in ("slots", "steps", "tokens", "seconds", "peak_GiB", "why")}
    return {"cells": [cells[place].name for place in pack.cells], **fields}


def settings_text(settings: Mapping[str, Any]) -> str:
    """Swept values in a line, as one would type them.

    >>> settings_text({"learning_rate": 1e-3, "lora_target": ["q_proj", "v_proj"]})
    'learning_rate=1e-3, lora_target=q_proj+v_proj'
    """
    return ", ".join(f"{key}={_typed(value)}" for key, value in settings.items())


def _typed(value: Any) -> str:
    return "+".join(map(setting, value)) if isinstance(value, (list, tuple)) else setting(value)


def plan_sweep(request: Request, grid: Grid, *, slots: int | None = None) -> SweepPlan:
    """Plan every cell: the base is planned once per model and method, and cells change the swept keys and no other.

    Raises UsageError and RecipeError for a grid that cannot be meant, naming the cell, DataError for faulty data.
    """
    check_grid(grid, {**request.settings, **_flags(request)})
    request = _completed(request, grid)
    cells = _cells(request, grid)
    shapes = {model: matrices(model) for model in {cell.recipe.model for cell in cells}}
    for cell in cells:
        _check_cell(cell, grid)
        _check_adapter(cell, shapes[cell.recipe.model])
    return packed(grid, cells, slots=slots)


def packed(grid: Grid, cells: tuple[PlannedCell, ...], *, slots: int | None = None) -> SweepPlan:
    """The cells in packs for this machine."""
    packs = plan_packs([cell.for_packing() for cell in cells], this_machine(), slots=slots)
    return SweepPlan(grid, cells, packs, _notes(grid, cells))


def planned_again(folder: Run, name: str, settings: Mapping[str, Any], like: PlannedCell | None) -> PlannedCell:
    """A cell as its run folder describes it. ``like``: another cell, whose data is shared where it is read alike."""
    given = read_settings(folder.path / name / "recipe.yaml")
    recipe = make_recipe(given, where=f"{name}/recipe.yaml")
    if like is not None and all(getattr(recipe, key) == getattr(like.recipe, key) for key in (*READ_KEYS, "model")):
        prepared = replanned(like.prepared, recipe, ())
    else:
        prepared = prepare_settings(recipe.model_dump(), Request())
    return PlannedCell(name, settings, prepared)


def _flags(request: Request) -> dict[str, Any]:
    """Recipe keys set by a flag of their own."""
    named = {key: getattr(request, key) for key in ("model", "val", "test", "stage", "method", "replay", "report_to")}
    flags = {key: value for key, value in named.items() if value}
    return flags if request.seed is None else {**flags, "seed": request.seed}


def _completed(request: Request, grid: Grid) -> Request:
    """What no flag names because it is swept: the base is planned with its first value."""
    first = {key: grid[key][0] for key in ("data", "model") if key in grid}
    if "data" in first and request.data and not request.data.endswith((".yaml", ".yml")):
        raise UsageError(f"the data is both swept and given as {request.data}: choose one")
    return replace(request, settings={**request.settings, **first})


def _cells(request: Request, grid: Grid) -> tuple[PlannedCell, ...]:
    every = grid_settings(grid)
    width = len(str(len(every)))
    machine = this_machine()
    bases: dict[str, Prepared] = {}
    readings: dict[str, Prepared] = {}
    cells = []
    for number, settings in enumerate(every, start=1):
        name = f"cell-{number:0{width}d}"
        anew = {key: value for key, value in settings.items() if key in PLANNED_ANEW}
        if repr(anew) not in bases:
            bases[repr(anew)] = prepare(replace(request, settings={**request.settings, **anew}))
        base = bases[repr(anew)]
        recipe = _recipe(base, settings, f"--grid, {name} ({settings_text(settings)})")
        # rows are read and tokenised once for all cells that read them alike
        reading = {**anew, **{key: getattr(recipe, key) for key in READ_KEYS}}
        if repr(reading) not in readings:
            alike = make_recipe({**base.recipe.model_dump(), **{key: getattr(recipe, key) for key in READ_KEYS}})
            readings[repr(reading)] = replanned(base, alike, (), machine)
        changes = _changes(base.recipe, recipe, settings, grid)
        cells.append(PlannedCell(name, settings, replanned(readings[repr(reading)], recipe, changes, machine)))
    return tuple(cells)


def _recipe(base: Prepared, settings: Mapping[str, Any], where: str) -> Recipe:
    """The base's recipe with this cell's values, all faults named with the cell."""
    changed = {key: value for key, value in settings.items() if key not in PLANNED_ANEW}
    return make_recipe(with_settings(base.recipe.model_dump(), changed), where=where)


def _changes(before: Recipe, after: Recipe, settings: Mapping[str, Any], grid: Grid) -> tuple[Change, ...]:
    return tuple(
        Change(
            key=key,
            before=getattr(before, key),
            after=getattr(after, key),
            factor=None,
            why=f"Swept: one of {', '.join(map(_typed, grid[key]))}.",
            rule="sweep",
            source=GIVEN,
        )
        for key in settings
    )


def _check_cell(cell: PlannedCell, grid: Grid) -> None:
    if not cell.prepared.val.rows:
        raise UsageError(
            "a sweep is ranked by the validation loss, and there are no validation rows", hint="--set val_size=0.1"
        )
    if "num_train_epochs" in grid and cell.recipe.max_steps is not None:
        raise UsageError(
            f"--grid num_train_epochs: max_steps is {cell.recipe.max_steps} and rules over it, nothing would change",
            hint="leave max_steps out",
        )


def _check_adapter(cell: PlannedCell, shapes: Mapping[str, tuple[int, int]]) -> None:
    """Refuse targets the model does not have, and ranks above the smallest layer they sit on."""
    recipe = cell.recipe
    if recipe.method == "full" or not shapes or recipe.init_adapter is not None:
        return
    names = (recipe.lora_target,) if isinstance(recipe.lora_target, str) else recipe.lora_target
    for name in names if names != ("all",) else ():
        if name not in OUTPUT_LAYERS and not any(_ends(layer, name) for layer in shapes):
            known = sorted({layer.rpartition(".")[2] for layer in shapes if is_target(layer)})
            guess = nearest(name, known)
            raise UsageError(
                f"{cell.label}: the model has no layer {name!r}" + (f", did you mean {guess!r}?" if guess else ""),
                hint=f"it has: {', '.join(known)}; or all",
            )
    meant = {
        layer: shape
        for layer, shape in shapes.items()
        if (is_target(layer) if names == ("all",) else any(_ends(layer, name) for name in names))
    }
    layer = min(meant, key=lambda layer: min(meant[layer]), default="")
    most = min(meant[layer]) if layer else recipe.lora_rank  # a tied output layer is not stored
    if recipe.lora_rank > most:
        n_in, n_out = meant[layer]
        raise UsageError(
            f"{cell.label}: lora_rank {recipe.lora_rank} is more than {layer} ({n_in} x {n_out}) can have: "
            f"at most {most}",
            hint=f"--grid lora_rank={max(1, most // 2)},{most}",
        )


def _ends(layer: str, name: str) -> bool:
    return layer == name or layer.endswith(f".{name}")


def _notes(grid: Grid, cells: tuple[PlannedCell, ...]) -> tuple[str, ...]:
    """Which swept keys change what the losses are losses of."""
    found = [key for key in OTHER_BASIS if key in grid]
    notes = (
        [f"{', '.join(found)} swept: cells are measured on other tokens, so compare them with care"] if found else []
    )
    if "seed" in grid and cells[0].recipe.val is None:
        notes.append("seed swept: it also decides which rows are held out; give --val FILE to measure all alike")
    return tuple(notes)
