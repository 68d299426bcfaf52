"""Are the validation rows of the training rows' kind: the base's loss on both, before it has seen either.

L = sum of losses / tokens is a ratio, so its error comes from what each row adds beyond its share, r = nats - L tokens:
var L = n var r / (sum of tokens)^2. Once training has begun the two losses differ anyway.
Source: Cochran, "Sampling Techniques" (3rd edition, 1977), chapter 6, the variance of a ratio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunewright.probes.answers import Counts, Floats


@dataclass(frozen=True)
class Shift:
    """Nats per answer token on both sides; z: their difference in standard errors (NaN without two rows each)."""

    train: float
    val: float
    z: float
    rows: int

    @property
    def relative(self) -> float:
        """Validation over training, less one."""
        return self.val / self.train - 1 if self.train else math.nan


def val_shift(train: tuple[Floats, Counts], val: tuple[Floats, Counts]) -> Shift:
    """The shift between two samples of row losses; each is (sums in nats [n], tokens [n]).

    >>> import numpy as np
    >>> sample = (np.array([2.0, 4.0]), np.array([1, 2]))
    >>> val_shift(sample, sample).relative
    0.0
    """
    sides = [_mean_and_variance(*side) for side in (train, val)]
    (train_loss, train_variance), (val_loss, val_variance) = sides
    error = math.sqrt(train_variance + val_variance)
    z = (val_loss - train_loss) / error if error > 0 else math.nan
    return Shift(train_loss, val_loss, z, int((val[1] > 0).sum()))


def _mean_and_variance(nats_n: Floats, tokens_n: Counts) -> tuple[float, float]:
    counted = tokens_n > 0
    total, n = int(tokens_n.sum()), int(counted.sum())
    if n < 2:
        return math.nan, math.nan
    loss = float(nats_n.sum() / total)
    spread = (nats_n - loss * tokens_n)[counted]
    return loss, float(n * spread.var(ddof=1)) / total**2
