"""What a search came to beside the best of all grids, at equal cost, over many seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.tuner.peers import Peer, until_broke
from bench.tuner.search import Grid, Search

GOAL = 0.01
"""Within 1 % of the best of all grids."""
SHARES = (0.015, 0.03, 0.06, 0.09, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0)
"""Budgets, as shares of the cost of one grid of 96 runs."""
SEEDS = 20


@dataclass(frozen=True)
class Way:
    """A way to search. ``family``: what it is a form of; of a family the better form is reported.

    ``anytime``: what it does does not depend on its budget, so one search answers for all budgets.
    """

    family: str
    form: str
    peer: Callable[[], Peer]
    anytime: bool = True

    @property
    def name(self) -> str:
        return f"{self.family}, {self.form}" if self.form else self.family


@dataclass(frozen=True)
class Came:
    """One search at one budget. Regrets are relative, against the run the grids would choose."""

    eval: float
    test: float
    share: float  # of one grid, spent
    false_kills: int = 0
    seconds: float = math.nan  # known of live searches only
    eval_to_mean: float = math.nan  # against the best cell's mean over its seeds, live searches only
    test_to_mean: float = math.nan


@dataclass(frozen=True)
class Score:
    """A way's searches on one pair at one budget, one for each seed."""

    came: Sequence[Came]

    @property
    def median(self) -> float:
        return statistics.median(one.eval for one in self.came)

    @property
    def worst(self) -> float:
        return max(one.eval for one in self.came)

    @property
    def within(self) -> float:
        """Share of seeds within the goal."""
        return sum(one.eval <= GOAL for one in self.came) / len(self.came)

    @property
    def test_median(self) -> float:
        return statistics.median(one.test for one in self.came)

    @property
    def test_worst(self) -> float:
        return max(one.test for one in self.came)

    @property
    def share(self) -> float:
        return statistics.median(one.share for one in self.came)

    @property
    def false_kills(self) -> float:
        return statistics.mean(one.false_kills for one in self.came)


def regret(grid: Grid, eval_loss: float, test_loss: float) -> tuple[float, float]:
    """(on the rows to choose on, on the sealed ones) against what the grids would choose; below 0 is better."""
    best = grid.best.best
    return eval_loss / best.eval - 1, test_loss / best.test - 1


def scored(grid: Grid, way: Way, shares: Sequence[float] = SHARES, seeds: int = SEEDS) -> dict[float, Score]:
    """The way at each budget."""
    if way.anytime:
        searches = [until_broke(way.peer(), Search(grid, max(shares) * grid.one_grid), seed) for seed in range(seeds)]
        return {share: Score([_came(grid, search, share) for search in searches]) for share in shares}
    return {
        share: Score(
            [
                _came(grid, until_broke(way.peer(), Search(grid, share * grid.one_grid), seed), share)
                for seed in range(seeds)
            ]
        )
        for share in shares
    }


def _came(grid: Grid, search: Search, share: float) -> Came:
    budget = share * grid.one_grid
    kills = sum(cell in grid.top for cell in search.dropped_by(budget))
    return Came(*regret(grid, *search.best_at(budget)), min(search.spent, budget) / grid.one_grid, kills)


def share_needed(scores: Mapping[float, Score], least_within: float = 0.5, goal: float = GOAL) -> float:
    """The smallest budget at which so many of the seeds are within the goal; infinite when none is enough."""
    for share in sorted(scores):
        came = scores[share].came
        if sum(one.eval <= goal for one in came) / len(came) >= least_within:
            return share
    return math.inf
