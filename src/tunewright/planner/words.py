"""Figures as a reader expects them: 3e-4 rather than 0.0003, 12,500 rather than 12500."""

from __future__ import annotations

import math
from typing import Any


def figure(value: Any) -> str:
    """A number in its shortest usual form; anything else as text. NaN and infinities keep their names.

    >>> figure(0.0003), figure(12500), figure(0.05), figure(2.0), figure(4.3e-3)
    ('3e-4', '12,500', '0.05', '2', '4.3e-3')
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    if value and abs(value) < 0.01:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def counted(number: int, word: str) -> str:
    """``1 row``, ``2 rows``.

    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {word}" + ("" if number == 1 else "s")


def two_digits(value: float) -> float:
    """``value`` rounded to two significant digits: a start is not known better than that.

    >>> two_digits(0.0042691)
    0.0043
    """
    return float(f"{value:.1e}")


def power_of_two_below(number: float) -> int:
    """The largest power of two that is at most ``number``; 1 for anything below 2.

    >>> power_of_two_below(12.9), power_of_two_below(0)
    (8, 1)
    """
    return 1 if number < 2 else 1 << (int(number).bit_length() - 1)


def sentence(*parts: str) -> str:
    """The non-empty parts joined by a space."""
    return " ".join(part for part in parts if part)
