"""Which of several bases to tune: the one the user's answers surprise least, with how sure that is. Pure.

Rows are drawn anew with replacement (Efron, "Bootstrap methods: another look at the jackknife", 1979), the same rows
for every candidate, because a hard row is hard for all of them. Candidates whose 95 % interval of the difference to
the best one holds 0 cannot be told apart by bits per byte; among those the exam decides where it can (exact test of
the questions that only one of two got right). Else, once all are tuned, the smallest is recommended, which is the
cheapest to run; before any tuning equal bits do not mean equal talent, and the one with the most right answers is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunewright.examiner.bits import bits_per_byte
from tunewright.examiner.rates import lost_by_chance

DRAWS = 2_000
LOW, HIGH = 0.025, 0.975
CHANCE = 0.05


@dataclass(frozen=True)
class Candidate:
    """``bits_n``: of each row's answer, the same rows in the same order for every candidate; ``passed_q``: of each
    question; ``parameters``: what the model holds."""

    name: str
    bits_n: NDArray[np.float64]
    passed_q: tuple[bool, ...]
    parameters: int


@dataclass(frozen=True)
class Margin:
    """By how many bits per byte ``name`` is worse than the best one; low-high: 95 % of the redrawn rows."""

    name: str
    bits_per_byte: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        return self.low > 0


@dataclass(frozen=True)
class Choice:
    """``margin``: how much worse the best of the others is than the recommended one (below 0 where the two cannot be
    told apart), None without others; ``tied``: those that bits per byte cannot tell from the best, it included."""

    recommended: str
    why: str
    margin: Margin | None
    tied: tuple[str, ...]


def choose(
    candidates: Sequence[Candidate], bytes_n: NDArray[np.float64], *, tuned: bool = False, seed: int = 0
) -> Choice:
    """The recommendation among candidates with the same rows and questions. A candidate with a NaN is never the best.

    ``tuned``: the candidates were tuned before they were measured.

    Raises ValueError without candidates.
    """
    ranked = sorted(candidates, key=lambda one: _rank(one, bytes_n))
    if not ranked:
        raise ValueError("no candidates to choose among")
    best, *others = ranked
    draws_BN = np.random.default_rng(seed).integers(0, len(bytes_n), size=(DRAWS, len(bytes_n)))
    margins = tuple(_margin(best, other, bytes_n, draws_BN) for other in others)
    tied = [best, *(other for other, margin in zip(others, margins, strict=True) if not margin.is_clear)]
    chosen, why = _among(tied, margins, len(bytes_n), tuned)
    rival = next((one for one in ranked if one is not chosen), None)
    margin = None if rival is None else _margin(chosen, rival, bytes_n, draws_BN)
    return Choice(chosen.name, why, margin, tuple(one.name for one in tied if len(tied) > 1))


def _rank(one: Candidate, bytes_n: NDArray[np.float64]) -> float:
    value = bits_per_byte(one.bits_n, bytes_n)
    return math.inf if math.isnan(value) else value


def _margin(best: Candidate, other: Candidate, bytes_n: NDArray[np.float64], draws_BN: NDArray[np.int64]) -> Margin:
    """A candidate with a NaN is worse by infinitely much."""
    gap_n = other.bits_n - best.bits_n
    if not np.isfinite(gap_n).all():
        return Margin(other.name, math.inf, math.inf, math.inf)
    gaps_B = gap_n[draws_BN].sum(1) / bytes_n[draws_BN].sum(1)
    low, high = np.quantile(gaps_B, (LOW, HIGH))
    return Margin(other.name, bits_per_byte(gap_n, bytes_n), float(low), float(high))


def _among(tied: Sequence[Candidate], margins: Sequence[Margin], rows: int, tuned: bool) -> tuple[Candidate, str]:
    best = tied[0]
    if len(tied) == 1:
        if not margins:
            return best, "It is the only candidate."
        near = margins[0]
        return best, (
            f"Its bits per byte are the fewest: {near.name} needs {near.bits_per_byte:.3f} more "
            f"({near.low:.3f} to {near.high:.3f} over {rows} rows drawn anew)."
        )
    names = ", ".join(one.name for one in tied)
    ahead = max(tied, key=lambda one: sum(one.passed_q))
    if all(other is ahead or _answers_more(ahead, other) for other in tied):
        return ahead, f"Bits per byte cannot tell {names} apart; it answers clearly more exam questions."
    if not tuned:
        return ahead, f"Neither bits per byte nor the exam can tell {names} apart; none of the others answers more."
    smallest = min(tied, key=lambda one: one.parameters)
    return smallest, f"Neither bits per byte nor the exam can tell {names} apart; it is the smallest of them."


def _answers_more(one: Candidate, other: Candidate) -> bool:
    pairs = list(zip(one.passed_q, other.passed_q, strict=True))
    won, lost = sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)
    return won > lost and lost_by_chance(won, lost) < CHANCE
