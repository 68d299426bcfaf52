"""The same hundred runs in every tool's own files. Seeded: made twice, they are alike to the last digit."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

EVERY = 500
"""Steps between two evaluations."""
STARTED = 1_763_700_000.0


def losses(run: int, points: int) -> NDArray[np.float64]:
    """The training losses of one run: falling, noisy, with a spike or two."""
    draw = np.random.default_rng(run)
    share = np.arange(1, points + 1) / points
    level = 0.3 + 2.4 * np.exp(-(3 + draw.random()) * share)
    found = level * np.exp(0.08 * draw.standard_normal(points))
    found[draw.integers(0, points, 5)] *= 6
    return found.round(5)


def event_line(step: int, points: int, loss: float) -> str:
    """One line of metrics.jsonl."""
    return json.dumps(
        {
            "step": step,
            "epoch": round(step / points * 3, 5),
            "tokens": step * 1_800,
            "learning_rate": round(1e-4 * (1 - step / (points + 1)), 10),
            "grad_norm": round(0.4 + 0.1 * math.sin(step), 4),
            "seconds": round(step * 0.25, 3),
            "loss": loss,
        }
    )


def write_runs(root: Path, runs: int, points: int) -> Path:
    """Tunewright's run folders; those that are there already in full are kept."""
    for number in range(runs):
        folder = root / f"run-{number:03d}"
        if (folder / "run.json").is_file():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        lines = []
        evaluated = math.inf
        for step, loss in enumerate(losses(number, points).tolist(), start=1):
            lines.append(event_line(step, points, loss))
            if step % EVERY == 0:
                evaluated = round(0.35 + 2.4 * math.exp(-3.5 * step / points), 5)
                lines.append(json.dumps({"step": step, "eval_loss": evaluated, "seconds": round(step * 0.25 + 1, 3)}))
        (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
        (folder / "recipe.yaml").write_text(
            f"model: acme/model\ndata: rows.jsonl\nlearning_rate: {1e-5 * (number + 1):g}\n"
        )
        (folder / "findings.json").write_text(json.dumps({"health": "healthy", "findings": []}))
        result = {
            "eval_loss": evaluated,
            "base_eval_loss": 2.75,
            "best_step": points,
            "steps": points,
            "health": "healthy",
        }
        state = {"status": "finished", "model": "acme/model", "data": "rows.jsonl", "started": STARTED + number}
        (folder / "run.json").write_text(json.dumps({**state, "result": result}))
    return root
