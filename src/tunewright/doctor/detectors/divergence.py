"""The training loss fell and then rose for good."""

from __future__ import annotations

import math

import numpy as np

from tunewright.doctor import statistics as st
from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found, percent
from tunewright.doctor.view import View
from tunewright.schema.finding import Abstention, Finding

_CAUSES = ("learning rate too high", "no or too short a warm-up", "numbers overflowing in fp16")


def detect(view: View) -> Answer:
    """Closing level against the lowest block median: D = end / lowest - 1.

    Fires when D > 20 %, z > 6, a fifth of the progress is lost, and the level was crossed, by more than a block's
    error, at most 3 times (more is oscillation). Where validation surely rose by 20 % as well, at every evaluation
    since its lowest, z > 3 is enough and crossings are noise: the lowest of many blocks is low by luck, but not on
    both. Abstains when validation did not follow: then the order of the data explains the rise. Also fires on a
    blow-up that coarse logging hides: an evaluation at 1.5 times the untouched model or more, never made good.
    """
    blown_up = _blow_up(view)
    return blown_up if blown_up is not None or not view.enough else _late_rise(view)


def _blow_up(view: View) -> Finding | None:
    """From 3.9 to 19.6 and down again to 3.7 reads as a fine fall when the log starts after the jump."""
    evals = view.evals
    if len(evals) < 3 or evals.steps[0] != 0:
        return None
    base, peak = float(evals.values[0]), int(np.argmax(evals.values))
    highest, gain = float(evals.values[peak]), 1 - float(evals.values[-1]) / base
    if peak == 0 or highest < th.BLOWN_UP.value * base or gain > th.BLOWN_UP_GAIN.value:
        return None
    after = float(evals.values[peak:].min())
    if peak == len(evals) - 1 or int(np.argmin(evals.values[: peak + 1])) != 0:
        return None  # it rises late or to the end: the other rules name that
    step = int(evals.steps[peak])
    evidence = {"base_eval_loss": base, "peak_eval_loss": highest, "peak_step": step, "gain_at_end": gain}
    why = f"validation loss jumped from {base:.3f} to {highest:.3f} by step {step} and came back only to {after:.3f}"
    return found("divergence", (0, step), why, evidence, _CAUSES)


def _late_rise(view: View) -> Answer:
    y = view.y
    width = max(3, len(y) // 20)
    blocks = st.block_medians(y, width)
    low = int(np.argmin(blocks))
    end = view.level(-view.tail, len(y))
    rise = end - float(blocks[low])
    error = st.median_error(view.noise, width, view.tail)
    lost = _lost_progress(blocks, end)
    confirmed = _validation_rose(view)
    z_needed = th.DETECTABLE_Z if confirmed else th.DIVERGED_Z
    if rise <= math.log1p(th.DIVERGED.value) or rise <= z_needed.value * error:
        return None
    wavers = not confirmed and _crossings(blocks, float(blocks[low]) + rise / 2, error) > _MOST
    if lost < th.DIVERGED_LOST.value or wavers:
        return None
    if math.exp(end) < th.SMALL_LOSS.value:
        return None
    if _validation_calm(view):
        because = (
            f"the training loss rose by {percent(st.relative(rise))} but validation did not: data in a fixed order?"
        )
        return Abstention("divergence", because)
    onset = int(view.loss.steps[min(low * width, len(y) - 1)])
    evidence = {
        "lowest_loss": math.exp(float(blocks[low])),
        "final_loss": math.exp(end),
        "rise": st.relative(rise),
        "z": rise / error,
        "lost_progress": min(lost, 1e6),
    }
    why = (
        f"the training loss rose from {evidence['lowest_loss']:.3f} near step {onset} to {math.exp(end):.3f} and stayed"
    )
    return found("divergence", (onset, int(view.loss.steps[-1])), why, evidence, _CAUSES)


_MOST = int(th.DIVERGED_CROSSINGS.value)


def _lost_progress(blocks: st.Floats, end: float) -> float:
    """Rise since the lowest block as a share of the fall before it, in nats."""
    low = int(np.argmin(blocks))
    top = math.exp(float(np.max(blocks[: low + 1])))
    lowest = math.exp(float(blocks[low]))
    return (math.exp(end) - lowest) / max(top - lowest, 1e-12)


def _crossings(blocks: st.Floats, level: float, error: float) -> int:
    """How often the blocks went from one side of ``level`` to the other; within ``error`` of it they stay where they
    were, or a noisy rise through the level counts as many."""
    clear = blocks[np.abs(blocks - level) > error]
    return int(np.sum(np.diff(clear > level)))


def _validation_rose(view: View) -> bool:
    """Whether validation, two errors taken off, ended 20 % above its lowest, rising at each of several evaluations."""
    evals = view.evals
    since = np.diff(evals.values[view.best :]) if len(evals) else np.empty(0)
    if len(since) < th.OVERFIT_RISES.value or not np.all(since > 0):
        return False
    sure = math.log(float(evals.values[-1]) / float(evals.values[view.best])) - 2 * math.sqrt(2) * view.eval_noise
    return sure > math.log1p(th.DIVERGED.value)


def _validation_calm(view: View) -> bool:
    """Whether an evaluation in the last fifth is within 5 % of the best one."""
    evals = view.evals
    if len(evals) < 3 or evals.steps[-1] < 0.8 * view.last_step:
        return False
    return float(evals.values[-1]) <= (1 + th.WORSE_EVAL.value) * float(evals.values.min())
