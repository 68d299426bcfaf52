"""The optimizer runs and the model does not change."""

from __future__ import annotations

import numpy as np

from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found
from tunewright.doctor.view import View
from tunewright.schema.median import median

_CAUSES = (
    "no parameter is trainable, or the adapter is not part of the graph",
    "the learning rate is 0 or the optimizer never steps",
    "gradient checkpointing without enable_input_require_grads",
)


def detect(view: View) -> Answer:
    """Fires on an exactly constant validation loss (range below 1e-6 of it) from the start, on a learning rate that
    is always 0, and on a gradient that is always 0 while the loss is not."""
    return _constant_validation(view) or _no_rate(view) or _no_gradient(view)


def _constant_validation(view: View) -> Answer:
    evals = view.evals
    untouched = len(evals) >= 2 and evals.steps[0] == 0
    if len(evals) < (2 if untouched else 3) or evals.steps[-1] - evals.steps[0] < th.START_STEPS.value:
        return None
    if not untouched and evals.steps[0] > 0.5 * view.last_step:
        return None  # late evaluations of a run that has settled may print the same digits
    spread = float(np.ptp(evals.values)) / float(evals.values[0])
    if spread >= th.CONSTANT_EVAL.value:
        return None
    value = float(evals.values[0])
    why = f"the validation loss is {value:.4f} at all {len(evals)} evaluations, to the last digit"
    evidence = {"eval_loss": value, "evals": len(evals), "relative_range": spread}
    return found("weights_not_updating", (int(evals.steps[0]), int(evals.steps[-1])), why, evidence, _CAUSES)


def _no_rate(view: View) -> Answer:
    rate = view.rate
    if len(rate) < th.FEWEST_LOSSES.value or np.any(rate.values != 0.0):
        return None
    why = f"the learning rate is 0 at all {len(rate)} logged points"
    evidence = {"learning_rate": 0.0, "points": len(rate)}
    return found("weights_not_updating", (int(rate.steps[0]), int(rate.steps[-1])), why, evidence, _CAUSES[1:2])


def _no_gradient(view: View) -> Answer:
    grads = view.curve.grad_norm
    if len(grads) < th.FEWEST_LOSSES.value or np.any(grads.values != 0.0) or not view.enough:
        return None
    why = f"the gradient norm is 0 at all {len(grads)} logged points while the loss is {median(view.loss.values):.3f}"
    evidence = {"grad_norm": 0.0, "points": len(grads), "loss": float(median(view.loss.values))}
    return found("weights_not_updating", (int(grads.steps[0]), int(grads.steps[-1])), why, evidence, _CAUSES)
