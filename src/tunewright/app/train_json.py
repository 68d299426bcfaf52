"""The ``train`` JSON: what one run of ours came to."""

from __future__ import annotations

from typing import Any

from tunewright.engine.job import TrainResult
from tunewright.record.run import Run
from tunewright.schema.finding import Diagnosis


def train_json(run: Run, result: TrainResult, diagnosis: Diagnosis, *, seconds: float) -> dict[str, Any]:
    """``seconds``: wall time of the run as a whole, its evaluations, checkpoints and last reading included."""
    return {
        "run": str(run.path),
        "eval_loss": result.eval_loss,
        "base_eval_loss": result.base_eval_loss,
        "steps": result.steps,
        "best_step": result.best_step,
        "tokens": {"train": result.tokens_train, "eval": result.tokens_eval},
        **_inherited(result),
        "seconds": seconds,
        "train_seconds": result.train_seconds,
        "tokens_per_s": result.tokens_per_s,
        "peak_GiB": result.peak_GiB,
        "health": diagnosis.health,
        "forgetting": result.general_rise,
        "stopped_because": result.stopped_because,
        "adapter": str(run.best),
    }


def _inherited(result: TrainResult) -> dict[str, Any]:
    """Of the tokens, those that the run it began from had spent; nothing for a run that began by itself."""
    train, evaluated = result.tokens_inherited
    return {"tokens_inherited": {"train": train, "eval": evaluated}} if train else {}
