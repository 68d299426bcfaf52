"""No token is trained on: the loss is 0 (or NaN) from the first step and there is no gradient."""

from __future__ import annotations

from tunewright.doctor.detectors.base import Answer, found
from tunewright.doctor.detectors.non_finite import masked_signature
from tunewright.doctor.view import View


def detect(view: View) -> Answer:
    """Fires when nearly all points from the first on are 0.0 or NaN and every logged gradient there is 0."""
    if masked_signature(view) != "all":
        return None
    loss = view.curve.loss
    count = int(view.bad.sum())
    evidence = {
        "points": count,
        "of": len(loss),
        "zeros": int(view.hidden.sum()),
        "grad_norm": view.curve.grad_norm.at(int(loss.steps[0])),
    }
    why = f"{count} of {len(loss)} logged losses are 0 or NaN from the start and there is no gradient: no label is left"
    causes = (
        "the prompt alone fills max_length, so every answer is cut off",
        "the response marker or chat template does not match the data",
        "all labels are masked (-100)",
    )
    return found("all_masked", (int(loss.steps[0]), int(loss.steps[-1])), why, evidence, causes)
