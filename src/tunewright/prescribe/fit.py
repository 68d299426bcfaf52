"""What the evaluation curve supports: its noise, a fit over log-steps, and the predictions made from them.

Losses are nats per token. Everything returns None rather than a guess when there are too few points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunewright.schema.curve import Curve, Series
from tunewright.schema.prescription import Range

MIN_EVALS_FOR_NOISE = 5  # three second differences: fewer give no spread
MIN_EVALS_FOR_FIT = 4  # two parameters leave two degrees of freedom
REPEAT_SHARE = 0.02  # another run of the same recipe may end this much higher
MATERIAL_SHARE = 0.01  # a gain below 1 % of the loss is not worth a run, however quiet the curve
# two-sided 90 % quantiles of Student's t for 1..10 degrees of freedom, then the limit for more
_T90 = (6.31, 2.92, 2.35, 2.13, 2.02, 1.94, 1.89, 1.86, 1.83, 1.81)
_T90_MANY = 1.70


def t90(freedom: int) -> float:
    """Student's t that leaves 5 % on either side, for 1 or more degrees of freedom.

    >>> t90(2), t90(50)
    (2.92, 1.7)
    """
    return _T90[freedom - 1] if freedom <= len(_T90) else _T90_MANY


def trained_evals(curve: Curve) -> Series:
    """Finite evaluation points after step 0."""
    points = curve.eval_loss.finite()
    keep = points.steps > 0
    return Series(points.steps[keep], points.values[keep])


def noise_of_eval(curve: Curve) -> float | None:
    """Standard deviation of one evaluation around the smooth curve, nats per token.

    Formula: d_i = y_i - (line through y_{i-1}, y_{i+1} over ln step), each divided by its own standard deviation
    in units of one point's; then 1.4826 x median |d|. Trends that are smooth in ln step cancel; one outlier does
    not count. Non-finite points and step 0 are left out. None below five points.

    Source: Gasser, Sroka and Jennen-Steinmetz, "Residual variance and residual pattern" (1986).

    >>> from tunewright.schema.curve import Series
    >>> points = Series.of([(s, 1.0 - 0.1 * math.log(s)) for s in (10, 20, 30, 40, 50)])
    >>> round(noise_of_eval(Curve("csv", "", points, points)), 6)
    0.0
    """
    points = trained_evals(curve)
    if len(points) < MIN_EVALS_FOR_NOISE:
        return None
    x, y = np.log(points.steps.astype(np.float64)), points.values
    weight_left = (x[2:] - x[1:-1]) / (x[2:] - x[:-2])
    weight_right = 1.0 - weight_left
    residual = y[1:-1] - weight_left * y[:-2] - weight_right * y[2:]
    unit = np.sqrt(1.0 + weight_left**2 + weight_right**2)
    return float(1.4826 * np.median(np.abs(residual / unit)))


def least_gain(curve: Curve) -> float | None:
    """The smallest gain worth a run: 2 x noise, and at least 1 % of the last evaluation. None without evaluations.

    A steep curve bends in ln step too, and the bend reads as noise: of evaluations that fell every single time no
    more than 1 % of the last is taken for it.
    """
    points = trained_evals(curve)
    if not len(points):
        return None
    material = MATERIAL_SHARE * float(points.values[-1])
    noise = noise_of_eval(curve) or 0.0
    steady = len(points) >= MIN_EVALS_FOR_NOISE and bool(np.all(np.diff(points.values) < 0))
    return max(2.0 * (min(noise, material) if steady else noise), material)


@dataclass(frozen=True)
class LogFit:
    """loss = a + b ln(step) by least squares over ``n`` points, with residual standard deviation ``s``."""

    a: float
    b: float
    s: float
    n: int
    mean_x: float
    spread_x: float

    def at(self, step: float) -> Range:
        """The loss expected at ``step`` with its 90 % prediction interval; never below 0."""
        x = math.log(step)
        middle = self.a + self.b * x
        half = t90(self.n - 2) * self.s * math.sqrt(1 + 1 / self.n + (x - self.mean_x) ** 2 / self.spread_x)
        return Range(max(0.0, middle), max(0.0, middle - half), max(0.0, middle + half))

    def gain(self, step: float, later: float) -> float:
        """How much lower the loss is expected to be at ``later`` than at ``step``."""
        return -self.b * math.log(later / step)


def fit_log_steps(curve: Curve) -> LogFit | None:
    """The fit over the last half of the evaluations, at least four; None with fewer.

    Fine-tuning losses are close to straight in ln(step) once the first drop is over, so the first half is left out.
    Source: "LoRA Without Regret" (Thinking Machines Lab, 2025-09).
    """
    points = trained_evals(curve)
    if len(points) < MIN_EVALS_FOR_FIT:
        return None
    keep = max(MIN_EVALS_FOR_FIT, -(-len(points) // 2))
    return _least_squares(np.log(points.steps[-keep:].astype(np.float64)), points.values[-keep:])


def _least_squares(x: NDArray[np.float64], y: NDArray[np.float64]) -> LogFit:
    mean_x, mean_y = float(x.mean()), float(y.mean())
    spread_x = float(((x - mean_x) ** 2).sum())
    b = float(((x - mean_x) * (y - mean_y)).sum()) / spread_x
    a = mean_y - b * mean_x
    s = math.sqrt(float(((y - a - b * x) ** 2).sum()) / (len(x) - 2))
    return LogFit(a, b, s, len(x), mean_x, spread_x)


def longer_run(fit: LogFit, last: float, other: float | None, end: float) -> Range:
    """What a run of ``end`` steps and the same shape is expected to give, after one that ended at ``last``.

    ``other``: a second estimate. The middle is the higher of the two. A fit's own interval knows nothing of a curve
    that bends or turns, or of another run's luck: so from twice the gain, or the lower of the estimates, up to no gain
    at all and 2 % above. Of longer runs that were really made 87 % ended in there, and half of them in the fit's own
    90 % (``python -m bench.tuner.promises``).

    >>> fit = LogFit(a=3.0, b=-0.2, s=0.0, n=4, mean_x=4.0, spread_x=1.0)
    >>> expected = longer_run(fit, last=2.0, other=1.85, end=math.exp(5.5))
    >>> expected.middle, round(expected.low, 3), expected.high
    (1.9, 1.793, 2.04)
    """
    fitted = fit.at(end)
    estimates = (fitted.middle, fitted.middle if other is None else other)
    middle = max(estimates)
    spread = math.hypot(fitted.high - fitted.middle, REPEAT_SHARE * middle)
    low = min(fitted.low, *estimates, middle - math.hypot(last - middle, spread))
    return Range(middle, max(0.0, low), max(last * (1 + REPEAT_SHARE), middle + spread))


def lowest_as_range(curve: Curve) -> Range | None:
    """The lowest measured evaluation with the noise of an evaluation: what stopping there is expected to give.

    The half-width is 2 x noise; with fewer than five evaluations, the larger step to a neighbouring evaluation
    stands in for it. None below three evaluations.
    """
    points = trained_evals(curve)
    if len(points) < 3:
        return None
    where = int(np.argmin(points.values))
    low = float(points.values[where])
    noise = noise_of_eval(curve)
    neighbours = points.values[max(0, where - 1) : where + 2]
    half = 2.0 * noise if noise is not None else float(np.abs(neighbours - low).max())
    return Range(low, max(0.0, low - half), low + half)
