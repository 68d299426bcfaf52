"""Our own run folder: metrics.jsonl, with what run.json, plan.json and recipe.yaml say about the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from tunewright.curve.beside import read_yaml
from tunewright.curve.collect import Collector, Columns
from tunewright.curve.json_text import read_object, read_rows
from tunewright.curve.names import to_step
from tunewright.record.find import METRICS_FILE
from tunewright.record.run import PROBES_FILE
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError
from tunewright.schema.finding import Finding, Severity

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
    for events in read_rows(metrics):
        collect(collected, events)
    return [curve_of(collected, folder)]


def collect(collected: Collector, events: list[dict[str, Any]]) -> None:
    """Take in some lines of metrics.jsonl, in order; a line that says where the run was resumed is no point."""
    if not any("resumed_at" in event for event in events):
        collected.add_all(events)
        return
    for event in events:
        resumed = to_step(event.get("resumed_at"))
        if resumed is None:
            collected.add(event)
        else:
            collected.resumed_at(resumed)


def curve_of(collected: Collector, folder: Path, config: Mapping[str, Any] | None = None) -> Curve:
    """The curve of a run folder's collected events, with what its other files say. Raises DataError.

    ``config``: its recipe's keys, when they were read already.
    """
    about = _object(folder / "run.json")
    curve = collected.curve(
        "tunewright",
        folder,
        total_steps=_planned_steps(folder),
        eval_rows=_validation_rows(about),
        config=recipe_keys(folder) if config is None else config,
    )
    return replace(curve, probed=_probed(folder / PROBES_FILE))


def _probed(path: Path) -> tuple[Finding, ...]:
    """What probes of the data found, as they wrote it down; nothing of a file that says it otherwise."""
    listed = _object(path).get("findings")
    return tuple(map(_finding, filter(_is_finding, listed))) if isinstance(listed, list) else ()


def _is_finding(entry: Any) -> bool:
    words = [entry.get(key) for key in ("code", "symptom", "why")] if isinstance(entry, dict) else [None]
    return all(isinstance(word, str) and word for word in words) and entry.get("severity") in get_args(Severity)


def _finding(entry: dict[str, Any]) -> Finding:
    def of(kind: type, key: str) -> Any:
        return entry[key] if isinstance(entry.get(key), kind) else kind()

    first, last = (to_step(step) or 0 for step in (*of(list, "steps"), 0, 0)[:2])
    return Finding(
        code=entry["code"],
        symptom=entry["symptom"],
        severity=entry["severity"],
        steps=(first, last),
        evidence=of(dict, "evidence"),
        why=entry["why"],
        causes=tuple(map(str, of(list, "causes"))),
        rows=tuple(row for row in of(list, "rows") if isinstance(row, int)),
    )


def _planned_steps(folder: Path) -> int | None:
    predicted = _object(folder / "plan.json").get("predicted")
    return to_step(predicted.get("steps")) if isinstance(predicted, dict) else None


def _validation_rows(about: dict[str, Any]) -> int | None:
    rows = about.get("rows")
    return to_step(rows.get("val")) if isinstance(rows, dict) else None


def _object(path: Path) -> dict[str, Any]:
    return read_object(path) if path.is_file() else {}


def recipe_keys(folder: Path) -> dict[str, Any]:
    """The keys of the folder's recipe.yaml, empty without one. Raises DataError."""
    path = folder / "recipe.yaml"
    return read_yaml(path) if path.is_file() else {}
