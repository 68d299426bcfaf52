"""Recipes made into finished run folders, alone or side by side: the step shared by train, tune, sweep and resume."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from tunewright.app.diagnose import Report, report_on
from tunewright.app.kept_rows import keep_end_rows
from tunewright.app.lineage import prediction_json, scored_json
from tunewright.app.live import Live, StopRule, never
from tunewright.app.model_card import license_of, write_card
from tunewright.app.offending_rows import token_texts
from tunewright.app.prepare import Prepared
from tunewright.app.watch import Watch
from tunewright.curve.read import read_curves
from tunewright.data.tokens import TokenRow
from tunewright.engine.base import Base
from tunewright.engine.job import Job, TrainResult
from tunewright.engine.loop import run_pack
from tunewright.engine.session import Session
from tunewright.engine.trackers import Told, tell_trackers
from tunewright.planner.machine import this_machine
from tunewright.planner.steps import total_steps
from tunewright.prescribe.promise import Promise
from tunewright.record.files import write_whole
from tunewright.record.run import CHECK_FILE, STALE_AFTER_S, Run
from tunewright.record.versions import versions
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


def describe_run(run: Run, prepared: Prepared, promise: Promise | None = None, **about: Any) -> None:
    """Write what is known before the first step: the recipe with its reasons, the plan, versions and hashes.

    ``promise``: what the rule behind the recipe promises of the run, where one is.
    """
    plan = prepared.plan
    write_whole(run.path / "recipe.yaml", to_yaml(plan.recipe, {value.key: value.why for value in plan.values}))
    run.write("plan.json", {**_plan_without_recipe(plan)})
    run.write("prediction.json", prediction_json(plan.predicted, promise))
    run.write(CHECK_FILE, prepared.check)
    run.update(
        model=plan.recipe.model,
        data=plan.recipe.data,
        data_sha256=prepared.dataset.sha256,
        rows={"train": len(prepared.dataset.train), "val": len(prepared.dataset.val)},
        tokens_per_row=prepared.tokens_per_row,
        versions=versions(VERSIONS_OF),
        machine=_machine(),
        base_license=license_of(plan.recipe.model),
        **about,
    )


@cache
def _machine() -> dict[str, Any]:
    """This machine, asked once: it takes a moment."""
    return {**vars(this_machine()), "system": platform.platform(aliased=True, terse=True)}


def _plan_without_recipe(plan: Plan) -> dict[str, Any]:
    return {"values": plan.values, "predicted": plan.predicted, "stages": plan.stages, "warnings": plan.warnings}


@dataclass(frozen=True)
class Task:
    """One run to make: its folder, plan and rows, what may end it early, and what it is called while it works.

    ``kept_at``: steps whose checkpoints stay, for other runs to begin at. ``end_rows``: keep the losses of the
    validation rows at its last evaluation, for paired comparisons.
    """

    run: Run
    plan: Plan
    work: Work
    stop_when: StopRule = never
    label: str = ""
    kept_at: frozenset[int] = frozenset()
    end_rows: bool = False

    @property
    def called(self) -> str:
        return self.label or self.run.name

    @property
    def total_steps(self) -> int:
        return total_steps(self.plan.recipe, len(self.work.train) + self.work.replay_rows)

    def job(self) -> Job:
        work = self.work
        return Job(
            recipe=self.plan.recipe,
            train=work.train,
            val=work.val,
            replay=work.replay,
            replay_rows=work.replay_rows,
            probe=work.probe,
            run=self.run,
            kept_at=self.kept_at,
        )


Ended = Callable[[int, "dict[str, Any] | TunewrightError"], None]
"""Told of each task, by its place, as it ends: its ``train`` JSON, or why it failed."""


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
    task = Task(run, plan, work, stop_when, end_rows=True)
    hint = f"tunewright train --resume {run.path}"
    ended = run_packed([task], base, watch, resume=resume, resume_hint=hint)[0]
    if isinstance(ended, TunewrightError):
        raise ended
    return ended


def run_packed(
    tasks: Sequence[Task],
    base: Base,
    watch: Watch,
    *,
    slots: int | None = None,
    resume: bool = False,
    resume_hint: str = "",
    on_ended: Ended = lambda place, ended: None,
) -> list[dict[str, Any] | TunewrightError]:
    """Train tasks side by side on one base, at most ``slots`` at once; each folder is written as its run ends.

    Returns for each task what :func:`run_one` does, or the error it failed with; the others go on. The base is then
    itself again. Raises Interrupted, with every run at work left to be resumed, and whatever is wrong with any task
    before the first one starts.
    """
    making = [_Making(task, watch, base.tokenizer) for task in tasks]
    heart = _Heart(making)
    ends: dict[int, dict[str, Any] | TunewrightError] = {}

    def on_event(place: int, event: dict[str, Any]) -> str:
        making[place].begin(resume)
        heart.beat()
        return making[place].live.on_event(event)

    def on_boundary(session: Session) -> None:
        for slot in session.slots:
            if slot.over() and tasks[slot.index].end_rows:
                keep_end_rows(tasks[slot.index].run, slot.row_nll_n, slot.row_tokens_n)

    def on_done(place: int, result: TrainResult | TunewrightError) -> None:
        ends[place] = making[place].end(result)
        on_ended(place, ends[place])

    for one in making[:slots]:
        one.begin(resume)
    try:
        run_pack(
            base,
            [task.job() for task in tasks],
            slots=slots,
            on_event=on_event,
            on_done=on_done,
            on_boundary=on_boundary,
            should_stop=watch.should_stop,
            resume=resume,
            resume_hint=resume_hint,
        )
    except TunewrightError as error:
        for one in making:
            one.break_off(error)
        raise
    _say_notes(making, watch)
    return [ends[place] for place in range(len(tasks))]


class _Making:
    """One task at work: its live reading and the status of its folder."""

    def __init__(self, task: Task, watch: Watch, tokenizer: Any) -> None:
        self.task = task
        text_of_row = token_texts(task.work.train, tokenizer)
        self.live = Live(task.called, task.plan.recipe, task.total_steps, watch, task.stop_when, text_of_row)
        self.at_work = False
        self.notes: list[str] = []
        self._started_s = time.perf_counter()

    def begin(self, resume: bool) -> None:
        """Mark the run as running, once; ``run_started`` is kept from its first life."""
        if self.at_work:
            return
        self.at_work, self._started_s = True, time.perf_counter()
        if resume:
            self.live.remember(self.task.run.events())
        known = resume and "run_started" in self.task.run.read()
        self.task.run.update(status="running", **({} if known else {"run_started": time.time()}))

    def end(self, result: TrainResult | TunewrightError) -> dict[str, Any] | TunewrightError:
        """Write down what came of the run."""
        run = self.task.run
        if isinstance(result, TunewrightError):
            self.at_work = True  # it may have failed before its first event
            self.break_off(result)
            return result
        self.at_work = False
        self.notes = list(result.notes)
        report = read_run(run)
        run.write("findings.json", report)
        answer = train_json(run, result, report.diagnosis, seconds=time.perf_counter() - self._started_s)
        came = {key: answer[key] for key in CAME}
        run.write("prediction.json", scored_json(run.read("prediction.json"), came, report))
        run.update(status="finished", ended=time.time(), result=answer)
        write_card(run)
        findings = tuple(one for one in report.diagnosis.findings if one.severity != "info")
        told = Told(result.steps, report.diagnosis.health, findings, {})
        tell_trackers(self.task.plan.recipe, run.path, told)
        return answer

    def break_off(self, error: TunewrightError) -> None:
        """The run ended without a result."""
        if not self.at_work:
            return
        self.at_work = False
        if isinstance(error, Interrupted):
            self.task.run.update(status="interrupted", ended=time.time())
        else:
            self.task.run.update(status="failed", ended=time.time(), error=error.message, error_code=error.code)


def _say_notes(making: Sequence[_Making], watch: Watch) -> None:
    """What the engine did otherwise than asked, once for all runs it is true of."""
    for note in dict.fromkeys(note for one in making for note in one.notes):
        about = [one.task.called for one in making if note in one.notes]
        watch.say(f"{about[0] if len(about) == 1 else f'{len(about)} runs'}: {note}")


class _Heart:
    """Renews the heartbeat of every run at work now and then, so that others can tell them from killed ones."""

    def __init__(self, making: Sequence[_Making]) -> None:
        self._making = making
        self._beaten_s = time.monotonic()

    def beat(self) -> None:
        if time.monotonic() - self._beaten_s > HEARTBEAT_EVERY_S:
            self._beaten_s = time.monotonic()
            for one in self._making:
                if one.at_work:
                    one.task.run.update()


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
        **_inherited(result),
        "seconds": seconds,
        "train_seconds": result.train_seconds,
        "tokens_per_s": result.tokens_per_s,
        "peak_GiB": result.peak_GiB,
        "health": diagnosis.health,
        "forgetting": result.general_rise,
        "stopped_because": result.stopped_because,
        "adapter": str(run.best),
    }


def _inherited(result: TrainResult) -> dict[str, Any]:
    """Of the tokens, those that the run it began from had spent; nothing for a run that began by itself."""
    train, evaluated = result.tokens_inherited
    return {"tokens_inherited": {"train": train, "eval": evaluated}} if train else {}


def same_data(run: Run, sha256: str | Mapping[str, str]) -> bool:
    """Whether the data is byte for byte what the run started with."""
    recorded = run.read().get("data_sha256")
    return recorded is None or recorded == sha256
