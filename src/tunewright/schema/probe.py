"""The answer of one probe: a cheap trial that settles what a curve alone leaves open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

ProbeVerdict = Literal["fine", "fault", "unclear"]


@dataclass(frozen=True)
class ProbeAnswer:
    """What one probe was asked and what it found.

    probe    : template, validation, rows, learning_rate, schedule or sanity
    question : the one question it answers, in plain words
    verdict  : "fault" when it found the cause, "fine" when it ruled it out, "unclear" when it could not tell
    answer   : one sentence with the figures
    evidence : the figures
    tokens   : input tokens it trained on or looked at
    seconds  : how long it took
    """

    probe: str
    question: str
    verdict: ProbeVerdict
    answer: str
    evidence: dict[str, Any] = field(default_factory=dict)
    tokens: int = 0
    seconds: float = 0.0
