"""Smoothing is causal, reduction hides nothing."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.curve.smooth import reduce, smooth
from tunewright.schema.curve import EMPTY, Series

VALUES = st.lists(st.floats(width=32), min_size=1, max_size=60)


def series(values: list[float], gaps: int = 1) -> Series:
    return Series(np.arange(1, len(values) + 1) * gaps, np.array(values, float))


@given(values=VALUES, cut=st.integers(1, 60), half_life=st.floats(0.1, 50))
def test_a_point_never_depends_on_later_ones(values, cut, half_life):
    whole = smooth(series(values), half_life).values[:cut]
    np.testing.assert_array_equal(smooth(series(values[:cut]), half_life).values, whole)


@given(values=VALUES, half_life=st.floats(0.1, 50))
def test_non_finite_points_stay_and_do_not_spread(values, half_life):
    given_, smoothed = np.array(values), smooth(series(values), half_life).values
    bad = ~np.isfinite(given_)
    np.testing.assert_array_equal(smoothed[bad], given_[bad])
    assert np.isfinite(smoothed[~bad]).all()


def test_debiased_from_the_first_point_and_halved_after_a_half_life():
    np.testing.assert_allclose(smooth(series([3.0, 3.0, 3.0]), 7).values, 3.0)
    steps = Series(np.array([0, 10]), np.array([0.0, 1.0]))
    assert smooth(steps, 10).values[1] == 1.0 / 1.5


def test_uneven_steps_weigh_by_distance():
    near = smooth(Series(np.array([0, 1]), np.array([0.0, 1.0])), 10).values[1]
    far = smooth(Series(np.array([0, 100]), np.array([0.0, 1.0])), 10).values[1]
    assert near < 0.6
    assert far > 0.99


def test_empty_and_no_smoothing():
    assert len(smooth(EMPTY, 5)) == 0
    assert smooth(series([1.0, 5.0]), 0).values.tolist() == [1.0, 5.0]


@settings(max_examples=60)
@given(values=st.lists(st.floats(width=32), min_size=1, max_size=400), most=st.integers(1, 50))
def test_reduction_keeps_ends_extremes_and_every_non_finite_point(values, most):
    whole = series(values, gaps=3)
    small = reduce(whole, most)
    bad = ~np.isfinite(whole.values)
    assert set(whole.steps[bad]) <= set(small.steps)
    assert small.steps[0] == whole.steps[0]
    assert small.steps[-1] == whole.steps[-1]
    assert (np.diff(small.steps) > 0).all()
    assert len(small) <= max(most, 4) + 2 + bad.sum()
    finite = whole.finite().values
    if len(finite):
        assert (small.finite().values.min(), small.finite().values.max()) == (finite.min(), finite.max())
    assert all(small.values[i] == whole.at(int(s)) or np.isnan(small.values[i]) for i, s in enumerate(small.steps))
