"""The data grew: the guide's three options, with their arithmetic, for any numbers of rows.

The guide's example goes from 625 to 825 rows, from 8 epochs at 5e-5:

    A  epochs         8 x 625 = 5,000 views; 5,000 / 825 = 6.06, rounded up to 7
    B  learning rate  5e-5 x 1.32 = 6.6e-5 (which the guide rounds to 8e-5)
    C  both           7 epochs and 1e-4 (recommended by the guide)

Source: "LLM Fine-Tuning Guide: Understanding Training Parameters" (2025-10), "The Formula (Simplified)".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tunewright.prescribe.prescribe import Policy
from tunewright.prescribe.rule import describe_changes
from tunewright.prescribe.sources import G0
from tunewright.prescribe.values import factor_of, is_number, show, tidy
from tunewright.schema.errors import UsageError
from tunewright.schema.prescription import Change, Option, Prescription

RULE = "guide.grown_data"
EXAMPLE_GROWTH = 825 / 625
# Option C doubles the LR for the example's growth and leaves it for none: growth ** this, at most x2 either way.
_BOTH_EXPONENT = math.log(2) / math.log(EXAMPLE_GROWTH)
# The guide's B is 6.6e-5, printed as "about 8e-5"; only its own example is rounded that way.
_GUIDE_B = (5e-5, 8e-5)


def grown_data(
    old_rows: int, new_rows: int, config: Mapping[str, Any], policy: Policy = "evidence"
) -> tuple[Option, ...]:
    """Options A, B and C for going from ``old_rows`` to ``new_rows``; the policy's choice is ``recommended``.

    A: epochs' = old rows x epochs / new rows, rounded up, so that about as many rows are seen as before.
    B: LR' = LR x new rows / old rows. C: A's epochs and LR x (new / old)^2.5, between x0.5 and x2, which is the
    guide's x2 at its own growth of 32 % and x1 at none. Unknown epochs or LR give factors without values.
    Raises UsageError when a number of rows is not positive. The same number of rows gives options without changes.

    >>> for option in grown_data(625, 825, {"num_train_epochs": 8.0, "learning_rate": 5e-5}, "guide"):
    ...     print(option.name, describe_changes(option.changes), option.recommended)
    A num_train_epochs 8 -> 7 False
    B learning_rate 5e-5 -> 6.6e-5 False
    C num_train_epochs 8 -> 7, learning_rate 5e-5 -> 1e-4 True
    """
    if old_rows <= 0 or new_rows <= 0:
        raise UsageError(f"rows {old_rows} -> {new_rows}: both must be above 0", hint="tunewright next --data NEW")
    growth = new_rows / old_rows
    epochs = _number(config, "num_train_epochs")
    rate = _number(config, "learning_rate")
    both = min(2.0, max(0.5, growth**_BOTH_EXPONENT))
    a, a_text = _epochs(old_rows, new_rows, epochs)
    b, b_text = _rate(growth, rate, f"{new_rows:,} / {old_rows:,}")
    c, c_text = _rate(both, rate, f"({new_rows:,} / {old_rows:,})^2.5, at most x2")
    ratio = _quality(growth, epochs)
    return (
        Option("A", a, f"{a_text}{ratio(a)}", policy == "evidence"),
        Option("B", b, f"{b_text}{_rounded_by_guide(growth, rate)}{ratio(b)}"),
        Option("C", (*a, *c), f"{a_text}; {c_text}{ratio((*a, *c))}", policy == "guide"),
    )


def grown_prescription(
    old_rows: int, new_rows: int, config: Mapping[str, Any], policy: Policy = "evidence"
) -> Prescription:
    """The recommended option as a prescription, with a sentence on why the other policy would choose otherwise."""
    options = grown_data(old_rows, new_rows, config, policy)
    chosen = next(option for option in options if option.recommended)
    share = f"{new_rows / old_rows - 1:+.0%}"
    why = f"the data went from {old_rows:,} to {new_rows:,} rows ({share}). Option {chosen.name}: {chosen.arithmetic}."
    return Prescription(not chosen.changes, chosen.changes, why, (why_they_differ(options),) if chosen.changes else ())


def why_they_differ(options: tuple[Option, ...]) -> str:
    """Why the guide takes C and the evidence policy A, with the changes of both."""
    by_name = {option.name: describe_changes(option.changes) for option in options}
    return (
        f"G0 (2025-10) recommends C ({by_name['C']}); policy evidence prefers A ({by_name['A']}): one knob at a time, "
        "epochs before learning rate, as the same guide says under 'start conservative'; a higher learning rate is "
        "left to the evaluation loss of that run"
    )


def _number(config: Mapping[str, Any], key: str) -> float | None:
    value = config.get(key)
    return float(value) if is_number(value) and value > 0 else None


def _change(key: str, before: float | None, after: float | None, factor: float, why: str) -> tuple[Change, ...]:
    if before is None or after is None:
        return () if factor == 1 else (Change(key, None, None, tidy(factor), why, RULE, G0),)
    return () if after == before else (Change(key, before, after, factor_of(before, after), why, RULE, G0),)


def _epochs(old_rows: int, new_rows: int, epochs: float | None) -> tuple[tuple[Change, ...], str]:
    if epochs is None:
        text = f"epochs x {old_rows:,} / {new_rows:,}, rounded up to whole epochs"
        return _change("num_train_epochs", None, None, old_rows / new_rows, text), text
    views = old_rows * epochs
    exact = views / new_rows
    # a hair above a whole number is the dust of division, not another epoch
    after = float(max(1, math.ceil(exact - 1e-9))) if new_rows != old_rows else epochs
    text = (
        f"{old_rows:,} rows x {show(epochs)} epochs = {views:,.0f} views; "
        f"{views:,.0f} / {new_rows:,} = {exact:.2f}, rounded up to {show(after)}"
    )
    return _change("num_train_epochs", epochs, after, old_rows / new_rows, text), text


def _rate(factor: float, rate: float | None, how: str) -> tuple[tuple[Change, ...], str]:
    after = None if rate is None else tidy(rate * factor)
    text = f"learning rate x {factor:.2f} ({how})"
    if rate is not None and after is not None:
        text = f"{show(rate)} x {factor:.2f} ({how}) = {show(after)}"
    return _change("learning_rate", rate, after, factor, text), text


def _rounded_by_guide(growth: float, rate: float | None) -> str:
    is_example = rate is not None and math.isclose(growth, EXAMPLE_GROWTH) and math.isclose(rate, _GUIDE_B[0])
    return f", which the guide rounds to {show(_GUIDE_B[1])}" if is_example else ""


def _quality(growth: float, epochs: float | None) -> Any:
    """What the guide's own measure makes of an option: quality ~ epochs x LR / data, against the old run."""

    def ratio(changes: tuple[Change, ...]) -> str:
        if epochs is None or not changes:
            return ""
        product = math.prod(change.factor or 1.0 for change in changes) / growth
        return f" (epochs x LR / data: x{product:.2f} of before)"

    return ratio
