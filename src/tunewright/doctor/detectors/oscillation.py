"""Slow swings of the loss up and down: a learning rate at the edge of stability.

Counting sign changes cannot show this: white noise changes the sign of its difference two times in three.
"""

from __future__ import annotations

import math

import numpy as np

from tunewright.doctor import statistics as st
from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found, percent
from tunewright.doctor.view import View
from tunewright.schema.finding import Abstention, Finding
from tunewright.schema.median import median

_CAUSES = ("learning rate too high", "effective batch too small for this learning rate", "warm-up too short")
_FEWEST = 40


def detect(view: View) -> Answer:
    """On the last three quarters of the run, without trend and epoch steps: von Neumann ratio
    ``eta = mean(diff(r)^2) / var(r)`` below 1, slow amplitude ``sqrt(var(r) - mean(diff(r)^2) / 2)`` above 0.10, and
    little net movement. Or three swings of 10 % of the validation loss, or one large one made good later, or a
    training loss that first rose far above its beginning. Abstains when validation is calm.
    """
    early = _swinging_validation(view) or _training_hump(view)
    if early is not None:
        return early
    if len(view.y) < _FEWEST:
        return None
    start = len(view.y) // 4
    y, steps = view.y[start:], view.loss.steps[start:].astype(float)
    if float(median(view.loss.values[start:])) < th.SMALL_LOSS.value:
        return None
    rest = _without_trend(view, steps, y)
    fast, spread = float(np.mean(np.diff(rest) ** 2)), float(np.var(rest))
    if spread <= 0:
        return None
    eta, amplitude = fast / spread, math.sqrt(max(spread - fast / 2, 0.0))
    efficiency = _efficiency(st.block_medians(y, max(1, len(y) // 12)))
    swings = st.swings_up(st.block_medians(rest, max(1, len(y) // 40)), amplitude)
    slow = eta < th.SLOW_ETA.value and amplitude > th.SLOW_AMPLITUDE.value
    if not slow or efficiency > th.SLOW_EFFICIENCY.value or swings < th.SWINGS.value:
        return None
    if _calm_validation(view):
        because = f"the training loss swings by {percent(amplitude)} but validation does not: the order of the data?"
        return Abstention("oscillation", because)
    evidence = {"amplitude": amplitude, "von_neumann_ratio": eta, "efficiency": efficiency, "swings": swings}
    why = f"the training loss swings slowly by about {percent(st.relative(amplitude))} around its trend, {swings} times"
    return found("oscillation", (int(steps[0]), int(steps[-1])), why, evidence, _CAUSES)


def _without_trend(view: View, steps: st.Floats, y: st.Floats) -> st.Floats:
    """Residuals of a robust line in ln(1 + step), then of each epoch's own line (memorising makes steps there)."""
    x = np.log1p(steps)
    slope, intercept = st.robust_line(x, y)
    rest = y - slope * x - intercept
    per_epoch = view.curve.steps_per_epoch
    if not per_epoch or steps[-1] < 1.2 * per_epoch:
        return rest
    epoch = np.floor((steps - 1) / per_epoch)
    for number in range(int(epoch[0]), int(epoch[-1]) + 1):
        inside = epoch == number
        if inside.sum() >= 5:
            slope, intercept = st.robust_line(steps[inside], rest[inside])
            rest[inside] -= slope * steps[inside] + intercept
    return rest


def _efficiency(blocks: st.Floats) -> float:
    total = float(np.abs(np.diff(blocks)).sum())
    return abs(float(blocks[-1] - blocks[0])) / total if total > 0 else 1.0


def _swinging_validation(view: View) -> Finding | None:
    if len(view.evals) < 3 or float(median(view.evals.values)) < th.SMALL_LOSS.value:
        return None
    y = np.log(view.evals.values)
    swings = st.swings_up(y, th.SWING.value)
    if swings < th.SWINGS.value or len(y) < 2 * th.SWINGS.value:
        return _hump(view, y)
    moves = np.abs(np.diff(y))
    evidence = {"eval_swings": swings, "largest_move": st.relative(float(moves.max())), "evals": len(y)}
    why = f"the validation loss swings up {swings} times by more than {percent(th.SWING.value)} in {len(y)} evaluations"
    return found("oscillation", (int(view.evals.steps[0]), int(view.evals.steps[-1])), why, evidence, _CAUSES)


def _hump(view: View, y: st.Floats) -> Finding | None:
    """One large rise of the validation loss that was made good later: by 20 %, or by 5 % above the untouched model."""
    lowest = int(np.argmin(y))
    if lowest < 2:
        return None
    before = y[:lowest]
    rises = before - np.minimum.accumulate(before)
    peak = int(np.argmax(rises))
    rise = float(rises[peak])
    untouched = view.evals.steps[0] == 0 and float(before.max() - y[0]) > math.log1p(th.WORSE_EVAL.value)
    least = th.WORSE_EVAL.value if untouched else th.HUMP.value
    if rise <= math.log1p(least) or rise <= th.HUMP_Z.value * view.eval_noise * math.sqrt(2):
        return None
    step, loss = int(view.evals.steps[peak]), float(view.evals.values[peak])
    evidence = {"rise": st.relative(rise), "peak_step": step, "peak_eval_loss": loss, "above_untouched": untouched}
    over = "above the untouched model" if untouched else "above its lowest before"
    why = f"the validation loss rose to {loss:.3f} at step {step}, {percent(st.relative(rise))} {over}, and fell again"
    return found("oscillation", (int(view.evals.steps[0]), step), why, evidence, _CAUSES)


def _training_hump(view: View) -> Finding | None:
    """The training loss rose above its very beginning early on and came back: a blow-up that a sparse validation
    misses. Medians of neighbouring points, against the spread of single ones (batches may differ a lot)."""
    if not view.enough or view.loss.steps[0] > th.START_STEPS.value:
        return None
    width = max(3, len(view.y) // 40)
    blocks = st.block_medians(view.y[: len(view.y) // 2], width)
    peak = int(np.argmax(blocks)) if len(blocks) > 1 else 0
    rise = float(blocks[peak] - blocks[0]) if peak else 0.0
    spread = max(view.noise, float(np.std(np.diff(view.y))) / math.sqrt(2))
    seen = [v for s, v in zip(view.evals.steps, view.evals.values, strict=True) if s <= view.loss.steps[peak * width]]
    least = th.HUMP.value if len(seen) > 1 else th.HUMP_UNSEEN.value
    if rise <= math.log1p(least) or rise <= th.DIVERGED_Z.value * st.median_error(spread, width, width):
        return None
    if len(seen) > 1 and max(seen[1:]) <= seen[0]:
        return None  # validation fell all the way: the data came in an order
    step = int(view.loss.steps[min(peak * width + width // 2, len(view.y) - 1)])
    evidence = {"rise": st.relative(rise), "peak_step": step, "peak_loss": math.exp(float(blocks[peak]))}
    why = (
        f"the training loss rose to {math.exp(float(blocks[peak])):.3f} around step {step}, "
        f"{percent(st.relative(rise))} above its beginning, and fell again"
    )
    return found("oscillation", (int(view.loss.steps[0]), step), why, evidence, _CAUSES)


def _calm_validation(view: View) -> bool:
    """Five or more evaluations that never swing by 3 % contradict an unstable optimisation."""
    late = view.evals.values[view.evals.steps >= view.last_step / 4]
    return len(late) >= 5 and st.swings_up(np.log(late), th.OVERFIT_RISE.value) <= 1
