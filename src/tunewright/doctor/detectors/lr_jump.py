"""The learning rate jumps up in the middle of the run: resumed without the scheduler's state."""

from __future__ import annotations

import numpy as np

from tunewright.doctor import statistics as st
from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found
from tunewright.doctor.view import View

_RESTARTS = ("cosine_with_restarts", "cyclic", "one_cycle")


def detect(view: View) -> Answer:
    """Fires when, after a decay to 80 % of the peak or less, the learning rate rises again to 1.5 times its lowest.

    A schedule that restarts on purpose comes down to (nearly) zero before each restart and at the end, and its cycles
    are equally long: that is no jump, nor is a schedule whose name says so.
    """
    rate = view.rate
    if len(rate) < th.FEWEST_RATES.value or float(rate.values.max()) <= 0:
        return None
    if str(view.curve.config.get("lr_scheduler_type", "")) in _RESTARTS:
        return None
    jumps = _jumps(rate.values)
    if not jumps or _restarts_on_purpose(view, jumps):
        return None
    place = jumps[0]
    before, after = float(rate.values[place - 1]), float(rate.values[place:].max())
    step = int(rate.steps[place])
    lowest = float(_lowest_since_peak(rate.values)[place])
    why = f"the learning rate rose again at step {step}, from {lowest:.2g} to {after:.2g}, after it had come down"
    evidence = {"step": step, "before": before, "lowest_before": lowest, "highest_after": after}
    causes = ("resumed without the scheduler's state", "a schedule started anew for the rest of the run")
    return found("lr_jump", (int(rate.steps[place - 1]), int(rate.steps[-1])), why, evidence, causes)


def _jumps(values: st.Floats) -> list[int]:
    """Indexes at which it first rose too far above the lowest since the peak before; one for each such peak."""
    peaks = np.maximum.accumulate(values)
    lowest = _lowest_since_peak(values)
    decayed = lowest < th.JUMP_AFTER.value * np.concatenate([values[:1], peaks[:-1]])  # in a warm-up it is the peak
    rose = values >= np.maximum(th.JUMP_FACTOR.value * lowest, th.ZERO_LR.value * peaks)
    risen = decayed & rose
    return np.flatnonzero(risen & ~np.concatenate([[False], risen[:-1]])).tolist()


def _restarts_on_purpose(view: View, jumps: list[int]) -> bool:
    """Whether every jump is from nearly zero to the peak and the cycles fill the run. Of a run still going on, one
    restart is taken for intended."""
    values, steps = view.rate.values, view.rate.steps
    peak, low = float(values.max()), th.RESTART_LOW.value
    if any(values[at - 1] > low * peak or values[at : at + 2].max() < th.RESTART_HIGH.value * peak for at in jumps):
        return False
    lengths = np.diff([0, *(int(steps[at]) for at in jumps)])
    equal = bool(np.ptp(lengths) <= max(2 * view.every, th.EPOCH_SLACK.value * float(lengths[0])))
    return equal and (not view.ended or float(values[-1]) <= low * peak)


def _lowest_since_peak(values: st.Floats) -> st.Floats:
    """[n] the lowest value since the highest one before each point (the point itself not counted)."""
    lowest = np.empty_like(values)
    peak = low = float(values[0])
    for place, value in enumerate(values.tolist()):
        lowest[place] = low
        if value >= th.RESTART_HIGH.value * peak:  # at the peak again: a new beginning
            peak, low = max(peak, value), value
        low = min(low, value)
    return lowest
