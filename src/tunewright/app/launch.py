"""train --trainer: a run that TRL, Unsloth, Axolotl or LLaMA-Factory makes, watched live and brought home as ours.

The recipe is exported into the run's folder and started there, unmodified, in the tool's own interpreter. What its
Trainer logs becomes the run's metrics as it is logged; the doctor reads along and may end it; the adapter it leaves
becomes the run's ``best``. So every other verb takes the folder for an ordinary run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunewright.app.describe import describe_run
from tunewright.app.export import tool_named, write_export
from tunewright.app.launched_run import FOLDER, LaunchedRun
from tunewright.app.lineage import lineage_of
from tunewright.app.prepare import Prepared, prepare, replanned
from tunewright.app.request import Request
from tunewright.app.watch import Silent, Watch
from tunewright.doctor.codes import symptom_of
from tunewright.planner.sources import GIVEN
from tunewright.record.run import Run, create_run, free_name
from tunewright.schema.errors import UsageError
from tunewright.trainers.interpreter import find_interpreter

STOP_ON = ("non_finite",)
"""What ends a run without being asked: from a loss that is not a number nothing comes back."""


def launch(
    trainer: str,
    data: str = "",
    *,
    request: Request | None = None,
    python: str = "",
    stop_on: Sequence[str] = STOP_ON,
    runs_dir: str | Path = "runs",
    name: str = "",
    watch: Watch | None = None,
    command: str = "",
    **settings: Any,
) -> dict[str, Any]:
    """Plan one run and have ``trainer`` (trl, unsloth, axolotl or llamafactory) make it. Returns the ``train`` JSON.

    python  : the interpreter the trainer lives in; else it is looked for (see :func:`find_interpreter`)
    stop_on : symptoms or codes that end the run; estimates must hold at two readings in a row
    Raises EnvironmentMissing where the trainer is not installed, RunFailed when it ends badly, Interrupted after
    Ctrl-C (it saves a checkpoint first), and what ``train`` raises.

    ``launch("trl", "rows.jsonl", request=Request(data="rows.jsonl", model="Qwen/Qwen3-0.6B"))``
    """
    watch, runs_dir = watch or Silent(), Path(runs_dir)
    tool, symptoms = tool_named(trainer, "--trainer"), stop_symptoms(stop_on)
    found = find_interpreter(tool, python)
    prepared = prepare(request or Request(data=data, settings=settings), runs_dir=runs_dir)
    lineage = lineage_of(prepared.recipe, runs_dir, prepared.dataset.sha256)
    about = {"command": command, "trainer": tool.name, "trainer_version": found.version, "trainer_python": found.path}
    run = create_run(runs_dir, name or free_name(runs_dir, tool.name), about={**about, "stop_on": sorted(symptoms)})
    promise, parents = (lineage.promise, lineage.about) if lineage is not None else (None, {})
    describe_run(run, _as_others_make_it(prepared), promise, **parents)
    reasons = {value.key: value.why for value in prepared.plan.values if value.source != GIVEN}
    written = write_export(tool, prepared, reasons, run.path / FOLDER)
    for lost in written.losses:
        watch.say(f"{run.name}: cannot be said to {tool.title}: {lost}")
    watch.say(f"{run.name}: {tool.title} {found.version} in {found.path}")
    return LaunchedRun(run, tool, found.path, written.job.steps, symptoms, watch).go()


def _as_others_make_it(prepared: Prepared) -> Prepared:
    """The plan without what no other trainer does: a record must not claim a mean that nobody made."""
    if not prepared.recipe.average_share:
        return prepared
    return replanned(prepared, prepared.recipe.changed(average_share=0.0), ())


def resume_launched(run: Run, watch: Watch) -> dict[str, Any]:
    """Go on with an interrupted run of another trainer from the last checkpoint it saved (from its start if none)."""
    about = run.read()
    tool = tool_named(str(about["trainer"]), "trainer")
    if not (run.path / FOLDER / tool.file).is_file():
        raise UsageError(f"{run.path}: it was stopped before its files were written", hint="start it again")
    found = find_interpreter(tool, str(about.get("trainer_python", "")))
    steps = int(run.read("plan.json").get("predicted", {}).get("steps") or 0)
    symptoms = stop_symptoms(about.get("stop_on", STOP_ON))
    return LaunchedRun(run, tool, found.path, steps, symptoms, watch).go(resume=True)


def stop_symptoms(names: Sequence[str]) -> frozenset[str]:
    """Symptoms by name or code. Raises UsageError for one that there is not."""
    found = {name: symptom_of(name) for name in names if name}
    unknown = [name for name, symptom in found.items() if symptom is None]
    if unknown:
        raise UsageError(f"--stop-on: no such symptom: {', '.join(unknown)}", hint="tunewright explain divergence")
    return frozenset(symptom for symptom in found.values() if symptom is not None)
