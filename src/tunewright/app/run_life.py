"""The life of a run as its folder tells it, whoever makes the run: it began, it was read, it ended or it broke off."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tunewright.app.diagnose import Report, report_on
from tunewright.app.lineage import scored_json
from tunewright.curve.read import read_curves
from tunewright.record.run import Run
from tunewright.schema.errors import Interrupted, TunewrightError

CAME = ("steps", "tokens", "train_seconds", "peak_GiB", "eval_loss")
"""Of the ``train`` JSON, what is held against what was promised."""


def begin(run: Run, *, resume: bool) -> None:
    """Mark the run as running; ``run_started`` is kept from its first life."""
    known = resume and "run_started" in run.read()
    run.update(status="running", **({} if known else {"run_started": time.time()}))


def read_run(run: Run) -> Report:
    """The curve of our own run folder and what the doctor says of it."""
    return report_on(read_curves(run.path)[0])


def keep_reading(run: Run) -> Report:
    """Read the run, and keep what was found in findings.json."""
    report = read_run(run)
    run.write("findings.json", report)
    return report


def keep_score(run: Run, answer: Mapping[str, Any], report: Report) -> None:
    """Note in prediction.json what came of what was promised, given the run's ``train`` JSON and its reading."""
    came = {key: answer[key] for key in CAME}
    run.write("prediction.json", scored_json(run.read("prediction.json"), came, report))


def finish(run: Run, answer: Mapping[str, Any]) -> None:
    """Mark the run as finished, with its ``train`` JSON."""
    run.update(status="finished", ended=time.time(), result=answer)


def break_off(run: Run, error: TunewrightError) -> None:
    """The run ended without a result: interrupted, to be resumed, or failed."""
    if isinstance(error, Interrupted):
        run.update(status="interrupted", ended=time.time())
    else:
        run.update(status="failed", ended=time.time(), error=error.message, error_code=error.code)
