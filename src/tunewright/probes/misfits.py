"""Which answers do not belong to their prompts: rows that a model has not been trained on, one by one.

For a row with a wrong answer its own prompt is as good as any other: x = ln(loss behind its own prompt / mean loss
behind others') scatters about 0, and how widely is known from two other prompts. Rows with right answers lie far below
0 where the model has learnt what leads from prompt to answer; where it has not, nothing can be told and nothing is
said. The limit between the two kinds has the same distance from the middle of each, in robust standard deviations.

A trained row says nothing here: after a few epochs its answer is known by heart, wrong or not.
Sources: Ethayarajh et al., "Understanding Dataset Difficulty with V-Usable Information" (ICML 2022-06): rows that gain
nothing from their prompts are often mislabelled; Northcutt et al., "Confident Learning: Estimating Uncertainty in
Dataset Labels" (JAIR 2021-04): labels are judged by models that have not seen them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunewright.probes.answers import Counts, Floats
from tunewright.schema.median import median

LEAST_NATS = 1e-3
"""Losses below it are taken for it: the logarithm of nothing is no figure."""
SPREAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True)
class Misfits:
    """rows: numbers of those above the limit, the worst first; beyond: how many fit their own prompts worse than
    others, which half of all wrong rows do; apart: distance of both kinds from the limit in standard deviations (NaN
    when it cannot be known); typical, limit: loss behind the own prompt over loss behind others; measured: rows."""

    rows: tuple[int, ...]
    beyond: int
    apart: float
    typical: float
    limit: float
    measured: int

    @property
    def share(self) -> float:
        """Of the rows measured, those above the limit; NaN without any."""
        return len(self.rows) / self.measured if self.measured else math.nan


def misfits(numbers: Sequence[int], own_n: Floats, others_Kn: Floats, tokens_n: Counts) -> Misfits:
    """From sums of losses in nats of the same answers behind their own prompts and behind K >= 2 others.

    Rows without tokens are left out, and so are those whose loss is no number.

    >>> own_n = np.array([0.2, 0.3, 0.2, 0.4, 2.1])
    >>> others_Kn = np.array([[2.0, 1.8, 2.1, 2.2, 2.0], [2.2, 2.0, 1.9, 2.0, 1.8]])
    >>> misfits([1, 2, 3, 4, 5], own_n, others_Kn, np.full(5, 4)).rows
    (5,)
    """
    counted = np.flatnonzero((tokens_n > 0) & np.isfinite(own_n) & np.isfinite(others_Kn).all(axis=0))
    if len(counted) < 2:
        return Misfits((), 0, math.nan, math.nan, math.nan, len(counted))
    own, others = (np.log(np.maximum(nats[..., counted], LEAST_NATS)) for nats in (own_n, others_Kn))
    above_n = own - np.log(np.exp(others).mean(axis=0))
    middle = float(median(above_n))
    # of the right rows only the lower half is free of wrong ones
    spread = SPREAD * float(median(middle - above_n[above_n <= middle]))
    # the difference of two single prompts scatters more than that of one and a mean of K
    wrong_spread = SPREAD * float(median(np.abs(others[0] - others[1]))) * math.sqrt((1 + 1 / len(others)) / 2)
    both = spread + wrong_spread
    if not both:
        return Misfits((), 0, math.nan, math.exp(middle), math.nan, len(counted))
    limit = middle * wrong_spread / both
    worst_first = np.argsort(-above_n, kind="stable")
    return Misfits(
        rows=tuple(int(numbers[counted[at]]) for at in worst_first if above_n[at] > limit),
        beyond=int((above_n > 0).sum()),
        apart=-middle / both,
        typical=math.exp(middle),
        limit=math.exp(limit),
        measured=len(counted),
    )
