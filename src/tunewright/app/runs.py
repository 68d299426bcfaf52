"""runs: which there are, what one did, what differs between several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunewright.record.run import Run, find_runs, open_run
from tunewright.schema.errors import DataError

SHOWN_RESULT = ("eval_loss", "base_eval_loss", "steps", "tokens", "seconds", "health", "forgetting")


def list_runs(runs_dir: str | Path) -> list[dict[str, Any]]:
    """One line's worth of every run below ``runs_dir``, oldest first; a damaged one is listed as damaged."""
    top = Path(runs_dir).absolute()
    return [{"name": run.path.relative_to(top).as_posix(), **_line(run)} for run in find_runs(top)]


def _line(run: Run) -> dict[str, Any]:
    try:
        about, status = run.read(), run.status()
    except DataError as error:
        return {"run": str(run.path), "status": "damaged", "why": error.message}
    result = about.get("result", {})
    return {
        "run": str(run.path),
        "status": status,
        "model": about.get("model"),
        "data": about.get("data"),
        "eval_loss": result.get("eval_loss"),
        "health": result.get("health"),
        "started": about.get("started"),
    }


def show_run(path: str | Path) -> dict[str, Any]:
    """Settings, result and findings of one run; what is missing is said, not invented."""
    run = open_run(Path(path))
    about = run.read()
    return {
        "run": str(run.path),
        "status": run.status(),
        "about": {key: value for key, value in about.items() if key != "result"},
        "result": about.get("result", {}),
        "recipe": settings_of(run),
        "findings": run.read("findings.json").get("findings", []),
        "missing": [name for name in ("run.json", "recipe.yaml", "metrics.jsonl") if not (run.path / name).is_file()],
    }


def settings_of(run: Run) -> dict[str, Any]:
    """The recipe keys of a run, empty when its recipe is missing."""
    from tunewright.schema.recipe_io import read_settings

    recipe = run.path / "recipe.yaml"
    return read_settings(recipe) if recipe.is_file() else {}


def compare_runs(paths: Sequence[str | Path]) -> dict[str, Any]:
    """The recipe keys whose values differ, and how each run ended."""
    runs = [open_run(Path(path)) for path in paths]
    settings = [settings_of(run) for run in runs]
    keys = [key for key in dict.fromkeys(key for one in settings for key in one) if _differs(key, settings)]
    return {
        "runs": [str(run.path) for run in runs],
        "differences": [{"key": key, "values": [one.get(key) for one in settings]} for key in keys],
        "results": [{key: run.read().get("result", {}).get(key) for key in SHOWN_RESULT} for run in runs],
    }


def _differs(key: str, settings: list[dict[str, Any]]) -> bool:
    return any(one.get(key) != settings[0].get(key) for one in settings[1:])
