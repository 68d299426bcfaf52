"""Run folders as the engine writes them, for the tests of the board."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HOSTILE = '<script>window.hurt = 1</script><img src=x onerror="window.hurt = 1">'


def line(event: dict[str, Any]) -> str:
    plain = {key: "NaN" if isinstance(value, float) and math.isnan(value) else value for key, value in event.items()}
    return json.dumps(plain) + "\n"


def learning(
    steps: int, *, spikes: Iterable[int] = (), lost: Iterable[int] = (), every: int = 50
) -> list[dict[str, Any]]:
    """Events of a run that learns: a loss at every step, an evaluation now and then; ``lost`` steps are NaN."""
    spiky, gone = set(spikes), set(lost)
    events: list[dict[str, Any]] = [{"step": 0, "epoch": 0.0, "tokens": 0, "eval_loss": 2.9, "seconds": 0.4}]
    for step in range(1, steps + 1):
        level = 0.4 + 2.5 * math.exp(-4 * step / steps)
        loss = math.nan if step in gone else level * (1.05 if step % 2 else 0.95) + (9.0 if step in spiky else 0.0)
        events.append(
            {
                "step": step,
                "epoch": step / 100,
                "tokens": step * 800,
                "loss": loss,
                "learning_rate": 1e-3 * (1 - step / (steps + 1)),
                "grad_norm": 0.5 + 0.1 * (step % 3),
                "seconds": 0.4 + step * 0.1,
            }
        )
        if step % every == 0:
            events.append({"step": step, "eval_loss": level + 0.1, "seconds": 0.41 + step * 0.1})
    return events


def write_run(folder: Path, events: list[dict[str, Any]], **about: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    state = {"status": "finished", "model": "acme/tiny", "data": "rows.jsonl", "started": 1.7e9, **about}
    (folder / "run.json").write_text(json.dumps(state))
    (folder / "plan.json").write_text(json.dumps({"predicted": {"steps": len(events)}, "values": []}))
    (folder / "recipe.yaml").write_text("model: acme/tiny\ndata: rows.jsonl\nlearning_rate: 0.001\n")
    (folder / "metrics.jsonl").write_text("".join(map(line, events)))
    return folder


def write_tuning(folder: Path, decisions: list[str]) -> Path:
    runs = [write_run(folder / f"run-{number}", learning(100)) for number in (1, 2)]
    told = [
        {"run": str(run), "name": run.name, "changed": [], "why": "first", "eval_loss": 0.6, "health": "healthy"}
        for run in runs
    ]
    best = {"run": str(runs[1]), "eval_loss": 0.6, "adapter": ""}
    (folder / "tuning.json").write_text(json.dumps({"kind": "tune", "runs": told, "best": best, "base_eval_loss": 2.9}))
    (folder / "run.json").write_text(json.dumps({"status": "running", "started": 1.7e9, "heartbeat": time.time()}))
    (folder / "decisions.jsonl").write_text("".join(line({"t": 1.7e9, "text": text}) for text in decisions))
    return folder
