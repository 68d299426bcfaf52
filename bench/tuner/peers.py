"""Other ways to search the same grid, each as a plain function of a search answered from logs.

Every one ends when the budget does. ``annealed``: in our form of fidelity, runs of one constant trunk with a decay
branch at each look, so that what is compared has finished its schedule; without it, in the form it was published in,
whole runs under a schedule of their own, compared in the middle of it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from bench.tuner.cells import Cell, Look, Schedule
from bench.tuner.search import Broke, Grid, Search, finite

Peer = Callable[[Search, random.Random], None]
Config = tuple[float, int]  # learning rate and rank


def until_broke(peer: Peer, search: Search, seed: int) -> Search:
    """The search as far as its budget takes it."""
    with suppress(Broke):
        peer(search, random.Random(seed))
    return search


def drawn(grid: Grid, schedule: Schedule, rng: random.Random) -> list[Cell]:
    """All cells of a schedule in random order."""
    cells = grid.cells(schedule)
    return rng.sample(cells, len(cells))


def configs(grid: Grid, rng: random.Random) -> list[Config]:
    every = [(rate, rank) for rate in grid.rates for rank in grid.ranks]
    return rng.sample(every, len(every))


# --- random search -----------------------------------------------------------------------------------------------


def random_runs(schedule: Schedule) -> Peer:
    """Whole runs in random order."""

    def peer(search: Search, rng: random.Random) -> None:
        for cell in drawn(search.grid, schedule, rng):
            search.run(cell)

    return peer


# --- ASHA --------------------------------------------------------------------------------------------------------


@dataclass
class _Rungs:
    """Asynchronous successive halving with one worker (Li et al., "A System for Massively Parallel Hyperparameter
    Tuning", 2018-10): the best 1/eta of a rung go up as soon as there is room; else somebody new begins."""

    eta: int
    scores: list[dict[object, float]] = field(default_factory=list)
    promoted: list[set[object]] = field(default_factory=list)

    def next(self, new: Iterator[object]) -> tuple[object, int] | None:
        """(whom to train, to which rung); None when nobody is left."""
        for rung in range(len(self.scores) - 1, -1, -1):
            known = self.scores[rung]
            top = sorted(known, key=lambda one: known[one])[: len(known) // self.eta]
            fit = [one for one in top if one not in self.promoted[rung] and math.isfinite(known[one])]
            if fit:
                self.promoted[rung].add(fit[0])
                return fit[0], rung + 1
        one = next(new, None)
        return None if one is None else (one, 0)

    def note(self, one: object, rung: int, score: float) -> None:
        while len(self.scores) <= rung:
            self.scores.append({})
            self.promoted.append(set())
        self.scores[rung][one] = score


def asha(schedule: Schedule, eta: int, grace_epochs: float) -> Peer:
    """Rungs at grace x eta^k epochs of each run's own schedule; a run past its last rung goes to its end."""

    def peer(search: Search, rng: random.Random) -> None:
        grid, rungs = search.grid, _Rungs(eta)
        new = iter(drawn(grid, schedule, rng))
        per_epoch = {cell: grid.logs[cell].steps / cell.epochs for cell in grid.cells(schedule)}
        while (chosen := rungs.next(new)) is not None:
            cell, rung = chosen
            assert isinstance(cell, Cell)
            look = search.run(cell, grace_epochs * eta**rung * per_epoch[cell])
            if look.step < grid.logs[cell].steps:
                rungs.note(cell, rung, finite(look.eval))
                search.drop([cell])

    return peer


def asha_annealed(eta: int) -> Peer:
    """Rungs at the grid's shortest run x eta^k, each an annealed branch of the same trunk."""

    def peer(search: Search, rng: random.Random) -> None:
        grid, rungs = search.grid, _Rungs(eta)
        levels = _levels(grid.epochs, eta)
        new = iter(configs(grid, rng))
        while (chosen := rungs.next(new)) is not None:
            (rate, rank), rung = chosen  # type: ignore[misc]
            if rung >= len(levels):
                continue
            rungs.note((rate, rank), rung, search.annealed(rate, rank, levels[rung]))
            if rung + 1 < len(levels):
                search.drop_trunk(rate, rank)

    return peer


def _levels(epochs: Sequence[int], eta: int) -> list[int]:
    wanted, found = float(epochs[0]), []
    while wanted <= epochs[-1]:
        found.append(min(epochs, key=lambda count: abs(count - wanted)))
        wanted *= eta
    return found if found[-1] == epochs[-1] else [*found, epochs[-1]]


# --- the best few after the first rung ---------------------------------------------------------------------------


def top_after_first(schedule: Schedule, rung_epochs: float, keep: int) -> Peer:
    """As many as the budget allows to one rung, the best ``keep`` of them to their end (Egele et al., "Is One Epoch
    All You Need For Multi-Fidelity Hyperparameter Optimization?", 2023-07)."""

    def peer(search: Search, rng: random.Random) -> None:
        grid = search.grid
        cells = drawn(grid, schedule, rng)
        step = {cell: rung_epochs * grid.logs[cell].steps / cell.epochs for cell in cells}
        first = [grid.cost(cell, 0, math.ceil(step[cell])) for cell in cells]
        rest = keep * sum(map(grid.cost, cells)) / len(cells)
        scores: dict[Cell, float] = {}
        for cell, cost in zip(cells, first, strict=True):
            if scores and search.spent + cost + rest > search.budget:
                break
            scores[cell] = finite(search.run(cell, step[cell]).eval)
        best = sorted(scores, key=lambda cell: scores[cell])
        search.drop(best[keep:])
        for cell in best[:keep]:
            search.run(cell)

    return peer


def top_after_first_annealed(keep: int) -> Peer:
    """The same with the grid's shortest annealed run as the rung, and all lengths of the best as branches."""

    def peer(search: Search, rng: random.Random) -> None:
        grid = search.grid
        scores: dict[Config, float] = {}
        rest = keep * _all_lengths(grid)
        for rate, rank in configs(grid, rng):
            if scores and search.spent + grid.cost(Cell("wsd", grid.epochs[0], rate, rank)) + rest > search.budget:
                break
            scores[rate, rank] = search.annealed(rate, rank, grid.epochs[0])
        best = sorted(scores, key=lambda one: scores[one])
        for config in best[keep:]:
            search.drop_trunk(*config)
        for rate, rank in best[:keep]:
            for count in grid.epochs[1:]:
                search.annealed(rate, rank, count)

    return peer


def _all_lengths(grid: Grid) -> float:
    """Tokens of the longer branches of one trunk."""
    cells = [Cell("wsd", count, grid.rates[0], grid.ranks[0]) for count in grid.epochs]
    share = grid.decay_share
    trunk = (1 - share) * (grid.cost(cells[-1]) - grid.cost(cells[0]))
    return trunk + share * sum(map(grid.cost, cells[1:]))


# --- ALTO's rules ------------------------------------------------------------------------------------------------


def alto(schedule: Schedule) -> Peer:
    """Early exit by the shape of the losses (ALTO, arXiv 2604.05426, 2026-04; constants as published): a quarter goes
    on after 5 % of its steps, and then a run ends when both losses rise, or when the gap between them is a tenth."""
    warm, kept = 0.05, 0.25

    def peer(search: Search, rng: random.Random) -> None:
        grid = search.grid
        cells = drawn(grid, schedule, rng)
        # as many runs as the budget carries: all to the first cut, a quarter of them to their end
        mean = sum(map(grid.cost, cells)) / len(cells)
        count = max(1, min(len(cells), int(search.budget / (mean * (warm + kept * (1 - warm))))))
        scores = {cell: finite(search.run(cell, max(1, warm * grid.logs[cell].steps)).eval) for cell in cells[:count]}
        best = sorted(scores, key=lambda cell: scores[cell])
        keep = math.ceil(kept * len(best))
        search.drop(best[keep:])
        for cell in best[:keep]:
            _watched(search, cell)

    return peer


def _watched(search: Search, cell: Cell) -> None:
    """Train a cell until its end, or until it diverges or overfits by ALTO's rules."""
    log = search.grid.logs[cell]
    smooth: list[float] = []
    seen: list[Look] = []
    rising = apart = 0
    for look in log.looks[1:]:
        search.run(cell, look.step)
        seen.append(look)
        smooth.append(look.train if not smooth else 0.5 * smooth[-1] + 0.5 * look.train)
        slopes = [smooth[-1] - smooth[-2], seen[-1].eval - seen[-2].eval] if len(seen) > 1 else [0.0, 0.0]
        rising = rising + 1 if min(slopes) >= 0.001 else 0
        apart = apart + 1 if (look.eval - smooth[-1]) / smooth[-1] > 0.1 else 0
        if (rising >= 2 or apart >= 2) and look.step < log.steps:
            search.drop([cell])
            return


# --- one-shot recipes --------------------------------------------------------------------------------------------

RECIPES: dict[str, tuple[float, int, float]] = {
    "LLaMA-Factory's example (1e-4, r8, 3 epochs)": (1e-4, 8, 3.0),
    "Unsloth's guide (2e-4, r16, 3 epochs)": (2e-4, 16, 3.0),
    "Baseten's rule (1e-3, r64, 2 epochs)": (1e-3, 64, 2.0),
}
"""Learning rate, rank, epochs. Meant for models a thousand times the size of these."""


def one_shot(schedule: Schedule, rate: float, rank: float, epochs: float) -> Peer:
    """One recipe, at the cell nearest to it."""

    def peer(search: Search, rng: random.Random) -> None:
        search.run(search.grid.nearest(schedule, rate, rank, epochs))

    return peer


def tinker_rate(hidden: int, family: str) -> float:
    """Tinker cookbook's learning rate for LoRA (2025-10): 5e-4 x (2000 / width)^p, p = 0.0775 for Qwen, 0.781 for
    Llama. For others, which it refuses, the Llama form is taken here."""
    return 5e-4 * float(np.power(2000 / hidden, 0.0775 if family.startswith("qwen") else 0.781))
