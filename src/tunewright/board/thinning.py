"""Lines thinned to what a screen can show, without hiding what a reader looks for.

Kept: the first and the last point, the lowest and the highest of every stretch, every point of a short finding,
and every stretch of points that are not finite (as a gap with its place and count). Nothing is averaged, nothing
is drawn by stride.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunewright.curve.smooth import reduce
from tunewright.schema.curve import Series

MOST_IN_FINDING = 400
"""Points of one finding that are all kept; a longer finding is most of the curve and is thinned like it."""
MOST_STRETCHES = 2_000
"""Stretches of points that are not finite which are sent; more cannot be told apart on any screen."""

Span = tuple[int, int]


@dataclass(frozen=True)
class Stretch:
    """Neighbouring points that are not finite: steps ``first`` to ``last``, ``count`` of them."""

    first: int
    last: int
    count: int


@dataclass(frozen=True)
class Thinned:
    """steps, values : what is drawn; a NaN is a gap in the line
    points        : logged points these stand for
    drawn         : finite points among ``values``
    lost          : where points are not finite, at most MOST_STRETCHES of them
    not_finite    : how many points are not finite, all of them
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    points: int
    drawn: int
    lost: tuple[Stretch, ...]
    not_finite: int


def thin(series: Series, most_points: int, findings: Sequence[Span] = ()) -> Thinned:
    """At most about ``most_points`` points of a series, with the points of short ``findings`` on top.

    Findings are (first step, last step), both included. An empty series gives an empty result.

    >>> spiky = Series.of((step, float(step == 50_000)) for step in range(1, 100_001))
    >>> thinned = thin(spiky, 100)
    >>> thinned.values.max(), thinned.drawn <= 100, thinned.points
    (np.float64(1.0), True, 100000)
    """
    finite = series.finite()
    kept = reduce(finite, most_points)
    inside = [_inside(finite, span) for span in findings]
    places = np.unique(np.concatenate([np.searchsorted(finite.steps, kept.steps), *inside]).astype(np.intp))
    lost = stretches(series)
    gaps = np.array([stretch.first for stretch in lost], dtype=np.int64)
    steps = np.concatenate([finite.steps[places], gaps])
    values = np.concatenate([finite.values[places], np.full(len(gaps), np.nan)])
    order = np.argsort(steps, kind="stable")
    return Thinned(
        steps[order], values[order], len(series), len(places), tuple(lost[:MOST_STRETCHES]), len(series) - len(finite)
    )


def _inside(series: Series, span: Span) -> NDArray[np.intp]:
    first, after = np.searchsorted(series.steps, [span[0], span[1] + 1])
    return np.arange(first, after) if after - first <= MOST_IN_FINDING else np.empty(0, np.intp)


def stretches(series: Series) -> list[Stretch]:
    """Where the points are not finite, in order.

    >>> stretches(Series.of([(1, 2.0), (2, float("nan")), (3, float("inf")), (4, 1.0)]))
    [Stretch(first=2, last=3, count=2)]
    """
    bad = ~np.isfinite(series.values)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], bad, [False]]).astype(np.int8)))
    steps = series.steps.tolist()
    return [Stretch(steps[first], steps[after - 1], after - first) for first, after in edges.reshape(-1, 2).tolist()]


def window(series: Series, first: float, last: float) -> Series:
    """The points from step ``first`` to ``last`` and one on each side, so that lines leave the picture, not end in it.

    >>> window(Series.of((step, 0.0) for step in range(10)), 4, 5).steps.tolist()
    [3, 4, 5, 6]
    """
    start, end = np.searchsorted(series.steps, [first, last + 1])
    start, end = max(0, int(start) - 1), int(end) + 1
    return Series(series.steps[start:end], series.values[start:end])
