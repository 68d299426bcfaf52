"""explain: what a finding or a rule is."""

from __future__ import annotations

from tunewright.doctor.explain import explain as explain_finding
from tunewright.prescribe.prescribe import rule_named
from tunewright.prescribe.rule import describe


def explain(name: str) -> str:
    """The page of a code, a symptom, or a rule such as ``guide.decision_tree``.

    Raises UsageError with the nearest name when there is no such thing.
    """
    rule = rule_named(name)
    return describe(rule) if rule else explain_finding(name)
