"""Smoothing and thinning for charts that do not lie.

The average is causal and debiased: a point never depends on later ones or on the length of the run. The
reduction keeps every bucket's extremes, so no spike disappears, and every non-finite point.
"""

from __future__ import annotations

from math import isfinite

import numpy as np
from numpy.typing import NDArray

from tunewright.schema.curve import Series


def smooth(series: Series, half_life_steps: float) -> Series:
    """Exponential moving average over steps: a point ``half_life_steps`` back weighs half.

        m_i = sum_j w_ij x_j / sum_j w_ij,   w_ij = 2 ** -((s_i - s_j) / half_life), j <= i, x_j finite

    Steps may be unevenly spaced. A non-finite point stays as it is and leaves the average of the others alone.
    ``half_life_steps`` <= 0 returns the series unchanged. Property: smooth(x[:k]) == smooth(x)[:k].

    >>> smooth(Series.of([(1, 4.0), (2, 2.0)]), half_life_steps=1).values.round(3).tolist()
    [4.0, 2.667]
    """
    if half_life_steps <= 0 or not len(series):
        return series
    kept = np.exp2(-np.diff(series.steps, prepend=series.steps[0]) / half_life_steps).tolist()
    averages: list[float] = []
    weighted = weight = 0.0
    for value, keep in zip(series.values.tolist(), kept, strict=True):
        weighted, weight = weighted * keep, weight * keep
        finite = isfinite(value)
        if finite:
            weighted, weight = weighted + value, weight + 1.0
        averages.append(weighted / weight if finite else value)
    return Series(series.steps, np.array(averages))


def reduce(series: Series, most_points: int) -> Series:
    """At most about ``most_points`` of the points: each bucket's minimum and maximum, the first, the last, and
    every non-finite point (which come on top of ``most_points``). Nothing is averaged.

    >>> reduce(Series.of([(i, float(i == 500)) for i in range(1000)]), 10).values.max()
    np.float64(1.0)
    """
    if len(series) <= max(most_points, 4):
        return series
    finite = np.flatnonzero(np.isfinite(series.values))
    keep: set[int] = {0, len(series) - 1, *np.flatnonzero(~np.isfinite(series.values)).tolist()}
    for bucket in _buckets(finite, max(1, most_points // 2 - 1)):
        values = series.values[bucket]
        keep.update((int(bucket[np.argmin(values)]), int(bucket[np.argmax(values)])))
    chosen = np.array(sorted(keep))
    return Series(series.steps[chosen], series.values[chosen])


def _buckets(places: NDArray[np.intp], count: int) -> list[NDArray[np.intp]]:
    return [bucket for bucket in np.array_split(places, count) if len(bucket)]
