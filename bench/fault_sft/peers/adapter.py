"""What the adapters share. Runs inside a peer's environment: standard library only."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

UP, DOWN = 1, -1


def claim(family: str, name: str, firm: bool = True) -> dict[str, Any]:
    return {"family": family, "name": name, "firm": firm}


def answer(claims: list[dict[str, Any]], pulls: dict[str, int], refused: str = "") -> dict[str, Any]:
    return {"claims": claims, "pulls": pulls, "refused": refused}


def pulls_of(directions: list[tuple[str, int]]) -> dict[str, int]:
    """Knob -> direction; 0 where it is asked to go both ways."""
    pulls: dict[str, int] = {}
    for knob, direction in directions:
        pulls[knob] = direction if pulls.get(knob, direction) == direction else 0
    return pulls


def columns(folder: Path) -> tuple[list[tuple[int, dict[str, float]]], list[tuple[int, float]]]:
    """Training rows (step, metrics) and evaluations (step, loss) of a run."""
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    train = [(row["step"], row) for row in history if "loss" in row]
    evals = [(row["step"], float(row["eval_loss"])) for row in history if "eval_loss" in row]
    return train, evals


def matched(folder: Path) -> tuple[list[float], list[float]]:
    """Training and validation loss at each evaluation: the mean since the one before, as epoch-wise tools expect."""
    train, evals = columns(folder)
    pairs, before = [], 0
    for step, loss in evals:
        window = [float(row["loss"]) for at, row in train if before < at <= step]
        if window:
            pairs.append((math.fsum(window) / len(window), loss))
        before = step
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def main(read: Callable[[Path], dict[str, Any]]) -> None:
    """Reads every run below the folder given and prints one answer a line; a peer's own failure is its answer."""
    for folder in sorted(Path(sys.argv[1]).iterdir()):
        try:
            said = read(folder)
        except Exception as error:  # noqa: BLE001 - whatever a peer raises on a log is what it says about it
            said = answer([], {}, f"{type(error).__name__}: {error}"[:200])
        print(json.dumps(said))
