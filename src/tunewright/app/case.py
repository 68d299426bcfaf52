"""What is known of a run beside its curve, so that every verb that reads it asks for the same change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunewright.app.lineage import record_of
from tunewright.app.past import tried_before
from tunewright.app.settings import settings_of
from tunewright.app.usual import usual_settings
from tunewright.doctor.detectors.base import found
from tunewright.doctor.diagnose import diagnose
from tunewright.doctor.thresholds import FORGETTING_NATS
from tunewright.prescribe.case import Case
from tunewright.prescribe.prescribe import prescribe
from tunewright.prescribe.report import Report
from tunewright.prescribe.report import report_on as report_on_curve
from tunewright.record.find import METRICS_FILE
from tunewright.record.run import Run
from tunewright.reporter import typed
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError, RecipeError
from tunewright.trainers.riding import out_of_memory


def case_of(
    curve: Curve, path: Path, settings: Mapping[str, Any] | None = None, *, runs_dir: Path | None = None
) -> Case:
    """Everything a prescription may look at: the curve read, the settings, and what was tried before.

    path     : of the run or the log
    settings : known from elsewhere, which win over what lies beside a log
    runs_dir : where earlier runs are; None: none are looked at
    """
    run, ours = Run(path.absolute()), is_run(path)
    curve = _with_exam(curve, run) if ours else curve
    config = settings_of(run) if ours else {**curve.config, **(settings or {})}
    rows = rows_of(run)
    return Case(
        diagnosis=diagnose(curve),
        curve=curve,
        config=config,
        rows=rows,
        usual=usual_settings(config, rows, ours=ours),
        history=tried_before(run, runs_dir) if ours and runs_dir else (),
        out_of_memory=ran_out_of_memory(path) or out_of_memory(curve.failure),
        record=record_of(runs_dir) if runs_dir else {},
    )


def _with_exam(curve: Curve, run: Run) -> Curve:
    """The curve with the old skills that the run's exam found lost, where no probe measured them while it trained."""
    exam = typed.as_exam(run.read("exam.json"))
    if exam is None or len(curve.general_loss):
        return curve
    rise = exam.forgetting.get("nats_per_token")
    if exam.reading != "forgot" and (rise is None or rise <= FORGETTING_NATS.value):
        return curve
    evidence = {"nats_per_token": rise, "limit": FORGETTING_NATS.value, "reading": exam.reading}
    why = exam.why if rise is None else f"the loss on what the base model could do rose by {rise:.2f} nats per token"
    found_lost = found("forgetting", (0, curve.last_step), f"the exam: {why}", evidence, _CAUSES)
    return replace(curve, probed=(*curve.probed, found_lost))


_CAUSES = ("learning rate too high", "too many epochs", "no replay of general rows")


def is_run(path: Path) -> bool:
    """Whether this is a run folder of ours: one that holds its recipe."""
    return (path / "recipe.yaml").is_file()


def ran_out_of_memory(path: Path) -> bool:
    """Whether this is a run of ours that ended because the device's memory was full."""
    return is_run(path) and Run(path.absolute()).read().get("error_code") == "out_of_memory"


def rows_of(run: Run) -> int | None:
    """The training rows of a run, None where it does not say."""
    rows = run.read().get("rows") if run.path.is_dir() else None
    return rows.get("train") if isinstance(rows, dict) else None


def report_on(curve: Curve, *, past: bool = False) -> Report:
    """One curve read, with what its run's folder tells of it; a damaged folder tells nothing.

    ``past``: what was tried on the same rows in the runs beside it counts too.
    """
    path = Path(curve.path)
    folder = path.parent if path.name == METRICS_FILE else path
    try:
        case = case_of(curve, folder, runs_dir=folder.absolute().parent if past and is_run(folder) else None)
    except (DataError, RecipeError):
        return report_on_curve(curve)
    return Report(case.curve or curve, case.diagnosis, prescribe(case))
