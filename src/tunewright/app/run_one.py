"""One recipe made into one finished run folder: the step shared by train, tune and resume."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import tunewright
from tunewright.app.diagnose import Report, report_on
from tunewright.app.live import Live, StopRule, never
from tunewright.app.prepare import Prepared
from tunewright.app.watch import Watch
from tunewright.curve.read import read_curves
from tunewright.data.tokens import TokenRow
from tunewright.engine.base import Base
from tunewright.engine.job import Job, TrainResult
from tunewright.engine.loop import run_job
from tunewright.planner.steps import total_steps
from tunewright.record.files import write_whole
from tunewright.record.run import STALE_AFTER_S, Run
from tunewright.schema.errors import Interrupted, TunewrightError
from tunewright.schema.finding import Diagnosis
from tunewright.schema.plan import Plan
from tunewright.schema.recipe_io import to_yaml

HEARTBEAT_EVERY_S = STALE_AFTER_S / 6
VERSIONS_OF = ("torch", "transformers", "peft", "numpy")


@dataclass(frozen=True)
class Work:
    """What a run trains on and is measured by: the data, replay to mix in by turns, and the forgetting probe."""

    train: tuple[TokenRow, ...]
    val: tuple[TokenRow, ...]
    replay: tuple[TokenRow, ...] = ()
    replay_rows: int = 0
    probe: tuple[TokenRow, ...] = ()


def describe_run(run: Run, prepared: Prepared, **about: Any) -> None:
    """Write what is known before the first step: the recipe with its reasons, the plan, versions and hashes."""
    plan = prepared.plan
    write_whole(run.path / "recipe.yaml", to_yaml(plan.recipe, {value.key: value.why for value in plan.values}))
    run.write("plan.json", {**_plan_without_recipe(plan)})
    run.write("prediction.json", {"promised": plan.predicted})
    run.update(
        model=plan.recipe.model,
        data=plan.recipe.data,
        data_sha256=prepared.dataset.sha256,
        rows={"train": len(prepared.dataset.train), "val": len(prepared.dataset.val)},
        versions=versions(),
        **about,
    )


def _plan_without_recipe(plan: Plan) -> dict[str, Any]:
    return {"values": plan.values, "predicted": plan.predicted, "stages": plan.stages, "warnings": plan.warnings}


def versions() -> dict[str, str]:
    """Versions of what decides the numbers; a package that is not installed is left out."""
    found = {"tunewright": tunewright.__version__, "python": platform.python_version()}
    for name in VERSIONS_OF:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def run_one(
    run: Run,
    plan: Plan,
    work: Work,
    base: Base,
    watch: Watch,
    *,
    resume: bool = False,
    stop_when: StopRule = never,
) -> dict[str, Any]:
    """Train, read the curve, and write both down. Returns the ``train`` JSON; also kept as ``result`` in run.json.

    ``stop_when`` is asked at every evaluation, with the reading so far, for a reason to end the run.
    The folder's status says how it ended: finished, interrupted (Interrupted is raised again) or failed.
    """
    recipe = plan.recipe
    live = Live(run.name, recipe, total_steps(recipe, len(work.train) + work.replay_rows), watch, stop_when)
    run.update(status="running", **({} if resume else {"run_started": time.time()}))
    started_s = time.perf_counter()
    job = Job(
        recipe=recipe,
        train=work.train,
        val=work.val,
        replay=work.replay,
        replay_rows=work.replay_rows,
        probe=work.probe,
        run=run,
    )
    try:
        result = run_job(base, job, on_event=_beating(run, live), should_stop=watch.should_stop, resume=resume)
    except Interrupted:
        run.update(status="interrupted", ended=time.time())
        raise
    except TunewrightError as error:
        run.update(status="failed", ended=time.time(), error=error.message)
        raise
    result.pack.detach()  # the base is itself again for whoever asks it next
    for note in result.notes:
        watch.say(f"{run.name}: {note}")
    report = read_run(run)
    run.write("findings.json", report)
    answer = train_json(run, result, report.diagnosis, seconds=time.perf_counter() - started_s)
    run.write("prediction.json", {"promised": plan.predicted, "came": {key: answer[key] for key in CAME}})
    run.update(status="finished", ended=time.time(), result=answer)
    return answer


def _beating(run: Run, live: Live) -> Callable[[dict[str, Any]], str]:
    """The live reader, renewing the run's heartbeat now and then so that others can tell it from a killed run."""
    beaten_s = time.monotonic()

    def on_event(event: dict[str, Any]) -> str:
        nonlocal beaten_s
        if time.monotonic() - beaten_s > HEARTBEAT_EVERY_S:
            beaten_s = time.monotonic()
            run.update()
        return live.on_event(event)

    return on_event


CAME = ("steps", "tokens", "train_seconds", "peak_GiB", "eval_loss")


def read_run(run: Run) -> Report:
    """The curve of our own run folder and what the doctor says of it."""
    return report_on(read_curves(run.path)[0])


def train_json(run: Run, result: TrainResult, diagnosis: Diagnosis, *, seconds: float) -> dict[str, Any]:
    return {
        "run": str(run.path),
        "eval_loss": result.eval_loss,
        "base_eval_loss": result.base_eval_loss,
        "steps": result.steps,
        "best_step": result.best_step,
        "tokens": {"train": result.tokens_train, "eval": result.tokens_eval},
        "seconds": seconds,
        "train_seconds": result.train_seconds,
        "tokens_per_s": result.tokens_per_s,
        "peak_GiB": result.peak_GiB,
        "health": diagnosis.health,
        "forgetting": result.general_rise,
        "stopped_because": result.stopped_because,
        "adapter": str(run.best),
    }


def same_data(run: Run, sha256: str | Mapping[str, str]) -> bool:
    """Whether the data is byte for byte what the run started with."""
    recorded = run.read().get("data_sha256")
    return recorded is None or recorded == sha256
