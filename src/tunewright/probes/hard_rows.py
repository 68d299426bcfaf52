"""Training rows that the trained model finds hard: those of the highest loss, and those it moved away from.

A row whose answer is wrong is contradicted by the others: while they come down, it stays behind, or even rises. Rows
are left behind when their loss is above the median by six times the robust spread (1.48 median absolute deviations),
and above that of rows that were never seen by three times theirs: of rows known by heart, some always are less so.
Sources: Swayamdipta et al., "Dataset Cartography" (EMNLP 2020-11): hard rows are often mislabelled ones; Pleiss et al.,
"Identifying Mislabeled Data using the Area Under the Margin Ranking" (NeurIPS 2020-12).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunewright.probes.answers import Counts, Floats
from tunewright.schema.median import median

SHOWN = 12
"""Rows named of each kind."""
FAR, FAR_UNSEEN = 6.0, 3.0
"""Robust spreads above the median of the rows themselves, and of rows that were not trained on."""


@dataclass(frozen=True)
class HardRow:
    """Nats per answer token before and after training."""

    row: int
    before: float
    after: float


@dataclass(frozen=True)
class HardRows:
    """highest: of the highest loss after training; forgotten: of the largest rise, only rows that rose; both worst
    first. behind: numbers of all rows above ``limit``; typical: the median loss; rows: so many were measured."""

    highest: tuple[HardRow, ...]
    forgotten: tuple[HardRow, ...]
    behind: tuple[int, ...]
    rows: int
    typical: float
    limit: float


def hard_rows(
    numbers: Sequence[int],
    before_n: Floats,
    after_n: Floats,
    tokens_n: Counts,
    unseen: tuple[Floats, Counts] | None = None,
) -> HardRows:
    """From sums of losses in nats of the same rows before and after training. Rows without tokens are left out.

    unseen: sums and tokens of rows that were not trained on, after training. A loss that is not finite is the highest.
    Typical and limit are NaN without rows.
    """
    counted = np.flatnonzero(tokens_n > 0)
    before, after = before_n[counted] / tokens_n[counted], after_n[counted] / tokens_n[counted]
    after = np.where(np.isfinite(after), after, np.inf)
    named = np.array(numbers, np.int64)[counted]
    typical = float(median(after))
    limit = _far_above(after, FAR)
    if unseen is not None:
        unseen_n, unseen_tokens_n = unseen
        limit = max(limit, _far_above((unseen_n / np.maximum(unseen_tokens_n, 1))[unseen_tokens_n > 0], FAR_UNSEEN))
    rise = after - before

    def rows_at(places: Sequence[int]) -> tuple[HardRow, ...]:
        return tuple(HardRow(int(named[at]), float(before[at]), float(after[at])) for at in places[:SHOWN])

    return HardRows(
        highest=rows_at(np.argsort(-after, kind="stable").tolist()),
        forgotten=rows_at([at for at in np.argsort(-rise, kind="stable").tolist() if rise[at] > 0]),
        behind=tuple(sorted(int(number) for number in named[after > limit])),
        rows=len(counted),
        typical=typical,
        limit=limit,
    )


def _far_above(losses: Floats, spreads: float) -> float:
    """So many robust spreads above the median; NaN where there is none."""
    typical = float(median(losses))
    return typical + spreads * 1.4826 * float(median(np.abs(losses - typical))) if np.isfinite(typical) else math.nan
