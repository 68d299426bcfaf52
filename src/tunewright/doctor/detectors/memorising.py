"""Rows seen before are already known: steps of the training loss at epoch boundaries, or a training loss that falls
on after validation has stopped. Information."""

from __future__ import annotations

import math

import numpy as np

from tunewright.doctor import statistics as st
from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found, percent
from tunewright.doctor.view import View
from tunewright.schema.median import median

_FEWEST_PER_EPOCH = 10
_CAUSES = ("repeated epochs over little data", "learning rate high enough to learn rows by heart")


def detect(view: View) -> Answer:
    """Steps at epoch boundaries, or a training loss that falls on and on after validation has stopped falling."""
    return _steps(view) or _apart(view)


def _steps(view: View) -> Answer:
    """J = 1 - exp(opening level of an epoch - closing level of the one before), in windows of a tenth of an epoch,
    less what the epoch's own trend explains. Fires above 15 % with z > 4 at any boundary."""
    per_epoch = view.curve.steps_per_epoch
    if not per_epoch or not view.enough or view.last_step < 1.1 * per_epoch:
        return None
    points = per_epoch / view.every
    width = max(3, int(points / 10))
    if points < _FEWEST_PER_EPOCH:
        return None
    error = st.median_error(view.noise, width, width)
    jumps: list[tuple[float, int]] = []
    for boundary in range(1, min(int(view.last_step / per_epoch) + 1, 100)):
        place = int((view.loss.steps <= boundary * per_epoch).sum())
        if place - width < 0 or place + width > len(view.y):
            continue
        trend = _trend(view, place - int(points), place) * width
        jumps.append((view.level(place - width, place) - view.level(place, place + width) + min(trend, 0.0), boundary))
    worst, boundary = max(jumps, default=(0.0, 0))
    share = -st.relative(-worst)
    if share <= th.MEMORISED_STEP.value or worst <= th.MEMORISED_Z.value * error:
        return None
    step = round(boundary * per_epoch)
    why = (
        f"the training loss drops by {percent(share)} where epoch {boundary + 1} begins: rows seen before are memorised"
    )
    evidence = {"step_down": share, "z": worst / error, "after_epoch": boundary, "boundaries": len(jumps)}
    return found("memorising", (step, view.last_step), why, evidence, _CAUSES)


def _apart(view: View) -> Answer:
    """Since validation came within 1.5 % of its lowest, the training loss fell by a third or more (z > 6) and ended
    below half of validation: what is learned there is the rows themselves."""
    evals = view.evals
    near = evals.values <= (1 + th.APART_NEAR.value) * evals.values.min(initial=math.inf)
    best = int(np.argmax(near)) if len(evals) else 0
    after = len(evals) - 1 - best
    if not view.some or after < th.APART_EVALS.value or int(evals.steps[best]) == 0:
        return None
    since = int((view.loss.steps <= evals.steps[best]).sum())
    width = min(view.tail, max(3, since))
    if len(view.y) - since < 2 * width:
        return None
    fell = view.level(max(0, since - width), since + 1) - view.level(-view.tail, len(view.y))
    error = st.median_error(view.noise, width, view.tail)
    ratio = float(median(evals.values[-after:])) / max(math.exp(view.level(-view.tail, len(view.y))), 1e-300)
    if fell < -math.log1p(-th.APART_FALL.value) or fell < th.APART_Z.value * error or ratio < th.APART_RATIO.value:
        return None
    step = int(evals.steps[best])
    why = (
        f"since validation stopped falling at step {step}, the training loss fell {percent(-st.relative(-fell))} and "
        f"validation is {ratio:.1f} times as high: the rows are being learned by heart"
    )
    evidence = {"train_fell_since": -st.relative(-fell), "z": fell / error, "ratio": ratio, "evals_since": after}
    return found("memorising", (step, view.last_step), why, evidence, _CAUSES)


def _trend(view: View, first: int, last: int) -> float:
    """Change of the log-loss per point inside the epoch, from the medians of its halves."""
    first = max(0, first)
    middle = (first + last) // 2
    if middle - first < 3 or not math.isfinite(view.level(first, middle)):
        return 0.0
    return (view.level(middle, last) - view.level(first, middle)) / max(1, middle - first)
