"""Ranking with noise: paired errors against resampling, ties, runs that broke, and the spread over seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from tunewright.tuner.ranking import Result, RowLosses, loss_error, paired_error, ranked, seed_spreads

RNG = np.random.default_rng(0)
N = 400
TOKENS_N = RNG.integers(3, 30, N)
HARDNESS_N = TOKENS_N * RNG.gamma(2.0, 0.3, N)


def rows(shift: float, noise: float, seed: int) -> RowLosses:
    """Rows as hard for everyone as ``HARDNESS_N``, ``shift`` nats per token worse, with noise of their own."""
    own_n = np.random.default_rng(seed).normal(shift, noise, N)
    return RowLosses(HARDNESS_N + TOKENS_N * own_n, TOKENS_N)


def loss(one: RowLosses) -> float:
    return float(one.nll_n.sum() / one.tokens_n.sum())


def result(name: str, one: RowLosses, status: str = "finished") -> Result:
    return Result(name, status, loss(one), one)


def resampled_sd(value_n: NDArray[np.float64]) -> float:
    rng = np.random.default_rng(1)
    means = []
    for _ in range(2000):
        drawn = rng.integers(0, N, N)
        means.append(value_n[drawn].sum() / TOKENS_N[drawn].sum())
    return float(np.std(means))


def test_errors_are_those_of_drawing_the_rows_again() -> None:
    one, other = rows(0.0, 0.05, 2), rows(0.02, 0.05, 3)
    assert paired_error(one, other) == pytest.approx(resampled_sd(one.nll_n - other.nll_n), rel=0.1)
    assert loss_error(one) == pytest.approx(resampled_sd(one.nll_n), rel=0.1)


def test_on_the_same_rows_a_difference_is_known_far_better_than_a_loss() -> None:
    one, other = rows(0.0, 0.05, 2), rows(0.02, 0.05, 3)
    assert paired_error(one, other) < 0.2 * loss_error(one)


def test_near_ones_are_tied_and_far_ones_are_not() -> None:
    standings = ranked([result(name, rows(shift, 0.05, seed)) for seed, (name, shift) in enumerate(
        [("far", 0.5), ("best", 0.0), ("near", 0.001)]
    )])  # fmt: skip
    assert [one.result.name for one in standings][-1] == "far"
    by_name = {one.result.name: one for one in standings}
    assert by_name["far"].tied is False
    assert by_name["near"].tied is by_name["best"].tied is True
    assert by_name["far"].difference == pytest.approx(0.5, abs=0.02)
    assert all(one.paired for one in standings)


def test_other_rows_are_compared_without_pairing() -> None:
    best, other = rows(0.0, 0.01, 2), rows(0.02, 0.01, 3)
    fewer = RowLosses(other.nll_n[:200], other.tokens_n[:200])
    standing = ranked([result("best", best), Result("other", "finished", 5.0, fewer)])[1]
    assert not standing.paired
    assert standing.standard_error == pytest.approx(math.hypot(loss_error(best), loss_error(fewer)))


def test_what_broke_comes_after_what_finished_whatever_its_loss() -> None:
    standings = ranked(
        [
            Result("failed", "failed", None),
            Result("stopped", "stopped", 0.1, rows(0.0, 0.01, 1)),
            Result("nan", "finished", math.nan),
            Result("fine", "finished", 0.5),
        ]
    )
    assert [one.result.name for one in standings] == ["fine", "nan", "stopped", "failed"]
    assert standings[0].difference == 0.0
    assert [one.difference for one in standings[1:]] == [None, pytest.approx(-0.4), None]
    assert standings[2].tied is None


def test_without_kept_rows_the_noise_is_unknown_and_said_to_be() -> None:
    standing = ranked([Result("a", "finished", 0.5), Result("b", "finished", 0.51)])[1]
    assert standing.difference == pytest.approx(0.01)
    assert standing.standard_error is None
    assert standing.tied is None


def test_one_row_has_no_error() -> None:
    assert math.isnan(loss_error(RowLosses(np.array([2.0]), np.array([4]))))
    assert ranked([]) == []


def test_rows_without_a_supervised_token_count_for_nothing() -> None:
    one = RowLosses(np.array([2.0, 3.0, 0.0]), np.array([4, 5, 0]))
    assert loss_error(one) == loss_error(RowLosses(one.nll_n[:2], one.tokens_n[:2]))


def test_spread_over_seeds_groups_by_everything_else() -> None:
    cells = [({"learning_rate": rate, "seed": seed}, rate + 0.1 * seed) for rate in (1.0, 0.5) for seed in (0, 1)]
    best, other = seed_spreads([*cells, ({"learning_rate": 0.5, "seed": 2}, math.nan)])
    assert (best.settings, best.losses) == ({"learning_rate": 0.5}, (0.5, 0.6))
    assert other.mean == pytest.approx(1.05)
    assert best.sd == pytest.approx(0.1 / math.sqrt(2))
    assert seed_spreads([({"seed": 0}, 1.0)])[0].sd is None
