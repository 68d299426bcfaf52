"""runs: which there are, what one did, what differs between several, and how a person marks or removes one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.app.choose import chosen, ordered
from tunewright.app.index import log_summary, summaries, summary
from tunewright.app.settings import settings_of
from tunewright.record.find import MARKS, SERIES_MARK, find
from tunewright.record.notes import add_note, set_tags
from tunewright.record.run import Run, open_run
from tunewright.reporter import load
from tunewright.schema.errors import DataError, TunewrightError, UsageError

if TYPE_CHECKING:
    from tunewright.reporter.run_view import RunView

__all__ = ["compare_runs", "list_runs", "mark_run", "removal", "remove_runs", "settings_of", "show_run"]

SHOWN_RESULT = ("eval_loss", "base_eval_loss", "steps", "tokens", "seconds", "health", "forgetting")


def list_runs(runs_dir: str | Path, *, filters: Sequence[str] = (), sort: str = "") -> list[dict[str, Any]]:
    """One line's worth of every run below ``runs_dir``, oldest first; a damaged one is listed as damaged.

    filters : conditions such as ``"health=sick"``, ``"eval_loss<1.2"``, ``"model~qwen"``; a run must meet all
    sort    : a key to sort by instead, "-" before it for the largest first

    Raises UsageError for a condition or a key that cannot be meant.
    """
    found = ordered(chosen(summaries(runs_dir), filters), sort)
    return [dict(one) for one in found]


def show_run(path: str | Path) -> dict[str, Any]:
    """Settings, figures, findings and lineage of one run; what is missing or damaged is said, not invented.

    ``result`` is what the run recorded itself, ``figures`` what every face shows. Of a tuning or sweep: its view.
    """
    from tunewright.reporter.run_view import RunView  # a list of runs needs neither curves nor numpy
    from tunewright.reporter.view import read_view

    view = read_view(Path(path))
    run = Run(Path(view.path))
    if not isinstance(view, RunView):
        return {"run": view.path, **view.__json__()}
    return {
        "run": str(run.path),
        "status": view.status,
        "about": dict(view.about),
        "result": dict(view.result),
        "figures": view.figures,
        "recipe": dict(view.recipe),
        "findings": list(view.diagnosis.findings) if view.diagnosis else [],
        "lineage": lineage_json(view),
        "tags": list(view.tags),
        "notes": [{"t": when, "text": text} for when, text in view.notes],
        "missing": [name for name in MARKS if not (run.path / name).is_file()],
        "problems": list(view.problems),
    }


def lineage_json(view: RunView) -> dict[str, Any]:
    """Which run this one came from, what was changed and why, what was promised and came, and what came from it."""
    about, prediction = view.about, view.prediction
    return {
        "parent": about.get("parent"),
        "changed": load.items(about.get("changed")),
        "why": about.get("why"),
        "prescribed": prediction.get("prescribed"),
        "score": prediction.get("score"),
        "children": [str(child) for child in children_of(Path(view.path))],
    }


def children_of(path: Path) -> list[Path]:
    """The runs in the same folder that were made from this one."""
    children = []
    for mark in sorted(path.parent.glob("*/run.json")):
        try:
            parent = Run(mark.parent).read().get("parent")
        except DataError:
            continue
        if parent and os.path.abspath(str(parent)) == str(path):
            children.append(mark.parent)
    return children


def compare_runs(paths: Sequence[str | Path]) -> dict[str, Any]:
    """The recipe keys whose values differ, how each run ended, and how sure the difference to the first one is.

    Logs of other tools count as runs: their settings are those found beside them. Raises UsageError for a path that is
    neither, DataError for a log that cannot be read.
    """
    from tunewright.app.runs_apart import apart

    found = [_run_or_log(Path(path)) for path in paths]
    runs, known = [run for run, _ in found], [one for _, one in found]
    settings = [one["settings"] for one in known]
    keys = [key for key in dict.fromkeys(key for one in settings for key in one) if _differs(key, settings)]
    return {
        "runs": [str(run.path) for run in runs],
        "differences": [{"key": key, "values": [one.get(key) for one in settings]} for key in keys],
        "results": [_result(one) for one in known],
        "apart": apart(runs, known),
        "lineage": [{"parent": one["parent"], "changed": one["changed"]} for one in known],
        "problems": [
            f"{run.path.name}: {said}" for run, one in zip(runs, known, strict=True) for said in one["problems"]
        ],
    }


def _run_or_log(path: Path) -> tuple[Run, dict[str, Any]]:
    if not path.exists() or any((path / mark).is_file() for mark in MARKS):
        run = open_run(path)
        return run, summary(run)
    from tunewright.curve.read import named_by, read_one  # a list of runs needs neither curves nor numpy

    return Run(named_by(path)), log_summary(read_one(path))


def _result(known: dict[str, Any]) -> dict[str, Any]:
    figures = {key: known[key] for key in SHOWN_RESULT if key in known}
    return {**figures, "tokens": {"train": known["train_tokens"]}, "status": known["status"]}


def _differs(key: str, settings: list[dict[str, Any]]) -> bool:
    return any(one.get(key) != settings[0].get(key) for one in settings[1:])


def mark_run(
    path: str | Path, *, note: str = "", tags: Sequence[str] = (), untag: Sequence[str] = ()
) -> dict[str, Any]:
    """Put a note or tags on a run, or take tags off; nothing else of the folder is touched.

    Returns all its notes and tags. Raises UsageError for what is no run, an empty note or an unusable tag.
    """
    run = open_run(Path(path))
    if note:
        add_note(run, note)
    return {"run": str(run.path), **set_tags(run, tags, untag)}


def removal(paths: Sequence[str | Path]) -> list[dict[str, Any]]:
    """What :func:`remove_runs` would remove: each folder with its size and the runs inside and made from it.

    Raises UsageError, before anything is touched, for what is no run or tuning, is a link, or is still at work.
    """
    return [_removal(Path(path)) for path in dict.fromkeys(paths)]


def _removal(path: Path) -> dict[str, Any]:
    if path.is_symlink():
        raise UsageError(
            f"{path}: a link, not a run folder; nothing was removed", hint=f"remove {path.resolve()} instead"
        )
    is_series = (path / SERIES_MARK).is_file()
    folder = path.absolute() if is_series else open_run(path).path
    inside = [Run(found) for found in find(folder).runs]
    for run in (Run(folder), *inside):
        if _status(run) == "running":
            raise UsageError(f"{run.path}: still running; nothing was removed", hint="stop it first, with Ctrl-C")
    size = sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())
    runs = [str(run.path) for run in inside if run.path != folder]
    return {"run": str(folder), "bytes": size, "runs": runs, "children": [str(one) for one in children_of(folder)]}


def _status(run: Run) -> str:
    try:
        return run.status()
    except TunewrightError:
        return "damaged"


def remove_runs(paths: Sequence[str | Path]) -> dict[str, Any]:
    """Remove run or tuning folders for good; see :func:`removal` for what is refused.

    Each folder is first renamed to a hidden name, so that a reader sees it whole or not at all.
    """
    planned = removal(paths)
    for one in planned:
        folder = Path(one["run"])
        hidden = folder.with_name(f".{folder.name}.removed")
        try:
            if hidden.exists():
                shutil.rmtree(hidden)
            folder.rename(hidden)
            shutil.rmtree(hidden)
        except OSError as error:
            raise UsageError(
                f"{folder}: could not be removed: {error.strerror}", hint="look at its permissions"
            ) from None
    return {"removed": planned}
