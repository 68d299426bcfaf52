"""What the board answers about one run or tuning, as plain data: the page shows this and works nothing out itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewright.board.charts import Axis, charts_json, charts_of, cursor_of
from tunewright.board.followed import Seen
from tunewright.board.places import folder_at
from tunewright.board.store import LIVE, Store, seconds_since, status_of
from tunewright.board.tree_json import block_json, document_json
from tunewright.doctor.live import UNTOLD
from tunewright.record.find import METRICS_FILE
from tunewright.reporter import load
from tunewright.reporter.curve_figure import describe, half_life_steps
from tunewright.reporter.curve_section import curve_table
from tunewright.reporter.document import make_document
from tunewright.reporter.figures import figures_of
from tunewright.reporter.run_view import RunView, TuningView
from tunewright.reporter.words import figure, one_line, steps
from tunewright.schema.finding import Finding


def charts_answer(
    store: Store, name: str, *, x: str = "step", smoothing: bool = True, zoom: tuple[float, float] | None = None
) -> dict[str, Any]:
    """The charts of one run: panels, bands of findings, marks, and the cursor to go on from."""
    folder = folder_at(store.root, name)
    seen = store.seen(folder)
    charts, axis, curve = charts_of(seen, smoothing=smoothing), Axis(x, seen), seen.curve
    findings = findings_of(store, folder, seen)
    silent = curve is None and not seen.broken and status_of(folder) in LIVE
    return {
        "name": name,
        "axis": {"kind": axis.kind, "title": axis.title},
        "panels": charts_json(charts, axis, [finding.steps for finding in findings], zoom=zoom),
        "bands": [_band(finding, axis) for finding in findings],
        "marks": _marks(folder, seen, axis),
        "cursor": cursor_of(seen, charts),
        "description": describe(curve, tuple(findings)) if curve else "Nothing was logged yet.",
        "half_life": half_life_steps(curve) if curve else 0.0,
        "total_steps": curve.total_steps if curve else None,
        "last_step": curve.last_step if curve else 0,
        "problem": "" if silent else one_line(seen.problem),
    }


def findings_of(store: Store, folder: Path, seen: Seen) -> list[Finding]:
    diagnosis = store.reading(folder, seen.curve)
    return [finding for finding in (diagnosis.findings if diagnosis else ()) if finding.symptom not in UNTOLD]


def _band(finding: Finding, axis: Axis) -> dict[str, Any]:
    first, last = axis.places_of(finding.steps)
    return {
        "first": first,
        "last": last,
        "severity": finding.severity,
        "label": one_line(finding.symptom.replace("_", " "), 60),
        "where": steps(*finding.steps),
        "why": one_line(finding.why, 400),
    }


def _marks(folder: Path, seen: Seen, axis: Axis) -> list[dict[str, Any]]:
    """Vertical marks: where the run was resumed, and the step that was kept."""
    marks = [_mark(axis, step, "resumed", f"resumed at {step:,}") for step in seen.resumed]
    result = load.mapping(load.json_object(folder, "run.json", load.Problems()).get("result"))
    best = figures_of(result, seen.curve).best_step
    if best is None or seen.curve is None or best > seen.curve.last_step:
        return marks
    loss = seen.curve.eval_loss.at(best)
    label = f"best: {figure(loss)} at step {best:,}" if loss is not None else f"best: step {best:,}"
    return [*marks, _mark(axis, best, "best", label)]


def _mark(axis: Axis, step: int, look: str, label: str) -> dict[str, Any]:
    return {"x": axis.places_of([step])[0], "look": look, "label": label}


def page_answer(store: Store, name: str) -> dict[str, Any]:
    """Everything of a run or tuning but its charts: the report's document, section by section."""
    folder = folder_at(store.root, name)
    view = store.view(folder)
    is_run = isinstance(view, RunView)
    return {
        "name": name,
        "status": status_of(folder),
        "age_s": seconds_since(folder / (METRICS_FILE if is_run else "decisions.jsonl")),
        "problems": [one_line(problem) for problem in view.problems],
        **document_json(make_document(view), figures=not is_run),
        **(_of_run(view) if isinstance(view, RunView) else _of_tuning(view)),
    }


def _of_run(view: RunView) -> dict[str, Any]:
    return {
        "command": one_line(view.about.get("command") or ""),
        "table": block_json(curve_table(view.curve)) if view.curve else None,
    }


def _of_tuning(view: TuningView) -> dict[str, Any]:
    return {
        "best": view.best,
        "runs": [run.name for run in view.runs],
        "decisions": [{"t": at, "text": one_line(text)} for at, text in view.decisions],
    }
