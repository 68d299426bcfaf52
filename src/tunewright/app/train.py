"""train: one run, planned, trained, read, and written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewright.app.describe import describe_run, same_data
from tunewright.app.general import General
from tunewright.app.launch import resume_launched
from tunewright.app.lineage import lineage_of
from tunewright.app.prepare import Prepared, prepare, prepare_settings
from tunewright.app.probed_run import RunProbes
from tunewright.app.request import Request
from tunewright.app.run_one import run_one
from tunewright.app.task import Work
from tunewright.app.watch import Silent, Watch
from tunewright.data.model_folder import called
from tunewright.engine.base import Base, load_base
from tunewright.planner.cost import rows_with_replay
from tunewright.record.run import create_run, free_name, open_run
from tunewright.schema.errors import UsageError
from tunewright.schema.recipe_io import read_settings
from tunewright.trainers.tools import TOOLS


def train(
    data: str = "",
    *,
    request: Request | None = None,
    runs_dir: str | Path = "runs",
    name: str = "",
    watch: Watch | None = None,
    command: str = "",
    **settings: Any,
) -> dict[str, Any]:
    """Plan and train one run. Keyword arguments are recipe keys and win over everything planned.

    Returns the ``train`` JSON as a dict. Raises the errors of :mod:`tunewright.schema.errors`.

    ``tw.train("rows.jsonl", model="Qwen/Qwen3-0.6B", learning_rate=2e-4)``
    """
    watch = watch or Silent()
    request = request or Request(data=data, settings=settings)
    runs_dir = Path(runs_dir)
    prepared = prepare(request, runs_dir=runs_dir)
    lineage = lineage_of(prepared.recipe, runs_dir, prepared.dataset.sha256)
    run = create_run(runs_dir, name or free_name(runs_dir, "train"), about={"command": command})
    if lineage is None:
        describe_run(run, prepared)
    else:
        describe_run(run, prepared, lineage.promise, **lineage.about)
    base = load_recipe_base(prepared, watch)
    probes = RunProbes(prepared, base, watch).start()
    work = work_for(prepared, General(base, run.path, watch))
    answer = run_one(run, prepared.plan, work, base, watch)
    return probes.end(run, answer)


def resume(run_path: str | Path, *, watch: Watch | None = None) -> dict[str, Any]:
    """Go on with an interrupted run; it ends with the same losses as if it had never stopped.

    Raises UsageError when the run already finished or its data has changed since.
    """
    watch = watch or Silent()
    run = open_run(Path(run_path))
    if run.status() == "finished":
        raise UsageError(
            f"{run.path}: the run is finished, there is nothing to resume", hint=f"tunewright diagnose {run.path}"
        )
    if run.read().get("trainer") in TOOLS:
        return resume_launched(run, watch)
    recipe_file = run.path / "recipe.yaml"
    if not recipe_file.is_file():
        raise UsageError(
            f"{run.path}: no recipe.yaml, the run was stopped before it was planned", hint="start it again"
        )
    prepared = prepare_settings(read_settings(recipe_file), Request())
    if not same_data(run, prepared.dataset.sha256):
        raise UsageError(
            f"{run.path}: the data has changed since this run started; it cannot go on exactly",
            hint=f"tunewright train {recipe_file} --name NEW",
        )
    base = load_recipe_base(prepared, watch)
    work = work_for(prepared, General(base, run.path, watch))
    answer = run_one(run, prepared.plan, work, base, watch, resume=True)
    return RunProbes(prepared, base, watch).end(run, answer)


def load_recipe_base(prepared: Prepared, watch: Watch) -> Base:
    """The frozen base the recipe names, with the reason for its number format said aloud."""
    recipe = prepared.recipe
    watch.say(f"loading {called(recipe.model)}")
    return load_base(recipe.model, method=recipe.method, precision=recipe.precision, template=recipe.template)


def work_for(prepared: Prepared, general: General, *, probe: bool = False) -> Work:
    """Token rows for one run: the data, replay mixed in at the recipe's share, and the probe if asked for."""
    return Work(
        train=prepared.train.rows,
        val=prepared.val.rows,
        replay=general.replay(prepared),
        replay_rows=rows_with_replay(len(prepared.train.rows), prepared.recipe) - len(prepared.train.rows),
        probe=general.probe(prepared) if probe else (),
    )
