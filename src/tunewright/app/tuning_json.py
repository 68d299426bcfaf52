"""The ``tune`` JSON: the runs of a tuning and the one that is kept, as far as it has come."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunewright.record.run import Run
from tunewright.tuner.blend import Blend
from tunewright.tuner.step import Step


def tuning_json(folder: Path, steps: Sequence[Step], best: Step | None, blend: Blend | None = None) -> dict[str, Any]:
    """The ``runs``, ``base_eval_loss`` and ``best`` of the ``tune`` JSON; ``blend``: a mean kept in its place."""
    first = steps[0].outcome.summary if steps else None
    answer: dict[str, Any] = {
        "runs": [_run_json(folder, step) for step in steps],
        "base_eval_loss": first.base_eval_loss if first else None,
        "best": None,
    }
    if best is not None:
        run, loss = Run(folder / best.outcome.name), best.outcome.summary.eval_loss
        answer["best"] = {
            "run": str(run.path),
            "eval_loss": blend.eval_loss if blend else loss,
            "adapter": str(run.blend if blend else run.best),
            "blend": blend,
        }
    return answer


def _run_json(folder: Path, step: Step) -> dict[str, Any]:
    outcome = step.outcome
    return {
        "run": str(folder / outcome.name),
        "name": outcome.name,
        "phase": step.phase,
        "learning_rate": outcome.recipe.learning_rate,
        "epochs": outcome.recipe.num_train_epochs,
        "changed": step.changes,
        "why": step.why,
        "eval_loss": outcome.summary.eval_loss,
        "forgetting": outcome.summary.forgetting,
        "health": outcome.diagnosis.health,
        "findings": [finding.symptom for finding in outcome.diagnosis.findings],
        "stopped_because": outcome.stopped_because,
        "predicted": step.predicted,
    }
