"""The statistics of noisy curves, on log-losses. Pure functions of arrays; no curve, no threshold."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tunewright.schema.median import median

Floats = NDArray[np.float64]
MEDIAN_SE = 1.2533
"""Standard error of a median of normal noise over that of a mean: sqrt(pi / 2)."""

LEAST_NOISE = 1e-6
"""Floor of every noise scale, so that a constant series divides by something."""


def noise_scale(y: Floats) -> float:
    """Robust standard deviation of the noise around any slow trend: ``1.4826 MAD(y[i] - y[i-1]) / sqrt(2)``.

    Rice's difference estimator with a median: neither a trend nor rare jumps enter. Fewer than 3 points: the floor.

    >>> round(noise_scale(np.arange(10.0)), 6)
    1e-06
    """
    if len(y) < 3:
        return LEAST_NOISE
    steps = np.diff(y)
    return max(float(1.4826 * median(np.abs(steps - median(steps))) / math.sqrt(2)), LEAST_NOISE)


def upper_noise(y: Floats) -> float:
    """The noise scale of the upper side alone: ``1.4826 median(r)`` of the positive residuals r from a running median
    of 11 points (at most 1,000 of them). Equal to :func:`noise_scale` for symmetric noise, smaller where only low
    values stray, as in logs of small losses. Fewer than 30 points: :func:`noise_scale`.
    """
    if len(y) < 30:
        return noise_scale(y)
    windows = np.lib.stride_tricks.sliding_window_view(y, 11)[:: max(1, len(y) // 1000)]
    rest = windows[:, 5] - median(windows, axis=1)
    above = rest[rest > 0]
    return max(float(1.4826 * median(above)), LEAST_NOISE) if len(above) else LEAST_NOISE


def inflation(y: Floats) -> float:
    """Factor on standard errors for positively correlated noise: ``sqrt((1 + r) / (1 - r))``, at least 1.

    r is the lag-1 correlation of what remains when the mean of each of 10 blocks is taken off; at most 0.9.
    Fewer than 60 points: 1, as r would be mostly its own noise.
    """
    if len(y) < 60:
        return 1.0
    width = len(y) // 10
    blocks = y[: 10 * width].reshape(10, width)
    centre = np.linspace(-0.5, 0.5, width)
    slope = (blocks @ centre)[:, None] / (centre @ centre)
    rest = (blocks - blocks.mean(axis=1, keepdims=True) - slope * centre).ravel()
    spread = float(rest @ rest)
    if spread <= 0.0:
        return 1.0
    r = min(max(float(rest[1:] @ rest[:-1]) / spread, 0.0), 0.9)
    return math.sqrt((1 + r) / (1 - r))


def median_error(noise: float, *counts: int) -> float:
    """Standard error of a difference of medians over windows of these many points."""
    return MEDIAN_SE * noise * math.sqrt(sum(1.0 / max(count, 1) for count in counts))


def block_medians(y: Floats, width: int) -> Floats:
    """Medians of consecutive blocks of ``width`` points; a last block shorter than half is left out."""
    width = max(1, width)
    whole = len(y) // width
    medians = median(y[: whole * width].reshape(whole, width), axis=1) if whole else np.empty(0)
    rest = y[whole * width :]
    return np.append(medians, median(rest)) if 2 * len(rest) >= width else medians


def relative(log_change: float) -> float:
    """A difference of logs as a relative change: 0.1 for +10 %. Clipped far outside anything readable."""
    return math.expm1(min(max(log_change, -50.0), 50.0))


def robust_line(x: Floats, y: Floats) -> tuple[float, float]:
    """Slope and intercept by Theil and Sen on at most 60 block medians (so that long curves stay cheap)."""
    width = max(1, len(y) // 60)
    xs, ys = block_medians(x, width), block_medians(y, width)
    first, second = np.triu_indices(len(xs), 1)
    run = xs[second] - xs[first]
    usable = run > 0
    if not usable.any():
        return 0.0, float(median(ys)) if len(ys) else 0.0
    slope = float(median((ys[second] - ys[first])[usable] / run[usable]))
    return slope, float(median(ys - slope * xs))


def swings_up(y: Floats, size: float) -> int:
    """How often y rises by at least ``size`` after having fallen by at least ``size`` (or from its start).

    A zigzag count: small wiggles never count, however many there are.

    >>> swings_up(np.array([0, 1, 0, 1, 0.9, 1.0, 0]), 0.5)
    2
    """
    count, low, high, rising = 0, math.inf, -math.inf, False
    for value in y.tolist():
        low, high = min(low, value), max(high, value)
        if not rising and value >= low + size:
            count, rising, high = count + 1, True, value
        elif rising and value <= high - size:
            rising, low = False, value
    return count
