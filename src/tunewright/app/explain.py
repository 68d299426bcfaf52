"""explain: what a finding or a rule is."""

from __future__ import annotations

from typing import Any

from tunewright.doctor.explain import explain as explain_finding
from tunewright.doctor.explain import explained
from tunewright.prescribe.prescribe import all_rules, rule_named
from tunewright.prescribe.rule import describe
from tunewright.schema.errors import UsageError
from tunewright.schema.recipe_io import nearest


def explain(name: str) -> str:
    """The page of a code, a symptom, or a rule such as ``guide.decision_tree``.

    Raises UsageError with the nearest name when there is no such thing.
    """
    rule = rule_named(name)
    if rule is not None:
        return describe(rule)
    _refuse_no_rule(name)
    return explain_finding(name)


def explain_parts(name: str) -> dict[str, Any]:
    """The same as the ``explain`` JSON: the parts of a finding's page, or of a rule. Raises UsageError."""
    rule = rule_named(name)
    if rule is None:
        _refuse_no_rule(name)
        return explained(name)
    says = {"rule": rule.name, "family": rule.family, "says": rule.says, "as_a_rule": rule.generalises}
    return {**says, "before": rule.before, "after": rule.after, "source": rule.source}


def _refuse_no_rule(name: str) -> None:
    """A rule's name has a point in it, a symptom's has none."""
    if "." in name:
        close = nearest(name, [rule.name for rule in all_rules()])
        meant = f", did you mean {close!r}?" if close else ""
        hint = f"tunewright explain {close or 'guide.decision_tree'}"
        raise UsageError(f"{name!r}: no such rule{meant}", hint=hint)
