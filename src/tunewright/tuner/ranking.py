"""Runs ranked by their validation loss, each with how far it is from the best and how sure that is.

Two runs are measured on the same rows, so their difference is known far better than either loss: what makes a row
hard makes it hard for both. Standard errors are over rows; another seed of the same recipe differs by more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOISE_ERRORS = 2.0
"""A difference below so many standard errors is noise: about one in twenty of equal runs would show more."""
ORDER = ("finished", "stopped", "failed")


@dataclass(frozen=True)
class RowLosses:
    """Losses of the validation rows: sum of token losses in nats and supervised tokens, both [n]."""

    nll_n: NDArray[np.float64]
    tokens_n: NDArray[np.int64]


@dataclass(frozen=True)
class Result:
    """What one run came to. ``rows`` is None when they were not kept."""

    name: str
    status: str
    eval_loss: float | None
    rows: RowLosses | None = None


@dataclass(frozen=True)
class Standing:
    """A run's place. ``difference``: its loss minus the best one's; None where either is not known.

    ``tied``: within noise of the best; None when the noise is not known. ``paired``: measured on the same rows.
    """

    result: Result
    difference: float | None
    standard_error: float | None
    tied: bool | None
    paired: bool


def ranked(results: Sequence[Result]) -> list[Standing]:
    """Finished runs first, then stopped, then failed; the lowest loss first, an unknown or non-finite one last.

    The best is the first of them, when it has a finite loss.
    """
    order = sorted(results, key=lambda result: (ORDER.index(result.status), _loss_or_last(result)))
    best = order[0] if order and math.isfinite(_loss_or_last(order[0])) else None
    return [_standing(result, best) for result in order]


def _loss_or_last(result: Result) -> float:
    loss = result.eval_loss
    return loss if loss is not None and math.isfinite(loss) else math.inf


def _standing(result: Result, best: Result | None) -> Standing:
    if best is None or not math.isfinite(_loss_or_last(result)):
        return Standing(result, None, None, None, False)
    difference = _loss_or_last(result) - _loss_or_last(best)
    if result is best:
        return Standing(result, 0.0, 0.0, True, True)
    if result.rows is None or best.rows is None:
        return Standing(result, difference, None, None, False)
    paired = np.array_equal(result.rows.tokens_n, best.rows.tokens_n)
    error = (
        paired_error(result.rows, best.rows) if paired else math.hypot(loss_error(result.rows), loss_error(best.rows))
    )
    known = math.isfinite(error)
    return Standing(
        result, difference, error if known else None, difference <= NOISE_ERRORS * error if known else None, paired
    )


def paired_error(one: RowLosses, other: RowLosses) -> float:
    """Standard error of the difference of two mean losses on the same rows, nats per token; NaN below two rows.

    ``d = sum(nll_i - nll'_i) / sum(tokens_i)`` is a ratio, so what varies are the residuals
    ``nll_i - nll'_i - d x tokens_i`` (Cochran, Sampling Techniques, 3rd edition, 1977, chapter 6).
    """
    return _ratio_error(one.nll_n - other.nll_n, one.tokens_n)


def loss_error(rows: RowLosses) -> float:
    """Standard error of one mean loss, nats per token; NaN below two rows.

    >>> round(loss_error(RowLosses(np.array([1.0, 3.0]), np.array([1, 1]))), 3)
    1.0
    """
    return _ratio_error(rows.nll_n, rows.tokens_n)


def _ratio_error(value_n: NDArray[np.float64], tokens_n: NDArray[np.int64]) -> float:
    counted = tokens_n > 0
    value_n, tokens_n = value_n[counted], tokens_n[counted]
    n, total = len(value_n), int(tokens_n.sum())
    if n < 2:
        return math.nan
    residual_n = value_n - value_n.sum() / total * tokens_n
    return math.sqrt(n / (n - 1) * float(residual_n @ residual_n)) / total


@dataclass(frozen=True)
class Spread:
    """Runs that differ in their seed alone. ``sd``: standard deviation of their losses; None for a single run."""

    settings: Mapping[str, Any]
    losses: tuple[float, ...]

    @property
    def mean(self) -> float:
        return float(np.mean(self.losses))

    @property
    def sd(self) -> float | None:
        return float(np.std(self.losses, ddof=1)) if len(self.losses) > 1 else None

    def __json__(self) -> dict[str, Any]:
        return {"set": self.settings, "runs": len(self.losses), "mean": self.mean, "sd": self.sd}


def seed_spreads(cells: Sequence[tuple[Mapping[str, Any], float | None]]) -> list[Spread]:
    """Cells (settings, loss) grouped by everything but the seed, the lowest mean first; non-finite losses left out.

    >>> [spread.mean for spread in seed_spreads([({"seed": 0}, 1.0), ({"seed": 1}, 2.0)])]
    [1.5]
    """
    together: dict[str, tuple[dict[str, Any], list[float]]] = {}
    for settings, loss in cells:
        rest = {key: value for key, value in settings.items() if key != "seed"}
        if loss is not None and math.isfinite(loss):
            together.setdefault(repr(rest), (rest, []))[1].append(loss)
    spreads = [Spread(rest, tuple(losses)) for rest, losses in together.values()]
    return sorted(spreads, key=lambda spread: spread.mean)
