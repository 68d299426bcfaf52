"""What runs showed and what follows, in lines of plain text."""

from __future__ import annotations

from tunewright.prescribe.rule import describe_changes
from tunewright.schema.facts import RunSummary
from tunewright.schema.prescription import Change
from tunewright.tuner.step import Step


def describe(step: Step, best: Step) -> str:
    """One line on what a run showed and where it stands."""
    standing = "best so far" if step is best else f"{best.outcome.name} stays the best"
    return f"{step.outcome.name}: {verdict(step)}; {standing}"


def verdict(step: Step) -> str:
    """What a run showed: the health of its curve, what was learnt, what was forgotten, what was found."""
    summary, diagnosis = step.outcome.summary, step.outcome.diagnosis
    parts = [f"curve {diagnosis.health}"]
    if summary.eval_loss is not None:
        parts.append(f"eval loss {_fall(summary)}")
    if summary.forgetting is not None:
        parts.append(f"forgetting {summary.forgetting:+.2f} nats per token")
    named = [finding.symptom for finding in diagnosis.findings if finding.severity != "info"]
    parts += [f"found {', '.join(named)}"] if named else []
    return "; ".join(parts)


def _fall(summary: RunSummary) -> str:
    if summary.base_eval_loss is None:
        return f"{summary.eval_loss:.4f}"
    return f"{summary.base_eval_loss:.3f} -> {summary.eval_loss:.4f}"


def announce(changes: tuple[Change, ...], why: str) -> str:
    """One line on what the next run changes and why."""
    return f"next: {describe_changes(changes)}; {why}"
