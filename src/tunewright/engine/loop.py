"""The training loop: it orders events, and does nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tunewright.engine.base import Base
from tunewright.engine.events import OnEvent
from tunewright.engine.job import Job, TrainResult
from tunewright.engine.roster import OnDone, OnPackEvent, Outcome
from tunewright.engine.session import Session
from tunewright.schema.errors import TunewrightError


def _nothing(*_: Any) -> None:
    return None


def _never() -> bool:
    return False


def run_job(
    base: Base,
    job: Job,
    *,
    on_event: OnEvent = _nothing,
    should_stop: Callable[[], bool] = _never,
    resume: bool = False,
) -> TrainResult:
    """Train one job on a base and return what came of it; ``result.pack`` stays on the base, at its best parameters.

    ``on_event`` sees every metrics event, and may return why the run should stop: it then ends after a last
    evaluation. ``should_stop`` is asked after every step and evaluation; when true a checkpoint is written and
    Interrupted raised. ``resume``: go on from the newest whole checkpoint of ``job.run``, to the same numbers an
    undisturbed run has, bit for bit on a CPU with the same number of threads.

    A non-finite loss is logged as it is and its update left out; ten in a row end the run, which is no exception.
    Raises DataError without a supervised token, ModelError and UsageError for what cannot be trained, RunFailed
    when one row does not fit in memory or the disk is full.
    """
    hint = f"tunewright train --resume {job.run.path}" if job.run is not None else ""
    with Session(base, [job], lambda _, event: on_event(event), _nothing, resume=resume, resume_hint=hint) as session:
        _train(session, _nothing, should_stop)
    outcome = session.outcomes[0]
    if isinstance(outcome, TunewrightError):
        raise outcome
    return outcome


def run_pack(
    base: Base,
    jobs: Sequence[Job],
    *,
    slots: int | None = None,
    on_event: OnPackEvent = _nothing,
    on_done: OnDone = _nothing,
    on_boundary: Callable[[Session], None] = _nothing,
    should_stop: Callable[[], bool] = _never,
    resume: bool = False,
    resume_hint: str = "",
) -> list[Outcome]:
    """Train jobs side by side on one base, each as if it were alone; returns what came of each, in order of index.

    A job's result does not depend on its neighbours beyond floating-point order. It has all of its own: recipe, rows,
    length, cadence, folder. ``slots``: at most so many at once, the others take the rows of those that end; None: all.
    Jobs must share the base's method; one with modules_to_save, an adapter on the output layer or method full must be
    the only one.

    ``on_event``: as in :func:`run_job`, with the job's index; a reason stops that job alone.
    ``on_done``: told each outcome as it comes, its folder complete: a result, or the error that ended this job alone
    (a full disk, one row that does not fit in memory).
    ``on_boundary``: once after every step (and before the first), when what was due is measured and who has ended is
    still there: may ``branch``, ``admit`` and ``stop`` runs; their indexes go on from the last one.
    ``should_stop``: when true every job that has begun gets a checkpoint, and Interrupted is raised with
    ``resume_hint``. ``resume``: each job goes on from its own newest checkpoint; leave out those that had ended.

    Raises what is wrong with any job before anything is trained.
    """
    with Session(base, jobs, on_event, on_done, slots=slots, resume=resume, resume_hint=resume_hint) as session:
        try:
            _train(session, on_boundary, should_stop)
        finally:
            session.detach()
    return [session.outcomes[index] for index in sorted(session.outcomes)]


def _train(session: Session, on_boundary: Callable[[Session], None], should_stop: Callable[[], bool]) -> None:
    told_at = -1
    while session.slots:
        # at the planned steps, at step 0 and at the end: look at the validation rows and the probe
        if session.evaluation_due():
            session.evaluate()

        # after the metrics it belongs to, so that a resumed run never repeats a step it did not log
        if session.checkpoint_due():
            session.checkpoint()

        # once a step: the caller may branch from, add to and stop what is here, those that have just ended included
        if told_at != session.steps:
            told_at = session.steps
            on_boundary(session)

        # all steps done, no gain any more, non-finite numbers, or the caller has seen enough: others take the rows
        if session.ended():
            session.finish()
            continue

        # those who came or were stopped just now are looked at before the next step
        if session.evaluation_due():
            continue

        # Ctrl-C during an evaluation
        if should_stop():
            session.interrupt()

        session.train_step()

        # Ctrl-C during a step: do not evaluate first
        if should_stop():
            session.interrupt()
