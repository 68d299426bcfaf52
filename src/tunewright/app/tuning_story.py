"""tune --explain: the story of a tuning told again from its folder, without running or loading anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewright.record.run import Run
from tunewright.schema import jsonio
from tunewright.schema.errors import UsageError

KEPT = ("goal", "model", "data", "base_eval_loss", "best", "tokens", "seconds", "stopped_because", "runs")


def explain_tuning(folder: str | Path = "", *, runs_dir: str | Path = "runs") -> dict[str, Any]:
    """Every decision of a tuning in order, with its runs; the newest tuning below ``runs_dir`` unless one is named.

    ``decisions``: the time in seconds since the tuning began, and the words. A tuning that has not ended is told as
    far as it has come. Raises UsageError when there is none.
    """
    run = Run(Path(folder).absolute()) if folder else _newest(Path(runs_dir))
    about = run.read("tuning.json")
    if not about or about.get("kind", "tune") != "tune":
        raise UsageError(f"{run.path}: not a tuning (no tuning.json of one)", hint="tunewright runs ls")
    began = float(about.get("started") or 0.0)
    lines = _lines(run)
    return {
        "tuning": str(run.path),
        **{key: about.get(key) for key in KEPT},
        "decisions": [{"seconds": float(line["t"]) - began, "text": str(line["text"])} for line in lines],
    }


def _newest(runs_dir: Path) -> Run:
    found = [Run(path.parent.absolute()) for path in runs_dir.glob("*/tuning.json")]
    tunings = [run for run in found if run.read("tuning.json").get("kind", "tune") == "tune"]
    if not tunings:
        raise UsageError(f"{runs_dir}: no tuning to explain", hint="tunewright tune DATA")
    return max(tunings, key=lambda run: (float(run.read().get("started", 0.0)), run.name))


def _lines(run: Run) -> list[dict[str, Any]]:
    """The decisions; a last line cut off by a kill is left out."""
    path = run.path / "decisions.jsonl"
    if not path.is_file():
        return []
    return [jsonio.loads(line) for line in path.read_bytes().split(b"\n")[:-1] if line.strip()]
