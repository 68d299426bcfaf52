"""What the doctor says: findings, abstentions, and the whole diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["info", "warning", "error"]
Health = Literal["healthy", "warning", "sick", "unknown"]


@dataclass(frozen=True)
class Finding:
    """One symptom with its evidence.

    code     : stable, e.g. "TW201"; ``tunewright explain CODE`` tells all about it
    symptom  : one of the published symptom names, e.g. "overfit"
    steps    : first and last step it speaks of, both included
    evidence : the numbers behind it, JSON-ready; at least one is a measured figure
    why      : one sentence in plain words with the figures in it
    causes   : likely causes, most likely first
    rows     : 1-based data rows involved, when known
    """

    code: str
    symptom: str
    severity: Severity
    steps: tuple[int, int]
    evidence: Mapping[str, Any]
    why: str
    causes: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class Abstention:
    """A question the log cannot answer, why, and the smallest relative change of loss it could have shown."""

    symptom: str
    because: str
    minimal_detectable_change: float | None = None


@dataclass(frozen=True)
class Mark:
    """One mark of the guides' ideal curve with the number it was judged by; ``ok`` is None when not measurable."""

    mark: str
    value: float | None
    ok: bool | None


@dataclass(frozen=True)
class GuideReading:
    """How the guide's two tables and its decision tree read the final training loss, in the guide's words."""

    final_loss: float | None
    interpretation: str
    target: str
    tree_advice: str


@dataclass(frozen=True)
class Source:
    """The log that was read: its reader's ``kind``, the last step, steps between logged losses, evaluations."""

    kind: str
    path: str
    steps: int
    logged_every: int
    evals: int


@dataclass(frozen=True)
class Diagnosis:
    """Everything said about one curve. ``findings`` are ranked: a cause comes before its consequences."""

    source: Source
    health: Health
    guide_reading: GuideReading
    checklist: tuple[Mark, ...]
    findings: tuple[Finding, ...]
    abstained: tuple[Abstention, ...] = field(default=())

    @property
    def leaves_open(self) -> str:
        """What "healthy" does not cover in this log, as a clause; "" when nothing is, or the run is not healthy."""
        asked = {abstention.symptom for abstention in self.abstained}
        unknown = {
            "no_learning": "whether it learned anything cannot be told",
            "overfit": "without more evaluations over-fitting cannot be told"
            if self.source.evals
            else "without a validation loss over-fitting cannot be told",
        }
        said = [clause for symptom, clause in unknown.items() if symptom in asked]
        return "; ".join(said) if self.health == "healthy" else ""

    def has(self, symptom: str) -> bool:
        return any(finding.symptom == symptom for finding in self.findings)

    def finding(self, symptom: str) -> Finding | None:
        return next((finding for finding in self.findings if finding.symptom == symptom), None)


def health_of(findings: tuple[Finding, ...]) -> Health:
    """sick = any error, warning = any warning, unknown = too few points or not an NLL, else healthy."""
    severities = {finding.severity for finding in findings}
    if "error" in severities:
        return "sick"
    if "warning" in severities:
        return "warning"
    unreadable = {"too_few_points", "not_an_nll"}
    return "unknown" if any(finding.symptom in unreadable for finding in findings) else "healthy"
