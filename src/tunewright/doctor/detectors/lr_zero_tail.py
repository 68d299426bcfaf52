"""The learning rate reached zero long before the end: the rest of the run changed nothing."""

from __future__ import annotations

import numpy as np

from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found, percent
from tunewright.doctor.view import View

_FEWEST = 2


def detect(view: View) -> Answer:
    """Fires when more than the last 15 % of the run were below 1 % of the peak learning rate.

    One point is not enough: every schedule that ends at 0 is there at its last step, a fifth of a run of five.
    """
    rate = view.rate
    if len(rate) < th.FEWEST_RATES.value or float(rate.values.max()) <= 0:
        return None
    alive = np.flatnonzero(rate.values >= th.ZERO_LR.value * rate.values.max())
    if len(rate) - 1 - alive[-1] < _FEWEST:
        return None
    # a coarse log does not say when within the interval it reached zero: the later end counts
    since = int(rate.steps[min(alive[-1] + 1, len(rate) - 1)]) if view.every > 1 else int(rate.steps[alive[-1]])
    share = (int(rate.steps[-1]) - since) / max(int(rate.steps[-1]), 1)
    if share <= th.ZERO_TAIL.value:
        return None
    why = f"the learning rate is below 1 % of its peak from step {since} on: the last {percent(share)} taught nothing"
    evidence = {"since_step": since, "share": share, "peak": float(rate.values.max())}
    causes = ("the schedule was given fewer steps than the run has",)
    return found("lr_zero_tail", (since, int(rate.steps[-1])), why, evidence, causes)
