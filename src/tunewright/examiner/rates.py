"""Shares of passed questions and how sure they are."""

from __future__ import annotations

import math

from tunewright.schema.exam import Score

Z95 = 1.959963984540054
"""The two-sided 95 % point of the normal distribution."""


def wilson(passed: int, n: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a rate; (0, 1), which says nothing, for n = 0.

    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n). Source: E. B. Wilson, "Probable inference, the law of
    succession, and statistical inference" (1927). Unlike p -+ z sqrt(p(1-p)/n) it keeps a width at 0 and at 1.

    >>> tuple(round(x, 3) for x in wilson(10, 10))
    (0.722, 1.0)
    """
    if n == 0:
        return 0.0, 1.0
    p, zz = passed / n, Z95**2
    centre = p + zz / (2 * n)
    half = Z95 * math.sqrt(p * (1 - p) / n + zz / (4 * n * n))
    low, high = (centre - half) / (1 + zz / n), (centre + half) / (1 + zz / n)
    # At the ends the formula is exact; rounding must not leave 0.9999 for a perfect score.
    return (0.0 if passed == 0 else low), (1.0 if passed == n else high)


def score(passed: int, n: int) -> Score:
    """A share with its interval; rate None when nothing was asked."""
    low, high = wilson(passed, n)
    return Score(n=n, passed=passed, rate=passed / n if n else None, low=low, high=high)


def difference(a: Score, b: Score) -> tuple[float, float]:
    """The 95 % interval of ``a.rate - b.rate`` for two separate sets of questions; (-1, 1) when either is empty.

    Source: R. G. Newcombe, "Interval estimation for the difference between independent proportions" (1998), method 10.

    >>> tuple(round(x, 2) for x in difference(score(60, 60), score(48, 60)))
    (0.1, 0.32)
    """
    if a.rate is None or b.rate is None:
        return -1.0, 1.0
    d = a.rate - b.rate
    low = d - math.hypot(a.rate - a.low, b.high - b.rate)
    high = d + math.hypot(a.high - a.rate, b.rate - b.low)
    return max(low, -1.0), min(high, 1.0)


def lost_by_chance(lost: int, gained: int) -> float:
    """How likely at least ``lost`` of the changed answers would be losses if losses and gains were equally likely.

    ``lost``: questions the first model passed and the second did not; ``gained``: the reverse. Exact, one-sided; 1.0
    when nothing changed. Source: Q. McNemar, "Note on the sampling error of the difference between correlated
    proportions" (1947), in its exact binomial form.

    >>> lost_by_chance(5, 0)
    0.03125
    """
    changed = lost + gained
    return float(sum(math.comb(changed, k) for k in range(lost, changed + 1)) / 2**changed)
