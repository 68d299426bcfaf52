"""The loss stops falling early although the learning rate is still high. Information: every run flattens."""

from __future__ import annotations

import math

import numpy as np

from tunewright.doctor import statistics as st
from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found, percent
from tunewright.doctor.view import View


def detect(view: View) -> Answer:
    """t90 = share of the logged run at which 90 % of the fall was reached; fires below 0.4 when the two halves of
    the rest do not differ (z < 2) and the learning rate there was above half of its peak."""
    if not view.far or len(view.y) < 40 or not len(view.rate):
        return None
    blocks = st.block_medians(view.y, len(view.y) // 20)
    fall = float(blocks[0] - blocks[-1])
    if fall < math.log1p(th.LEARNED.value):
        return None
    t90 = float(np.argmax(blocks <= blocks[0] - 0.9 * fall)) / len(blocks)
    middle, quarter = len(view.y) // 2, 3 * len(view.y) // 4
    error = st.median_error(view.noise, quarter - middle, len(view.y) - quarter)
    change = abs(view.level(middle, quarter) - view.level(quarter, len(view.y)))
    late = view.rate.values[view.rate.steps >= view.loss.steps[middle]]
    hot = len(late) > 0 and float(late.min()) > 0.5 * float(view.rate.values.max())
    if t90 >= th.PLATEAU_T90.value or change >= th.PLATEAU_Z.value * error or not hot:
        return None
    at = int(view.loss.steps[int(t90 * len(view.y))])
    why = f"nine tenths of the fall were reached by step {at}; over the last half the loss changed by {percent(change)}"
    evidence = {"t90": t90, "change_last_half": change, "z": change / error, "learning_rate_end": float(late[-1])}
    causes = ("converged for this learning rate: lower it", "the data hold no more to learn")
    return found("plateau", (at, view.last_step), why, evidence, causes)
