"""Validation loss well above the training loss. Information: normal after the first epoch."""

from __future__ import annotations

from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found
from tunewright.doctor.view import View


def detect(view: View) -> Answer:
    """Fires when the last evaluation is more than 1.3 times the training loss around it."""
    if len(view.evals) < 2 or not view.some:
        return None
    step, value = int(view.evals.steps[-1]), float(view.evals.values[-1])
    near = view.train_near(step)
    if near is None or value <= th.GAP_RATIO.value * near:
        return None
    evidence = {"eval_loss": value, "train_loss": near, "gap_nats": value - near, "ratio": value / near}
    why = f"validation loss {value:.3f} is {value / near:.2f} times the training loss {near:.3f} at step {step}"
    causes = ("the training rows are being learned by heart", "validation rows of another kind")
    return found("gap", (int(view.evals.steps[0]), step), why, evidence, causes)
