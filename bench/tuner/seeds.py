"""How much another seed, and training alone, change a cell: what a difference of two runs has to be beaten by."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.table import table
from bench.tuner.cells import Log


def seeds_table(logs: Mapping[str, Sequence[Log]]) -> str:
    """One line a pair: the spread of the best cells over seeds, and packed against alone."""
    rows = [[name, *_seeds(found), *_alone(found)] for name, found in logs.items()]
    head = ["pair", "best cells on more seeds", "sd over seeds, %", "best mean above best run, %"]
    return table([*head, "run alone", "worst difference to packed, %"], rows)


@dataclass(frozen=True)
class Expected:
    """What the best cell comes to on average over its seeds: kept losses on the rows to choose on, and on sealed ones.

    The best of 312 single runs is in part the luckiest; nobody who makes another run of its cell gets it again."""

    eval: float
    test: float


def expected_best(logs: Sequence[Log]) -> Expected | None:
    """Of the cells that were made with more seeds, the one with the lowest mean on the rows to choose on."""
    means = [
        Expected(*(statistics.mean(getattr(log.best, part) for log in cell) for part in ("eval", "test")))
        for cell in _with_more_seeds(logs)
    ]
    return min(means, key=lambda mean: mean.eval, default=None)


def _with_more_seeds(logs: Sequence[Log]) -> list[list[Log]]:
    by_cell: dict[object, list[Log]] = {}
    for log in logs:
        cell = log.cell
        if not log.alone:
            by_cell.setdefault((cell.schedule, cell.epochs, cell.rate, cell.rank), []).append(log)
    return [cell for cell in by_cell.values() if len(cell) > 1]


def _seeds(logs: Sequence[Log]) -> list[object]:
    """Cells with three seeds: how many, their spread, and how far the best of their means is from the best run."""
    more = [[log.best.eval for log in cell] for cell in _with_more_seeds(logs)]
    if not more:
        return [0, "-", "-"]
    spread = statistics.median(statistics.stdev(losses) / statistics.mean(losses) for losses in more)
    best = min(log.best.eval for log in logs if log.cell.seed == 0 and not log.alone)
    lowest_mean = min(statistics.mean(losses) for losses in more)
    return [len(more), f"{100 * spread:.2f}", f"{100 * (lowest_mean / best - 1):.2f}"]


def _alone(logs: Sequence[Log]) -> list[object]:
    """Controls: how many, and the largest relative difference of a kept loss."""
    packed = {log.cell: log.best.eval for log in logs if not log.alone}
    apart = [abs(log.best.eval / packed[log.cell] - 1) for log in logs if log.alone]
    return [len(apart), f"{100 * max(apart):.4f}" if apart else "-"]
