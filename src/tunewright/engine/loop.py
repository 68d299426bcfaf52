"""The training loop: it orders events, and does nothing else."""

from __future__ import annotations

from collections.abc import Callable

from tunewright.engine.base import Base
from tunewright.engine.events import OnEvent
from tunewright.engine.job import Job, TrainResult
from tunewright.engine.session import Session


def _no_comment(event: dict[str, object]) -> None:
    return None


def run_job(
    base: Base,
    job: Job,
    *,
    on_event: OnEvent = _no_comment,
    should_stop: Callable[[], bool] = lambda: False,
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
    with Session(base, job, on_event) as session:
        state = session.state
        if resume:
            session.restore()
        while True:
            # at the planned steps, at step 0 and at the end: look at the validation rows and the probe
            if session.evaluation_due():
                session.evaluate()

            # after the metrics it belongs to, so that a resumed run never repeats a step it did not log
            if session.checkpoint_due():
                session.checkpoint()

            # all steps done, no gain any more, non-finite numbers, or the caller has seen enough
            if state.stopped_because:
                return session.finish()

            # Ctrl-C during an evaluation
            if should_stop():
                session.interrupt()

            session.train_step()

            # Ctrl-C during a step: do not evaluate first
            if should_stop():
                session.interrupt()
