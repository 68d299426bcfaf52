"""Run and tuning folders read into views: forgiving, from the files alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunewright.curve.read import read_curves
from tunewright.record.find import MARKS, METRICS_FILE
from tunewright.record.notes import NOTES_FILE
from tunewright.record.run import CHECK_FILE, Run
from tunewright.reporter import load, typed
from tunewright.reporter.run_view import RunView, TuningRun, TuningView, View, view_of_curve
from tunewright.schema.curve import Curve
from tunewright.schema.errors import TunewrightError, UsageError
from tunewright.schema.finding import Diagnosis
from tunewright.schema.plan import PlannedValue
from tunewright.schema.prescription import Prescription

__all__ = ["RunView", "TuningRun", "TuningView", "View", "read_view", "view_of_curve"]


def read_view(path: Path) -> View:
    """The view of a run folder, or of a tuning's or sweep's.

    Missing and damaged files are said in ``problems``. Raises UsageError when the folder is neither.
    """
    path = Path(path).absolute()
    if (path / "tuning.json").is_file():
        return _read_tuning(path)
    if not any((path / mark).is_file() for mark in MARKS):
        marks = ", ".join(("tuning.json", *MARKS))
        raise UsageError(f"{path}: neither a run nor a tuning folder (none of {marks})", hint="tunewright runs ls")
    return _read_run(path)


def _read_run(path: Path) -> RunView:
    problems = load.Problems()
    about = load.json_object(path, "run.json", problems)
    plan = load.json_object(path, "plan.json", problems)
    findings = load.json_object(path, "findings.json", problems)
    recipe_yaml = load.text_file(path, "recipe.yaml", problems)
    events = load.json_lines(path, METRICS_FILE, problems, having="resumed_at")
    kept = load.json_object(path, NOTES_FILE, problems)
    for name in (name for name in MARKS if not (path / name).is_file()):
        problems.note(f"{name} is missing.")
    curve = _read_curve(path, problems)
    diagnosis, prescription = _reading(findings, curve)
    return RunView(
        path=str(path),
        name=path.name,
        status=_status(path, about),
        about={key: value for key, value in about.items() if key != "result"},
        result=load.mapping(about.get("result")),
        recipe=load.yaml_object(recipe_yaml, "recipe.yaml", problems),
        recipe_yaml=recipe_yaml,
        values=tuple(_planned_value(value) for value in load.items(plan.get("values"))),
        predicted=load.mapping(plan.get("predicted")),
        warnings=load.texts(plan.get("warnings")),
        prediction=load.json_object(path, "prediction.json", problems),
        check=load.json_object(path, CHECK_FILE, problems),
        notes=tuple(
            (load.number(note.get("t")), load.text(note.get("text"))) for note in load.items(kept.get("notes"))
        ),
        tags=load.texts(kept.get("tags")),
        curve=curve,
        resumed=_resumed(events),
        diagnosis=diagnosis,
        prescription=prescription,
        exam=typed.as_exam(load.json_object(path, "exam.json", problems)),
        adapter_base=load.text(
            load.json_object(path / "best", "adapter_config.json", problems).get("base_model_name_or_path")
        ),
        has_best=(path / "best").is_dir(),
        problems=tuple(problems.said),
    )


def _reading(findings: Mapping[str, Any], curve: Curve | None) -> tuple[Diagnosis | None, Prescription | None]:
    """What the run recorded of its curve; a run that never got so far is read now."""
    if findings or curve is None:
        return typed.as_diagnosis(findings), typed.as_prescription(findings.get("prescription"))
    from tunewright.prescribe.report import report_on

    report = report_on(curve)
    return report.diagnosis, report.prescription


def _status(path: Path, about: Mapping[str, Any]) -> str:
    """As run.json says, but a run whose heartbeat stopped is interrupted; "unknown" when it says nothing."""
    try:
        return Run(path).status() if about else "unknown"
    except (TunewrightError, TypeError, ValueError):
        return "unknown"


def _read_curve(path: Path, problems: load.Problems) -> Curve | None:
    if not (path / METRICS_FILE).is_file():
        return None
    try:
        return read_curves(path)[0]
    except TunewrightError as error:
        problems.note(f"The curve cannot be read: {error.message}")
    except OSError as error:
        problems.note(f"The curve cannot be read: {error.strerror}")
    return None


def _planned_value(raw: Mapping[str, Any]) -> PlannedValue:
    return PlannedValue(
        load.text(raw.get("key")), raw.get("value"), load.text(raw.get("why")), load.text(raw.get("source"))
    )


def _resumed(events: list[dict[str, Any]]) -> tuple[int, ...]:
    """Steps the run was resumed from.

    >>> _resumed([{"step": 2, "loss": 1.5}, {"resumed_at": 1}])
    (1,)
    """
    steps = (load.count(event.get("resumed_at")) for event in events)
    return tuple(step for step in steps if step is not None)


def _read_tuning(path: Path) -> TuningView:
    problems = load.Problems()
    about = load.json_object(path, "tuning.json", problems)
    listed = load.items(about.get("runs")) or [cell for cell in load.items(about.get("cells")) if "status" in cell]
    runs = tuple(_tuning_run(path, raw, problems) for raw in listed)
    best = Path(load.text(load.mapping(about.get("best")).get("run"))).name
    exam = typed.as_exam(about.get("exam"))
    if exam is None:
        exam = next((run.view.exam for run in runs if run.name == best and run.view), None)
    lines = load.json_lines(path, "decisions.jsonl", problems)
    return TuningView(
        path=str(path),
        name=path.name,
        about={key: value for key, value in about.items() if key not in ("runs", "exam")},
        runs=runs,
        best=best,
        exam=exam,
        decisions=tuple((load.number(line.get("t")), load.text(line.get("text"))) for line in lines),
        problems=tuple(problems.said),
    )


def _tuning_run(tuning: Path, raw: Mapping[str, Any], problems: load.Problems) -> TuningRun:
    """A run is looked for inside the tuning's folder first: the whole may have been moved since."""
    name = load.text(raw.get("name")) or Path(load.text(raw.get("run"))).name
    view = _run_below(tuning, Path(name).name)
    if view is None:
        problems.note(f"The folder of {name} is missing; only what tuning.json says of it is shown.")
    health = load.text(raw.get("health")) or (view.health if view else "unknown")
    return TuningRun(
        name=name,
        changes=typed.as_changes(raw.get("changed")),
        why=load.text(raw.get("why")),
        eval_loss=load.number(raw.get("eval_loss")),
        forgetting=load.number(raw.get("forgetting")),
        health=health,
        predicted=typed.as_range(raw.get("predicted")),
        verdict=load.text(raw.get("verdict")),
        findings=load.texts(raw.get("findings")),
        view=view,
    )


def _run_below(tuning: Path, name: str) -> RunView | None:
    folder = tuning / name
    is_run = name not in ("", ".", "..") and any((folder / mark).is_file() for mark in MARKS)
    return _read_run(folder) if is_run else None
