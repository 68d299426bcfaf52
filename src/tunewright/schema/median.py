"""The median, without the masked arrays that numpy's own loads: they would be a third of a short command's time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def median(values: ArrayLike, axis: int = -1) -> Any:
    """The middle value along an axis, the mean of the middle two of an even number; NaN for a NaN or for nothing.

    >>> float(median([3.0, 1.0, 2.0, 10.0]))
    2.5
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=axis)
    count = ordered.shape[axis]
    if not count:
        return np.full(np.delete(ordered.shape, axis), np.nan)[()]
    low, high, last = (ordered.take(place, axis=axis) for place in ((count - 1) // 2, count // 2, count - 1))
    middle = np.where(low == high, low, (low + high) / 2)  # two infinities have a middle, not a NaN
    return np.where(np.isnan(last), np.nan, middle)[()]
