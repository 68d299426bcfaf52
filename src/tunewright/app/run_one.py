"""Recipes made into finished run folders, alone or side by side: the step shared by train, tune, sweep and resume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunewright.app.live import StopRule, never
from tunewright.app.runs_at_work import RunsAtWork
from tunewright.app.task import Ended, Task, Work
from tunewright.app.watch import Watch
from tunewright.engine.base import Base
from tunewright.engine.loop import run_pack
from tunewright.record.run import Run
from tunewright.schema.errors import TunewrightError
from tunewright.schema.plan import Plan


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
    at_work = RunsAtWork(tasks, base.tokenizer, watch, on_ended, resume=resume)
    at_work.begin(slots)
    try:
        run_pack(
            base,
            [task.job() for task in tasks],
            slots=slots,
            on_event=at_work.on_event,
            on_done=at_work.on_done,
            on_boundary=at_work.on_boundary,
            should_stop=watch.should_stop,
            resume=resume,
            resume_hint=resume_hint,
        )
    except TunewrightError as error:
        at_work.break_off(error)
        raise
    at_work.say_notes()
    return [at_work.ends[place] for place in range(len(tasks))]
