"""The contract of the charts: what is drawn is true of every point that was logged."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunewright.board.thinning import MOST_IN_FINDING, stretches, thin, window
from tunewright.schema.curve import Series

BUCKET = 10_000 / 399
"""Steps of one of the stretches that 10,000 points are thinned to 800 by."""
VALUES = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=400)
FINITE = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400)


def series(values: list[float]) -> Series:
    return Series(np.arange(1, len(values) + 1) * 3, np.array(values, np.float64))


@given(FINITE, st.integers(4, 60))
def test_extremes_and_ends_stay(values: list[float], most: int) -> None:
    thinned = thin(series(values), most)
    assert thinned.values.min() == min(values)
    assert thinned.values.max() == max(values)
    assert (thinned.steps[0], thinned.steps[-1]) == (3, 3 * len(values))
    assert thinned.drawn <= max(most, 4)


@given(VALUES, st.integers(4, 60))
def test_every_drawn_point_was_logged_and_every_lost_one_is_counted(values: list[float], most: int) -> None:
    logged = series(values)
    thinned = thin(logged, most)
    for step, value in zip(thinned.steps.tolist(), thinned.values.tolist(), strict=True):
        assert np.isnan(value) or logged.at(step) == value
    assert thinned.not_finite == sum(not np.isfinite(value) for value in values)
    assert sum(stretch.count for stretch in thinned.lost) == thinned.not_finite
    assert thinned.points == len(values)
    assert (np.diff(thinned.steps) > 0).all()


@given(VALUES, st.integers(4, 60))
def test_no_line_is_drawn_across_points_that_are_not_finite(values: list[float], most: int) -> None:
    thinned = thin(series(values), most)
    gaps = set(thinned.steps[np.isnan(thinned.values)].tolist())
    assert gaps == {stretch.first for stretch in stretches(series(values))}


@given(FINITE, st.integers(0, 399), st.integers(0, 50))
def test_every_point_of_a_short_finding_stays(values: list[float], first: int, length: int) -> None:
    logged = series(values)
    span = (3 * (first + 1), 3 * (first + 1 + length))
    inside = [step for step in logged.steps.tolist() if span[0] <= step <= span[1]]
    assert set(inside) <= set(thin(logged, 8, [span]).steps.tolist())


@given(st.lists(st.integers(0, 9_999), min_size=5, max_size=5, unique=True))
def test_five_spikes_of_one_point_in_ten_thousand_all_stay(places: list[int]) -> None:
    values = np.full(10_000, 0.5)
    values[places] = 4.0
    thinned = thin(Series(np.arange(10_000), values), 800)
    high = thinned.steps[thinned.values == 4.0]
    assert all(np.abs(high - place).min() < BUCKET for place in places)  # two in one bucket are one place on a screen
    if np.diff(sorted(places)).min() >= 2 * BUCKET:
        assert high.tolist() == sorted(places)
    assert thinned.drawn <= 800


def test_a_long_finding_is_thinned_like_the_curve() -> None:
    logged = Series(np.arange(100_000), np.sin(np.arange(100_000)))
    assert thin(logged, 500, [(0, 99_999)]).drawn <= 500
    assert thin(logged, 500, [(40_000, 40_000 + MOST_IN_FINDING - 1)]).drawn > MOST_IN_FINDING


def test_nothing_logged_is_nothing_drawn() -> None:
    empty = thin(series([]), 100, [(1, 5)])
    assert (empty.points, empty.drawn, len(empty.steps), empty.lost) == (0, 0, 0, ())


@given(FINITE, st.floats(0, 1300), st.floats(0, 1300))
def test_a_window_holds_what_is_in_it_and_one_point_on_each_side(values: list[float], one: float, other: float) -> None:
    logged, (first, last) = series(values), sorted((one, other))
    part = window(logged, first, last).steps.tolist()
    inside = [step for step in logged.steps.tolist() if first <= step <= last]
    assert set(inside) <= set(part)
    assert len(part) <= len(inside) + 3
