"""Sudden jumps of the training loss: a bad batch that passes, or damage that stays."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from tunewright.doctor import statistics as st
from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found
from tunewright.doctor.view import View
from tunewright.schema.finding import Abstention, Severity
from tunewright.schema.median import median

_FEWEST_BEFORE = 10
_FEWEST_AROUND = 3


@dataclass(frozen=True)
class Spike:
    """Points first..last (indices), height over the local median, and whether the level came back."""

    first: int
    last: int
    peak: int
    factor: float
    z: float
    recovered: bool | None


def detect(view: View) -> Answer:
    """A causal Hampel test on the log-loss: above the median of the 50 points before by 7 noise scales and 30 %.

    Recovering spikes are information (occasional spikes are normal); one that stays, or several with the same
    rows, a warning that names the rows.
    """
    if not view.some:
        return None
    spikes = spikes_of(view)
    share = th.SPIKE_SHARE.value * len(view.y)
    points = sum(s.last - s.first + 1 for s in spikes)  # a stretch of bad batches is one event, but not half the run
    if len(spikes) > max(3, share) or points > max(_FEWEST_BEFORE, 3 * share):
        return Abstention(
            "spike", f"{len(spikes)} jumps in {len(view.y)} points: the batches differ, no event stands out"
        )
    if not spikes:
        return _blind(view)
    return _report(view, spikes)


def spikes_of(view: View) -> list[Spike]:
    """All spikes in order, none without training losses. Points already flagged do not enter the windows of later
    ones."""
    y = view.y
    if not len(y):
        return []
    window = int(th.SPIKE_WINDOW.value)
    # what is high is judged by how high points stray: in logs of small losses low ones stray further
    floor = min(view.noise, st.upper_noise(y) * st.inflation(y))
    suspects = _suspects(y, floor, window)
    flagged = np.zeros(len(y), dtype=np.bool_)
    figures: dict[int, tuple[float, float]] = {}
    for i in suspects.tolist():
        past = y[max(0, i - window) : i][~flagged[max(0, i - window) : i]]
        if len(past) < _FEWEST_BEFORE:
            if _alone(y, i, view.noise):
                flagged[i] = True
                figures[i] = (height := float(y[i] - max(y[i - 1], y[i + 1])), height / view.noise)
            continue
        level, spread = _local(past)
        spread = max(spread, floor)
        height = float(y[i]) - level
        if height > math.log(th.SPIKE_FACTOR.value) and height > th.SPIKE_Z.value * spread:
            flagged[i] = True
            figures[i] = (height, height / spread)
    return _grouped(view, figures)


def _alone(y: st.Floats, i: int, noise: float) -> bool:
    """Whether one of the first points, or of a coarse log, stands far above both its neighbours and all since."""
    if i < _FEWEST_AROUND or i + 1 >= len(y) or len(y) > 4 * _FEWEST_BEFORE:
        return False
    least = max(math.log(th.SPIKE_ALONE.value), th.SPIKE_Z.value * noise)
    return float(y[i] - max(y[i - 1], y[i + 1], y[i - 2])) > least


def _local(past: st.Floats) -> tuple[float, float]:
    """(level, spread) of the points just before, their trend taken off: on a steep descent the spread around a plain
    median is the descent's, and would hide any spike. The slope is that between the medians of the two halves; the
    level errs upwards, so that a curve that flattens makes no spikes."""
    half = len(past) // 2
    first, second = float(median(past[:half])), float(median(past[half:]))
    slope = (second - first) / (len(past) / 2)
    rest = past - slope * np.arange(len(past))
    rest -= median(rest)
    above = rest[rest > 0]
    spread = 1.4826 * float(median(above)) if len(above) else 0.0
    return max(float(median(past[-_FEWEST_BEFORE:])), second + slope * len(past) / 4), spread


def _suspects(y: st.Floats, noise: float, window: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Points that can pass the test: far above the lower of two coarse medians of what came before."""
    width = window // 2
    blocks = st.block_medians(y, width)
    if not len(blocks):
        return np.flatnonzero(y > np.min(y) + math.log(th.SPIKE_FACTOR.value))
    place = np.arange(len(y)) // width
    before = np.minimum(blocks[np.clip(place - 1, 0, len(blocks) - 1)], blocks[np.clip(place - 2, 0, len(blocks) - 1)])
    here = np.minimum(before, blocks[np.clip(place, 0, len(blocks) - 1)])
    least = max(math.log(th.SPIKE_FACTOR.value), th.SPIKE_Z.value * noise)
    return np.flatnonzero(y > here + 0.8 * least)


