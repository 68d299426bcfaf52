"""What ``tunewright explain`` says about each symptom; one module per group, imported when asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """what it is, how it is computed, what looks alike, what to do, where that comes from, the limits it goes by."""

    what: str
    how: str
    lookalikes: str
    do: str
    sources: tuple[str, ...]
    thresholds: tuple[str, ...] = ()


STUDY = "FAULT study (2026): synthetic curves, public logs and 30 runs with an injected fault"
