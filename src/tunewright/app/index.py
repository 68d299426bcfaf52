"""Every run below a folder in one line's worth each: what ``runs ls`` and the board list, filter and sort."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tunewright
from tunewright.app.settings import settings_of
from tunewright.prescribe.values import as_set
from tunewright.record.find import METRICS_FILE, find
from tunewright.record.index import name_below, remembered
from tunewright.record.notes import NOTES_FILE, read_notes
from tunewright.record.run import Run, status_of
from tunewright.reporter import load, typed
from tunewright.reporter.figures import figures_of
from tunewright.schema.errors import DataError, TunewrightError

if TYPE_CHECKING:
    from tunewright.schema.curve import Curve

FILES = (
    *("run.json", "recipe.yaml", "plan.json", METRICS_FILE, "findings.json", "exam.json"),
    NOTES_FILE,
)
"""The files a summary is made from."""
VERSION = f"{tunewright.__version__}/1"
"""Raise the last number when a summary says something else than before."""


def summaries(runs_dir: str | Path) -> list[dict[str, Any]]:
    """One summary for every run below ``runs_dir``, oldest first; a damaged one says what is wrong with it.

    Folders that may not be read are listed as damaged too. The index only makes this faster.
    """
    top = Path(runs_dir).absolute()
    found = find(top)
    known = remembered(top, found.runs, FILES, lambda path: summary(Run(path)), version=VERSION)
    now_s = time.time()
    series = {name_below(path, top) for path in found.series}
    listed = [_placed(path, top, series, one, now_s) for path, one in zip(found.runs, known, strict=True)]
    listed += [_closed(path, top, why) for path, why in found.closed]
    return sorted(listed, key=lambda one: (load.number(one.get("started")) or 0.0, one["name"]))


def _placed(path: Path, top: Path, series: set[str], known: Mapping[str, Any], now_s: float) -> dict[str, Any]:
    """A summary as it is true here and now: where the folder lies, and whether its heart still beats."""
    name = name_below(path, top)
    one = {**known, "name": path.name if name == "." else name, "run": str(path)}
    if one["status"] != "damaged":
        one["status"] = status_of({"status": known["status"], "heartbeat": known["heartbeat"]}, now_s)
    parent = os.path.dirname(name) or "."
    one["series"] = (top.name if parent == "." else parent) if parent in series else ""
    return one


def _closed(path: Path, top: Path, why: str) -> dict[str, Any]:
    return {"name": name_below(path, top), "run": str(path), "status": "damaged", "why": why, "tags": []}


def summary(run: Run) -> dict[str, Any]:
    """What one folder says about its run; never raises for what is in it.

    ``problems``: what could not be read, one sentence each; ``status`` is "damaged" when run.json is among it.
    """
    problems = load.Problems()
    about = load.json_object(run.path, "run.json", problems)
    damaged = bool(problems.said)
    findings = load.json_object(run.path, "findings.json", problems)
    exam = typed.as_exam(load.json_object(run.path, "exam.json", problems))
    result = load.mapping(about.get("result"))
    curve = _curve(run, result, problems)
    figures = figures_of(
        result,
        curve,
        health=load.text(findings.get("health")) or _health(curve),
        exam_forgetting=exam.forgetting.get("nats_per_token") if exam else None,
    )
    settings = _settings(run, problems)
    kept = _notes(run, problems)
    answer = {
        "status": "damaged" if damaged else load.text(about.get("status")) or "unknown",
        "heartbeat": load.number(about.get("heartbeat")),
        "model": about.get("model") or settings.get("model"),
        "data": about.get("data") or settings.get("data"),
        **vars(figures),
        "started": load.number(about.get("run_started")) or load.number(about.get("started")),
        "ended": load.number(about.get("ended")),
        "findings": [load.text(one.get("symptom")) for one in load.items(findings.get("findings"))],
        "exam": {part: score.rate for part, score in exam.parts.items() if score.n} if exam else {},
        "reading": exam.reading if exam else None,
        "parent": about.get("parent"),
        "changed": load.items(about.get("changed")),
        "tags": [str(tag) for tag in kept["tags"]],
        "notes": [load.text(note.get("text")) for note in load.items(kept["notes"])],
        "settings": settings,
        "problems": problems.said,
    }
    return {**answer, "why": problems.said[0]} if damaged else answer


def log_summary(curve: Curve) -> dict[str, Any]:
    """The same of another tool's log: what its curve and the settings beside it say, the rest unknown."""
    figures = vars(figures_of({}, curve, health=_health(curve)))
    rates = curve.learning_rate.finite().values
    peak = {"learning_rate": as_set(float(rates.max()))} if len(rates) and rates.max() > 0 else {}
    settings = {**peak, **curve.config}
    unknown: dict[str, Any] = {"parent": None, "changed": [], "problems": []}
    return {"status": None, "model": settings.get("model"), **figures, "settings": settings, **unknown}


def _curve(run: Run, result: Mapping[str, Any], problems: load.Problems) -> Curve | None:
    """The curve of a run whose result does not say it all: only then does a figure depend on it."""
    said = all(
        load.number(result.get(key)) is not None for key in ("eval_loss", "base_eval_loss", "best_step", "steps")
    )
    if said or not run.metrics_path.is_file():
        return None
    from tunewright.curve.read import read_curves  # most runs need none, and it costs more than all the rest

    try:
        return read_curves(run.path)[0]
    except TunewrightError as error:
        problems.note(error.message)
    return None


def _health(curve: Curve | None) -> str:
    """The health of a curve whose findings are not on record yet."""
    if curve is None:
        return ""
    from tunewright.doctor.diagnose import diagnose

    return diagnose(curve).health


def _settings(run: Run, problems: load.Problems) -> dict[str, Any]:
    try:
        return settings_of(run)
    except TunewrightError as error:
        problems.note(error.message)
        return {}


def _notes(run: Run, problems: load.Problems) -> dict[str, Any]:
    try:
        return read_notes(run)
    except DataError as error:
        problems.note(error.message)
        return {"notes": [], "tags": []}
