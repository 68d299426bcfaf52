"""Arithmetic on recipe values: scaled numbers that stay valid, and numbers as people write them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

WHOLE = frozenset(
    {
        "per_device_train_batch_size",
        "gradient_accumulation_steps",
        "max_steps",
        "warmup_steps",
        "lora_rank",
        "early_stopping_patience",
    }
)
OFF_THE_TOP = 0.02
"""Share of a learning rate's peak that a log may miss: a hundredth of the run under a linear decay, twice over."""
# The most a share may become; above, a recipe would be refused or mean something else (val_size 1 = one row).
_SHARE_LIMIT = {"val_size": 0.5, "warmup_ratio": 0.5, "lora_dropout": 0.5, "lr_floor": 1.0, "decay_share": 1.0}


def is_number(value: Any) -> TypeGuard[float]:
    """Whether ``value`` is a finite int or float (booleans are not numbers here)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def tidy(value: float) -> float:
    """The number without the dust of binary arithmetic: six significant digits.

    >>> tidy(1e-4 * 0.1)
    1e-05
    """
    return float(f"{value:.6g}")


def as_set(peak: float) -> float:
    """The learning rate that was set, from the highest one logged: a decay or a coarse log takes a little off the top,
    and people write two digits. A rate further from such a number stays as it was logged.

    >>> as_set(1.999e-4), as_set(4.95e-5), as_set(1.23e-4)
    (0.0002, 5e-05, 0.000123)
    """
    unit = 10.0 ** (math.floor(math.log10(peak)) - 1)
    above = tidy(math.ceil(peak / unit) * unit)
    return above if above <= (1 + OFF_THE_TOP) * peak else tidy(peak)


def whole_tenths(epochs: float) -> float:
    """Epochs as people write them: one decimal, two significant digits below 1.

    >>> whole_tenths(3.61145), whole_tenths(0.3333), whole_tenths(0.0049)
    (3.6, 0.33, 0.0049)
    """
    return round(epochs, 1) if epochs >= 1 else float(f"{epochs:.2g}")


def scaled(key: str, before: float, factor: float) -> float | int:
    """``before * factor`` as a value that ``key`` can hold: whole where counts are meant, shares below their limit.

    A factor of 1, or a result that is not a positive finite number, leaves ``before`` as it is.

    >>> scaled("lora_rank", 4, 2), scaled("num_train_epochs", 5, 0.72229), scaled("val_size", 0.4, 2)
    (8, 3.6, 0.5)
    >>> scaled("num_train_epochs", 3.75, 1.0)
    3.75
    """
    result = before * factor
    if factor == 1 or not math.isfinite(result) or result <= 0:
        return before
    if key in WHOLE:
        return max(1, round(result))
    if key == "num_train_epochs":
        return whole_tenths(result)
    # val_size of 1 or more counts rows, and a count is never turned into a share or back
    if key == "val_size" and before >= 1:
        return float(max(1, round(result)))
    limit = _SHARE_LIMIT.get(key)
    return tidy(result) if limit is None else tidy(min(result, max(limit, before)))


def factor_of(before: Any, after: Any) -> float | None:
    """after / before to six digits; None unless both are numbers and ``before`` is not 0.

    >>> factor_of(5e-5, 2e-4)
    4.0
    """
    return tidy(after / before) if is_number(before) and is_number(after) and before else None


def as_times(factor: float) -> str:
    """A factor as people say it, above 0: three significant digits and never an exponent, below 1 as a fraction.

    >>> as_times(10.0), as_times(1 / 3), as_times(1500.4), as_times(1 / 3000), as_times(1.25)
    ('x10', 'x1/3', 'x1500', 'x1/3000', 'x1.25')
    """
    size = float(f"{max(factor, 1 / factor):.3g}")
    return f"x{size:.15g}" if factor >= 1 else f"x1/{size:.15g}"


def show(value: Any) -> str:
    """A value as people write it: ``1e-4`` rather than ``0.0001``, four significant digits.

    >>> show(1e-04), show(6.4), show({"data": "general", "share": 0.25}), show(None)
    ('1e-4', '6.4', 'general x 0.25', 'none')
    """
    if value is None:
        return "none"
    if isinstance(value, Mapping) and set(value) == {"data", "share"}:
        return f"{value['data']} x {value['share']:g}"
    if not isinstance(value, float):
        return str(value)
    text = f"{value:.3e}" if 0 < abs(value) < 1e-3 else f"{value:.4g}"
    mantissa, e, exponent = text.partition("e")
    return f"{float(mantissa):g}e{int(exponent)}" if e else text
