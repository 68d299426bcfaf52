"""Our own run folder: metrics.jsonl, with what run.json, plan.json and recipe.yaml say about the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewright.curve.beside import read_yaml
from tunewright.curve.collect import Collector, Columns
from tunewright.curve.json_text import read_object, read_rows
from tunewright.curve.names import to_step
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError

METRICS_FILE = "metrics.jsonl"
MARKS = ("run.json", "recipe.yaml")


def matches(path: Path) -> bool:
    """A folder with run.json or recipe.yaml that can have a curve, or the metrics.jsonl of such a folder."""
    folder = path.parent if path.name == METRICS_FILE else path
    if not folder.is_dir() or (folder / "tuning.json").is_file():
        return False
    return any((folder / mark).is_file() for mark in MARKS) or (path / METRICS_FILE).is_file()


def read(path: Path, columns: Columns | None = None) -> list[Curve]:
    """The run's curve. Raises DataError when nothing was logged yet or a file is damaged."""
    folder = path.parent if path.name == METRICS_FILE else path
    metrics = folder / METRICS_FILE
    if not metrics.is_file():
        raise DataError(f"{folder}: a run folder without {METRICS_FILE}: it logged nothing yet")
    collected = Collector(columns)
    for event in (event for events in read_rows(metrics) for event in events):
        resumed = to_step(event.get("resumed_at"))
        if resumed is not None:
            collected.resumed_at(resumed)
        else:
            collected.add(event)
    about = _object(folder / "run.json")
    curve = collected.curve(
        "tunewright",
        folder,
        total_steps=_planned_steps(folder),
        eval_rows=_validation_rows(about),
        config=_recipe(folder / "recipe.yaml"),
    )
    return [curve]


def _planned_steps(folder: Path) -> int | None:
    predicted = _object(folder / "plan.json").get("predicted")
    return to_step(predicted.get("steps")) if isinstance(predicted, dict) else None


def _validation_rows(about: dict[str, Any]) -> int | None:
    rows = about.get("rows")
    return to_step(rows.get("val")) if isinstance(rows, dict) else None


def _object(path: Path) -> dict[str, Any]:
    return read_object(path) if path.is_file() else {}


def _recipe(path: Path) -> dict[str, Any]:
    return read_yaml(path) if path.is_file() else {}
