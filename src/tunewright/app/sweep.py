"""sweep: every cell of a grid as a run of its own, packed on one base, ranked by validation loss with its noise."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from tunewright.app.describe import describe_run, same_data
from tunewright.app.grid import Grid
from tunewright.app.request import Request
from tunewright.app.series import about_series, open_series, resume_command
from tunewright.app.sweep_at_work import SweepAtWork
from tunewright.app.sweep_plan import PlannedCell, SweepPlan, packed, plan_sweep, planned_again
from tunewright.app.watch import Silent, Watch
from tunewright.record.run import Run, create_run
from tunewright.schema import jsonio
from tunewright.schema.errors import Interrupted, UsageError


def sweep(
    data: str = "",
    *,
    grid: Grid | None = None,
    request: Request | None = None,
    slots: int | None = None,
    resume: bool = False,
    runs_dir: str | Path = "runs",
    name: str = "",
    watch: Watch | None = None,
    command: str = "",
    **settings: Any,
) -> dict[str, Any]:
    """Run every combination of the grid's values and rank them by validation loss. Returns the ``sweep`` JSON.

    grid   : recipe key -> values to try; other settings are the same for all cells
    slots  : train at most so many cells at once; None: what memory admits
    resume : go on with the newest unfinished sweep (of ``name``), which knows its data, settings and grid

    A cell ends early only when its numbers are no longer finite, or by its own early stopping; one that fails does
    not stop the others. Raises UsageError and RecipeError before anything is written, the first cell's error when
    all of them failed.

    ``tw.sweep("rows.jsonl", model="Qwen/Qwen3-0.6B", grid={"learning_rate": [1e-4, 3e-4, 1e-3]})``
    """
    watch = watch or Silent()
    request = request or Request(data=data, settings=settings)
    if resume:
        folder = open_series(Path(runs_dir), "sweep", name=name, resume=True)
        plan = _plan_again(folder, request, grid or {}, slots)
    else:
        plan = plan_sweep(request, grid or {}, slots=slots)
        folder = open_series(Path(runs_dir), "sweep", name=name, command=command)
        _lay_out(folder, plan, request)
    try:
        return SweepAtWork(folder, plan, watch).go(resume)
    except Interrupted as error:
        folder.update(status="interrupted")
        go_on = f"tunewright sweep --runs-dir {shlex.quote(str(runs_dir))} --name {folder.name}"
        raise Interrupted(error.message, hint=resume_command("", go_on)) from None


def _lay_out(folder: Run, plan: SweepPlan, request: Request) -> None:
    """Every cell's folder with its recipe, then tuning.json: a sweep that has one can go on from its files alone."""
    for cell in plan.cells:
        run = create_run(folder.path, cell.name, about={"tuning": str(folder.path)})
        describe_run(run, cell.prepared, set=cell.settings)
    cells = [{"run": str(folder.path / cell.name), "name": cell.name, "set": cell.settings} for cell in plan.cells]
    recipe = plan.cells[0].recipe
    about = about_series("sweep", folder, model=recipe.model, data=recipe.data, asked=_asked(request), grid=plan.grid)
    folder.write("tuning.json", {**about, "cells": cells})


def _asked(request: Request) -> dict[str, Any]:
    """Everything a user gave, by its name; what was not given is absent."""
    given = {**vars(request), **request.settings}
    return {key: value for key, value in given.items() if key != "settings" and value not in ("", None)}


def _plan_again(folder: Run, request: Request, grid: Grid, slots: int | None) -> SweepPlan:
    """The sweep as its folder describes it. Raises UsageError when it is asked to be another one."""
    about = folder.read("tuning.json")
    if grid and jsonio.plain(grid) != about["grid"]:
        raise UsageError(f"{folder.path}: was started with another --grid: leave it out to go on with the old one")
    for key, value in jsonio.plain(_asked(request)).items():
        was = about["asked"].get(key, "none")
        if value != was:
            raise UsageError(f"{folder.path}: was started with {key} {was}, not {value}: leave it out to go on")
    cells: list[PlannedCell] = []
    for one in sorted(about["cells"], key=lambda one: str(one["name"])):
        cells.append(planned_again(folder, one["name"], one["set"], cells[0] if cells else None))
        if not same_data(Run(folder.path / one["name"]), cells[-1].prepared.dataset.sha256):
            raise UsageError(
                f"{folder.path}: the data has changed since it started; it cannot go on exactly",
                hint="start it again without --resume",
            )
    return packed(about["grid"], tuple(cells), slots=slots)
