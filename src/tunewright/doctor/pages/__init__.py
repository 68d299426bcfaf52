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


G0 = "LLM Fine-Tuning Guide: Understanding Training Parameters (2025-10)"
G1 = "Understanding Key Hyperparameters When Fine-Tuning an LLM (genmind.ch, 2025-01)"
G2 = "The Training Process"
G3 = "Mastering Large Model Training: Practical Parameter Tuning"
STUDY = "FAULT study (2026): synthetic curves, public logs and 30 runs with an injected fault"
PLAYBOOK = "Deep Learning Tuning Playbook (Google, 2023)"
