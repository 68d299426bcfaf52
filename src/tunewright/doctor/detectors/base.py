"""What all detectors share: how a finding is made, and figures shortened for reading."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from tunewright.doctor.codes import CODES
from tunewright.doctor.view import View
from tunewright.schema.finding import Abstention, Finding, Severity

Answer = Finding | Abstention | None
Detector = Callable[[View], Answer]


def found(
    symptom: str,
    steps: tuple[int, int],
    why: str,
    evidence: Mapping[str, Any],
    causes: tuple[str, ...] = (),
    *,
    severity: Severity | None = None,
    rows: tuple[int, ...] = (),
) -> Finding:
    """A finding with the symptom's code and, unless given, its usual severity; figures at 5 digits."""
    entry = CODES[symptom]
    short = {key: figure(value) for key, value in evidence.items()}
    return Finding(entry.code, symptom, severity or entry.severity, steps, short, why, causes, rows)


def figure(value: Any) -> Any:
    """A float at 5 significant digits; lists elementwise; anything else as it is."""
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.5g}")
    if isinstance(value, (list, tuple)):
        return [figure(item) for item in value]
    return value


def percent(share: float) -> str:
    """``0.034`` as ``3.4 %``.

    >>> percent(0.034), percent(1.23)
    ('3.4 %', '123 %')
    """
    return f"{100 * share:.1f} %" if abs(share) < 0.1 else f"{100 * share:.0f} %"
