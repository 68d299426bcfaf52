"""The list of runs: what ``runs ls`` knows, with tunings and sweeps as the groups they are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunewright.app.index import summaries
from tunewright.board.store import status_of
from tunewright.record.find import Found, find
from tunewright.reporter import load
from tunewright.reporter.verdicts import HEALTH_TONE
from tunewright.reporter.words import figure, moment, one_line, setting

ENDED_TONE = {"failed": "bad", "damaged": "bad", "interrupted": "warn", "running": "live"}
MOST_STRANGERS = 20


def listing(root: Path) -> dict[str, Any]:
    """Runs newest first, series by name, and folders in which there is no run; damaged ones say what is wrong."""
    found = find(root)
    return {
        "folder": one_line(root),
        "runs": [_run(one) for one in reversed(summaries(root))],
        "series": {_name(path, root): _series(path) for path in found.series},
        "strangers": _strangers(root, found),
    }


def _name(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _run(one: Mapping[str, Any]) -> dict[str, Any]:
    health = load.text(one.get("health"))
    loss = load.number(one.get("eval_loss"))
    return {
        "name": load.text(one.get("name")),
        "series": load.text(one.get("series")),
        "status": load.text(one.get("status")),
        "status_tone": ENDED_TONE.get(load.text(one.get("status")), "quiet"),
        "health": one_line(health, 20),
        "health_tone": HEALTH_TONE.get(health, "quiet"),
        "model": _short(one.get("model")),
        "data": _short(one.get("data")),
        "eval_loss": figure(loss) if loss is not None else "",
        "base_eval_loss": _shown(one.get("base_eval_loss")),
        "sort_loss": loss if loss is not None and loss == loss else None,
        "steps": f"{steps:,}" if (steps := load.count(one.get("steps"))) is not None else "",
        "started": moment(one.get("started")) if one.get("started") else "",
        "sort_started": load.number(one.get("started")) or 0.0,
        "changed": "; ".join(_change(change) for change in load.items(one.get("changed"))),
        "tags": [one_line(tag, 60) for tag in load.texts(one.get("tags"))],
        "problems": [one_line(problem, 300) for problem in _problems(one)],
    }


def _problems(one: Mapping[str, Any]) -> tuple[str, ...]:
    return load.texts(one.get("problems")) or ((load.text(one["why"]),) if one.get("why") else ())


def _shown(value: Any) -> str:
    number = load.number(value)
    return "" if number is None else figure(number)


def _short(value: Any) -> str:
    """The last part of a path or Hub name; lists as they are."""
    text = one_line(setting(value), 200) if value else ""
    return text.rstrip("/").rpartition("/")[2] if isinstance(value, str) else text


def _change(change: Mapping[str, Any]) -> str:
    return f"{one_line(change.get('key'), 60)} {setting(change.get('from'))} → {setting(change.get('to'))}"


def _series(folder: Path) -> dict[str, Any]:
    problems = load.Problems()
    about = load.json_object(folder, "tuning.json", problems)
    best = load.mapping(about.get("best"))
    status = status_of(folder)
    return {
        "kind": "sweep" if about.get("kind") == "sweep" else "tuning",
        "status": status,
        "status_tone": ENDED_TONE.get(status, "quiet"),
        "best": one_line(Path(load.text(best.get("run"))).name, 100),
        "eval_loss": _shown(best.get("eval_loss")),
        "base_eval_loss": _shown(about.get("base_eval_loss")),
        "stopped_because": one_line(about.get("stopped_because") or "", 300),
        "problems": [one_line(problem, 300) for problem in problems.said],
    }


def _strangers(root: Path, found: Found) -> list[str]:
    """Folders beside the runs in which no run was found, so that nobody looks for it in vain."""
    known = {_name(path, root).partition("/")[0] for path in (*found.runs, *found.series)}
    known |= {_name(path, root).partition("/")[0] for path, _ in found.closed}
    try:
        beside = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []
    return [one_line(name, 100) for name in beside if name not in known][:MOST_STRANGERS]
