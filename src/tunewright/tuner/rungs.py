"""Short runs compared: by the losses of their settled weights, on the same validation rows.

A high rate looks worse than it is while the weights wander, so what is compared are the means of the weights along the
way. Two runs are measured on the same rows, so their difference has a far smaller error than either loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunewright.tuner.ranking import paired_error
from tunewright.tuner.step import Step

BAR_SHARE = 0.005
"""A difference below 0.5 % of the loss does not matter, however sure it is."""


@dataclass(frozen=True)
class Rung:
    """A short run at one rate.

    loss    : at its end; infinite when it was cut short or its numbers broke
    kept_at : steps of it that later runs may begin at
    """

    step: Step
    rate: float
    total: int
    kept_at: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return self.step.outcome.name

    @property
    def whole(self) -> bool:
        return self.step.outcome.curve.last_step >= self.total

    @property
    def loss(self) -> float:
        loss = self.step.outcome.end_loss if self.whole else math.inf
        return loss if math.isfinite(loss) else math.inf

    @property
    def forgetting(self) -> float:
        return self.step.outcome.summary.forgetting or 0.0


def leader(rungs: Sequence[Rung]) -> Rung:
    """The lowest loss; of equal ones the lower rate, which keeps better over a longer run."""
    return min(rungs, key=lambda rung: (rung.loss, rung.rate))


def difference(one: Rung, other: Rung) -> tuple[float, float]:
    """(loss of ``one`` minus loss of ``other``, its standard error over the rows); 0 where no error is known."""
    ours, theirs = one.step.outcome.end_rows, other.step.outcome.end_rows
    known = ours is not None and theirs is not None and len(ours.tokens_n) == len(theirs.tokens_n)
    error = paired_error(ours, theirs) if known and ours is not None and theirs is not None else 0.0
    return one.loss - other.loss, error if math.isfinite(error) else 0.0


def better(one: Rung, other: Rung) -> bool:
    """Whether ``one`` is below ``other`` by more than 0.5 % and more than one standard error of the difference.

    One, not two: to go on with what is not better costs tokens that the budget has, to leave what is costs loss.
    """
    if not math.isfinite(one.loss):
        return False
    behind, error = difference(other, one)
    return behind > max(error, BAR_SHARE * one.loss)


def turning_point(points: Sequence[tuple[float, float]]) -> float | None:
    """Where a loss is lowest, from (steps or rate, loss) pairs: the vertex of the parabola over the logarithm through
    the lowest point and its neighbours, kept between them.

    None when the lowest lies at an end or the three do not bend upwards; points without a finite loss are left out.

    >>> round(turning_point([(1.0, 2.0), (2.0, 1.0), (4.0, 2.0)]), 6)
    2.0
    """
    known = sorted(point for point in points if math.isfinite(point[1]))
    place = min(range(len(known)), key=lambda i: known[i][1], default=0)
    if not 0 < place < len(known) - 1:
        return None
    (x0, y0), (x1, y1), (x2, y2) = ((math.log(x), y) for x, y in known[place - 1 : place + 2])
    left, right = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)
    bend = (right - left) / (x2 - x0)
    if bend <= 0:
        return None
    vertex = (x0 + x1) / 2 - left / (2 * bend)
    return math.exp(min(x2, max(x0, vertex)))
