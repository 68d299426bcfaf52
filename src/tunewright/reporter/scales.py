"""From values to places: axes with round ticks, linear or logarithmic."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunewright.reporter.figure import Panel

HIGHEST = 1e300
"""Finite values beyond are drawn at the edge: their square would overflow the axis arithmetic."""

SMALLEST = 1e-200
"""Differences below are none to a chart."""


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] to [start_px, end_px]; ``log`` maps by logarithm (then low > 0)."""

    low: float
    high: float
    start_px: float
    end_px: float
    log: bool = False

    def __call__(self, value: float) -> float:
        return float(self.many(np.array([value]))[0])

    def many(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Places of finite values, kept inside the axis."""
        clipped = np.clip(values, self.low, self.high)
        low, high = self.low, self.high
        if self.log:
            clipped, low, high = np.log(clipped), math.log(low), math.log(high)
        share: NDArray[np.float64] = (clipped / 2 - low / 2) / (high / 2 - low / 2)  # halves cannot overflow
        return self.start_px + share * (self.end_px - self.start_px)

    def ticks(self, about: int) -> list[tuple[float, str]]:
        """Round values inside the axis with their labels, about that many."""
        return log_ticks(self.low, self.high) if self.log else linear_ticks(self.low, self.high, about)


def linear_ticks(low: float, high: float, about: int) -> list[tuple[float, str]]:
    """
    >>> [label for _, label in linear_ticks(0, 2.3, 5)]
    ['0', '0.5', '1.0', '1.5', '2.0']
    """
    size = _round_size((high - low) / max(1, about))
    first, last = math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9)
    return [(number * size, _label(number * size, size)) for number in range(first, last + 1)]


def _round_size(rough: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * 0.999)


def _label(value: float, size: float) -> str:
    if abs(value) < size / 2:
        return "0"
    if size < 1e-4 or abs(value) >= 1e6:
        mantissa, _, power = f"{value:.1e}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(power)}"
    return f"{value:,.{max(0, -math.floor(math.log10(size) + 1e-9))}f}"


def log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """
    >>> [label for _, label in log_ticks(0.02, 3)]
    ['0.02', '0.05', '0.1', '0.2', '0.5', '1', '2']
    """
    decades = math.log10(high) - math.log10(low)
    steps = (1, 2, 5) if decades < 3.5 else (1,)
    every = max(1, math.ceil(decades / 7))
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1, every)
    values = [step * 10.0**power for power in powers for step in steps]
    return [(value, f"{value:.3g}") for value in values if low * 0.999 <= value <= high * 1.001]


def value_range(panel: Panel) -> tuple[float, float]:
    """The range of a panel's axis: every finite value is inside; widened when all are equal.

    No value is cut off as an outlier: a spike that sets the scale is what the reader has to see.
    """
    values = [*_finite(one.y for one in panel.lines), *(level.y for level in panel.levels)]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if panel.log:
        return low / 1.15, high * 1.15
    spread, size = high - low, max(abs(low), abs(high))
    all_equal = spread <= max(1e-9 * size, SMALLEST)  # or as good as: no axis could label the difference
    pad = (0.05 * size if size > SMALLEST else 0.5) if all_equal else 0.06 * spread
    starts_at_zero = panel.from_zero and low >= 0
    return (0.0 if starts_at_zero else low - pad), high + pad


def _finite(lines: Iterable[NDArray[np.float64]]) -> list[float]:
    ends: list[float] = []
    for values in lines:
        finite = values[np.isfinite(values)]
        if len(finite):
            ends += [float(np.clip(finite.min(), -HIGHEST, HIGHEST)), float(np.clip(finite.max(), -HIGHEST, HIGHEST))]
    return ends
