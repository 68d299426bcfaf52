"""A search answered from the logs of a grid: what it asks for is looked up, what it would have cost is counted.

Cost is in training tokens; a token that is only evaluated counts half. A run is looked at ten times, as the engine
does unless told otherwise, though a search may use every look there is in the log.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bench.tuner.cells import SCHEDULES, Cell, Log, Look, Schedule
from tunewright.tuner.budget import FORWARD_WEIGHT

LOOKS_PAID = 10
"""Evaluations a run pays for."""
TOP = 3


@dataclass(frozen=True)
class Grid:
    """A pair's runs on the first seed. ``eval_tokens``: of one look at the rows to choose on.

    Runs longer than its ``epochs`` say only whether the best lies at their edge: no search is offered them, and they
    are not in a grid's cost.
    """

    logs: Mapping[Cell, Log]
    epochs: Sequence[int]
    rates: Sequence[float]
    ranks: Sequence[int]
    eval_tokens: int
    decay_share: float = 0.2

    @classmethod
    def of(cls, about: Mapping[str, Any], logs: Iterable[Log]) -> Grid:
        """The packed runs of the first seed; the others say how much a seed is worth."""
        first = {log.cell: log for log in logs if log.cell.seed == 0 and not log.alone}
        return cls(first, about["epochs"], about["rates"], about["ranks"], about["eval_tokens"])

    @cached_property
    def best(self) -> Log:
        """The best of all schedules by the rows to choose on, longer runs too."""
        return min(self.logs.values(), key=lambda log: finite(log.best.eval))

    def cells(self, schedule: Schedule) -> list[Cell]:
        return [cell for cell in self.logs if cell.schedule == schedule and cell.epochs in self.epochs]

    @cached_property
    def top(self) -> frozenset[Cell]:
        """The three best runs of each schedule."""
        order = {one: sorted(self.cells(one), key=lambda cell: self.logs[cell].best.eval) for one in SCHEDULES}
        return frozenset(cell for cells in order.values() for cell in cells[:TOP])

    def cost(self, cell: Cell, start: int = 0, end: int | None = None) -> float:
        """Tokens of a cell's steps from ``start`` to ``end`` (None: its last)."""
        log = self.logs[cell]
        steps = (log.steps if end is None else min(end, log.steps)) - start
        trained = log.end.tokens / max(1, log.end.step) * steps  # rows differ in length, but an epoch has them all
        return trained + FORWARD_WEIGHT * self.eval_tokens * LOOKS_PAID * steps / log.steps

    @cached_property
    def one_grid(self) -> float:
        """What the 96 runs of one schedule cost."""
        return sum(self.cost(cell) for cell in self.cells("cosine"))

    def nearest(self, schedule: Schedule, rate: float, rank: float, epochs: float) -> Cell:
        """The cell closest to a recipe between the grid's points: learning rate and rank by their ratio."""
        return Cell(
            schedule,
            min(self.epochs, key=lambda count: abs(count - epochs)),
            min(self.rates, key=lambda one: abs(math.log(one / rate))),
            min(self.ranks, key=lambda one: abs(math.log(one / rank))),
        )


def finite(loss: float) -> float:
    """The loss, or infinity for one that is no number."""
    return loss if math.isfinite(loss) else math.inf


class Broke(Exception):
    """The next step of a search would cost more than is left."""


@dataclass
class Search:
    """One search of a grid within a budget, and the best it has seen at each moment.

    ``story``: (spent, eval loss, sealed loss) each time the best kept checkpoint changed. ``dropped``: runs given up
    before their end, with what was spent by then.
    """

    grid: Grid
    budget: float = math.inf
    spent: float = 0.0
    story: list[tuple[float, float, float]] = field(default_factory=list)
    dropped: dict[Cell, float] = field(default_factory=dict)
    _reached: dict[Cell, int] = field(default_factory=dict)
    _trunks: dict[tuple[float, int], int] = field(default_factory=dict)
    _branched: set[Cell] = field(default_factory=set)

    def run(self, cell: Cell, until: float = math.inf) -> Look:
        """Train a cell on from where it stands until this step, or to its end. Returns the last look.

        Raises Broke when that is not paid for; nothing is spent then.
        """
        log, start = self.grid.logs[cell], self._reached.get(cell, 0)
        end = min(log.steps, math.ceil(until)) if math.isfinite(until) else log.steps
        end = max(start, end if end == log.steps else log.at(end).step)
        self._pay(self.grid.cost(cell, start, end))
        self._reached[cell] = end
        self.dropped.pop(cell, None)
        looks = log.until(end)
        self._note(looks)
        return looks[-1]

    def annealed(self, rate: float, rank: int, epochs: int) -> float:
        """Loss of the WSD run of this length, branched off the trunk, which goes on from where it stands."""
        cell = Cell("wsd", epochs, rate, rank)
        log, trunk = self.grid.logs[cell], self._trunks.get((rate, rank), 0)
        decay = max(1, round(self.grid.decay_share * log.steps))
        fork = log.steps - decay
        self._pay(self.grid.cost(cell, min(trunk, fork), fork) + self.grid.cost(cell, fork, log.steps))
        self._trunks[rate, rank] = max(trunk, fork)
        self.dropped.pop(cell, None)
        self._branched.add(cell)
        self._note(log.looks)
        return finite(log.best.eval) if not log.broken else math.inf

    def drop(self, cells: Iterable[Cell]) -> None:
        """Give runs up."""
        for cell in cells:
            if self._reached.get(cell, 0) < self.grid.logs[cell].steps:
                self.dropped[cell] = self.spent

    def drop_trunk(self, rate: float, rank: int) -> None:
        """Give up every length of a trunk that was not branched off it."""
        cells = {Cell("wsd", count, rate, rank) for count in self.grid.epochs} - self._branched
        self.dropped |= dict.fromkeys(cells, self.spent)

    def dropped_by(self, spent: float) -> list[Cell]:
        """Runs given up at this cost or before."""
        return [cell for cell, cost in self.dropped.items() if cost <= spent]

    def best_at(self, spent: float) -> tuple[float, float]:
        """(eval, sealed) loss of the checkpoint that would be kept at this cost; the base before the first run."""
        known = [losses for cost, *losses in self.story if cost <= spent]
        base = next(iter(self.grid.logs.values())).looks[0]
        return (known[-1][0], known[-1][1]) if known else (base.eval, base.test)

    def _pay(self, cost: float) -> None:
        if self.spent + cost > self.budget:
            raise Broke
        self.spent += cost

    def _note(self, looks: Sequence[Look]) -> None:
        best = min(looks, key=lambda look: finite(look.eval))
        if not self.story or best.eval < self.story[-1][1]:
            self.story.append((self.spent, best.eval, best.test))
