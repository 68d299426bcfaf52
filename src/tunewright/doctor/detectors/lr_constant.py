"""The learning rate never came down in a run of several epochs. Information."""

from __future__ import annotations

from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found, percent
from tunewright.doctor.view import View


def detect(view: View) -> Answer:
    """Fires when the last learning rate is above half of the peak after more than one epoch of a complete run.

    Abstains when the mean of the weights is kept (``average_share`` of the recipe).
    """
    rate = view.rate
    if len(rate) < th.FEWEST_RATES.value or not view.ended or view.epochs is None or view.epochs <= 1.05:
        return None
    share = view.curve.config.get("average_share")
    if isinstance(share, (int, float)) and share > 0:
        return None  # what is kept is the mean of the weights, as settled as after a decay
    peak, last = float(rate.values.max()), float(rate.values[-1])
    if peak <= 0 or last <= 0.5 * peak:
        return None
    level = f"{percent(last / peak)} of its peak {peak:.2g}"
    why = f"the learning rate was at {level} at the end: a decay usually gains a little"
    evidence = {"final": last, "peak": peak, "epochs": view.epochs}
    return found("lr_constant", (int(rate.steps[0]), int(rate.steps[-1])), why, evidence, ("a constant schedule",))