def _grouped(view: View, figures: dict[int, tuple[float, float]]) -> list[Spike]:
    groups: list[list[int]] = []
    for i in sorted(figures):
        if groups and i - groups[-1][-1] <= 2:
            groups[-1].append(i)
        else:
            groups.append([i])
    spikes = []
    for group in groups:
        peak = max(group, key=lambda i: figures[i][0])
        height, z = figures[peak]
        spikes.append(Spike(group[0], group[-1], peak, math.exp(min(height, 50.0)), z, _recovered(view, group)))
    return spikes


def _recovered(view: View, group: list[int]) -> bool | None:
    """Whether the next points, or the end of the log, are back at the level before; None when too few follow."""
    y = view.y
    before = y[max(0, group[0] - 20) : group[0]]
    after = y[group[-1] + 1 : group[-1] + 21]
    if len(after) < 5:
        return None
    least = math.log1p(th.SPIKE_STAYS.value)
    level = float(median(before))
    back = float(median(after)) - level <= max(least, 2 * st.median_error(view.noise, len(before), len(after)))
    return back or view.level(-view.tail, len(y)) - level <= least


def _report(view: View, spikes: list[Spike]) -> Answer:
    steps = [int(view.loss.steps[s.peak]) for s in spikes]
    worst = max(spikes, key=lambda s: s.factor)
    stays = [s for s in spikes if s.recovered is False]
    again = _returning_rows(view, steps)
    unknown = not stays and spikes[-1].recovered is None
    rows = again or tuple(view.curve.batch_rows.get(int(view.loss.steps[worst.peak]), ()))
    evidence = {
        "count": len(spikes),
        "at_steps": steps[:20],
        "factor": worst.factor,
        "z": worst.z,
        "recovered": None if unknown else not stays,
        "grad_norm_first": _gradient_first(view, worst),
        "returning_rows": list(again),
    }
    at = int(view.loss.steps[worst.peak])
    if stays:
        end = "and the loss stayed up"
    elif again:
        end = f"and it returns with the same rows ({', '.join(map(str, again[:8]))})"
    elif unknown:
        end = "and the log ends before it could come back"
    else:
        end = "and the loss came back"
    many = "a spike" if len(spikes) == 1 else f"{len(spikes)} spikes, the largest"
    why = f"{many} at step {at}, {worst.factor:.1f} times the level before, {end}"
    span = (int(view.loss.steps[spikes[0].first]), int(view.loss.steps[spikes[-1].last]))
    causes = ("a batch with anomalous rows", "learning rate near its limit")
    serious: Severity = "warning" if stays or again else "info"
    return found("spike", span, why, evidence, causes, severity=serious, rows=rows)


def _returning_rows(view: View, steps: list[int]) -> tuple[int, ...]:
    """Rows that were in every one of two or more spikes, or in at least two spikes of different epochs."""
    batches = [set(view.curve.batch_rows[step]) for step in steps if step in view.curve.batch_rows]
    counts = Counter(row for batch in batches for row in batch)
    smallest = min((len(batch) for batch in batches), default=0)
    rows = sorted(row for row, count in counts.items() if count >= 2)
    # batches that share most of their rows say nothing about a single one
    return tuple(rows) if rows and len(rows) <= max(1, smallest) else ()


def _gradient_first(view: View, spike: Spike) -> bool | None:
    """Whether grad_norm jumped at or just before the loss did (optimisation) or stayed ordinary (data)."""
    grads = view.curve.grad_norm.finite()
    at = int(view.loss.steps[spike.peak])
    near = grads.values[(grads.steps <= at) & (grads.steps > at - 3 * view.every)]
    before = grads.values[(grads.steps <= at - 3 * view.every)][-50:]
    if len(near) == 0 or len(before) < _FEWEST_BEFORE:
        return None
    middle = float(median(before))
    spread = 1.4826 * float(median(np.abs(before - middle)))
    return bool(float(near.max()) > middle + th.SPIKE_Z.value * max(spread, 0.05 * middle))


def _blind(view: View) -> Abstention | None:
    if view.every < th.SPIKE_BLIND.value:
        return None
    least = max(th.SPIKE_FACTOR.value, math.exp(min(th.SPIKE_Z.value * view.noise, 5.0))) - 1
    because = f"a logged point is the mean of {view.every} steps: a spike of one step is divided by {view.every}"
    return Abstention("spike", because, float(f"{least * view.every:.3g}"))
