"""The reference recipes: a search over learning rates and epochs for each base, with adapters and with all weights.

"Healthy" means close to the best loss found, so that loss has to be searched for, not assumed.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.fault_sft.hf_run import run
from bench.fault_sft.spec import Recipe, Spec

RATES = {"lora": (1.5e-3, 5e-3, 1.5e-2), "full": (5e-4, 1.5e-3, 5e-3)}
EPOCHS = (2.0, 4.5)
FIRST_EPOCHS = 3.0


def search(base: str, method: str, bases: Path) -> dict[str, Any]:
    """The best recipe by its last evaluation: first the learning rate, then the epochs.

    The healthy controls vary both further, and a better loss among them becomes the reference (labels.py)."""
    tried: list[tuple[float, Recipe, float]] = []

    def attempt(rate: float, epochs: float) -> None:
        recipe = Recipe(method=method, learning_rate=rate, epochs=epochs)
        evals = run(Spec(base, recipe, kind="reference"), bases).log.evals
        tried.append((evals[-1][1], recipe, evals[0][1]))

    for rate in RATES[method]:
        attempt(rate, FIRST_EPOCHS)
    best = min(tried, key=_loss)[1].learning_rate
    for epochs in EPOCHS:
        attempt(best, epochs)
    loss, recipe, start = min(tried, key=_loss)
    grid = [{"learning_rate": r.learning_rate, "epochs": r.epochs, "eval_loss": loss} for loss, r, _ in tried]
    return {"base": base, "recipe": asdict(recipe), "eval_loss": loss, "base_eval_loss": start, "tried": grid}


def _loss(entry: tuple[float, Recipe, float]) -> float:
    return entry[0]
