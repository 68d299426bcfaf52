"""The marks of an ideal loss curve in "Mastering Large Model Training: Practical Parameter Tuning", 1.1-1.2.

Each with the number it was judged by. "Validation above training" and "gap above 0.5" are marked as the guide
reads them, but both are normal in many healthy runs and never make a warning.
"""

from __future__ import annotations

import math

import numpy as np

from tunewright.doctor import statistics as st
from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import figure
from tunewright.doctor.detectors.spike import spikes_of
from tunewright.doctor.view import View
from tunewright.schema.finding import Mark

DESCENDS = "overall descent (relative fall of the training loss)"
FAST = "fast decline, then flattening (share of the fall in the first half)"
SMOOTH = "smooth, without large spikes (largest spike, times the level before)"
PLATEAU = "reaches a stable plateau (change over the last fifth)"


def checklist(view: View, *, scale: float = 1.0) -> tuple[Mark, ...]:
    """All marks in the guide's order; ``ok`` is None where the log does not tell, or the loss is none they are of.

    ``scale``: times that the training loss was logged too high, which is no gap to validation.
    """
    if len(view.bad) and view.bad[-1]:
        return _broken(view)
    if not view.nll:
        return tuple(Mark(mark.mark, None, None) for mark in _broken(view))
    marks = (_descends(view), _fast_then_flat(view), _smooth(view), _plateau(view), *_validation(view, scale))
    return tuple(Mark(mark.mark, figure(mark.value), mark.ok) for mark in marks)


def _broken(view: View) -> tuple[Mark, ...]:
    """A run that ends in NaN has no marks to show: what its first part looked like is no comfort."""
    rest = _validation(view, 1.0)
    names = (DESCENDS, FAST, SMOOTH, PLATEAU)
    return (*(Mark(name, None, False) for name in names), *(Mark(mark.mark, None, None) for mark in rest))


def _descends(view: View) -> Mark:
    name = DESCENDS
    if not view.enough:
        return Mark(name, None, None)
    first = min(view.tail, 10)
    fall = view.level(0, first) - view.level(-view.tail, len(view.y))
    return Mark(name, -st.relative(-fall), fall > th.DETECTABLE_Z.value * st.median_error(view.noise, first, view.tail))


def _fast_then_flat(view: View) -> Mark:
    name = FAST
    if not view.enough:
        return Mark(name, None, None)
    middle = len(view.y) // 2
    around = max(1, view.tail // 2)
    start, end = view.level(0, min(view.tail, 10)), view.level(-view.tail, len(view.y))
    total = math.exp(start) - math.exp(end)
    if start - end <= th.DETECTABLE_Z.value * st.median_error(view.noise, view.tail, view.tail):
        return Mark(name, None, None)  # without a fall there is nothing to divide
    share = (math.exp(start) - math.exp(view.level(middle - around, middle + around))) / total
    return Mark(name, share, share > th.FLATTENED.value)


def _smooth(view: View) -> Mark:
    name = SMOOTH
    if not view.enough:
        return Mark(name, None, None)
    worst = max((spike.factor for spike in spikes_of(view)), default=1.0)
    return Mark(name, worst, worst == 1.0)


def _plateau(view: View) -> Mark:
    name = PLATEAU
    if len(view.y) < 2 * th.FEWEST_LOSSES.value:
        return Mark(name, None, None)
    fifth = len(view.y) // 5
    half = len(view.y) - fifth // 2
    change = view.level(half, len(view.y)) - view.level(-fifth, half)
    allowed = max(th.FLAT.value, 2 * st.median_error(view.noise, fifth // 2, fifth // 2))
    return Mark(name, st.relative(change), abs(change) <= allowed)


def _validation(view: View, scale: float) -> tuple[Mark, Mark, Mark]:
    tracks = "validation tracks training (rise above its minimum at the end)"
    gap = "gap at most 0.5 nats (validation minus training; the guide's reading)"
    above = "validation not above training (validation minus training; the guide's reading)"
    if not len(view.evals):
        return Mark(tracks, None, None), Mark(gap, None, None), Mark(above, None, None)
    last = float(view.evals.values[-1])
    rise = last / float(np.min(view.evals.values)) - 1
    near = view.train_near(int(view.evals.steps[-1]))
    followed = Mark(tracks, rise, rise <= th.OVERFIT_RISE.value) if len(view.evals) > 1 else Mark(tracks, None, None)
    if near is None:
        return followed, Mark(gap, None, None), Mark(above, None, None)
    apart = last - near / scale
    return followed, Mark(gap, apart, abs(apart) <= th.GUIDE_GAP.value), Mark(above, apart, apart <= 0)
