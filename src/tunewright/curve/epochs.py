"""How long an epoch is, from the epochs that a log names."""

from __future__ import annotations

import numpy as np

from tunewright.schema.curve import Series
from tunewright.schema.median import median


def steps_per_epoch(epochs: Series) -> float | None:
    """Steps per epoch from logged epochs; None when they do not tell.

    Two conventions are met: a fraction that grows with every step (Trainer), and a whole number that stays for
    an epoch (Lightning and hand-written loops; counted from 0 or 1).

    >>> steps_per_epoch(Series.of([(10, 0.5), (20, 1.0)]))
    20.0
    >>> steps_per_epoch(Series.of([(1, 0), (2, 0), (3, 1), (4, 1), (5, 2)]))
    2.0
    >>> steps_per_epoch(Series.of([(100, 0), (200, 1), (300, 2)]))
    100.0
    """
    good = (epochs.steps > 0) & np.isfinite(epochs.values) & (epochs.values >= 0)
    steps, values = epochs.steps[good].astype(float), epochs.values[good]
    if len(steps) < 2:
        return float(steps[0] / values[0]) if len(steps) and values[0] > 0 else None
    changes = np.flatnonzero(np.diff(values) > 0) + 1
    if np.all(values == np.floor(values)) and len(changes) < len(steps) - 1:  # a counter
        return float(median(np.diff(steps[changes]))) if len(changes) > 1 else None
    if values[0] == 0 and np.all(np.diff(values) == 1):  # a counter from 0 with one line an epoch
        return float(steps[-1] / (values[-1] + 1))
    return float(steps[-1] / values[-1]) if values[-1] > 0 else None
