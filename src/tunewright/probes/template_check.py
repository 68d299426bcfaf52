"""Do the answers belong to their prompts, and is the right part of each row trained on? Nothing is trained.

What the check of the data knows already comes first; then what the base was asked about the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunewright.data.faults import Fault
from tunewright.probes.conditional_gain import Gain
from tunewright.schema.finding import Abstention, Finding
from tunewright.schema.probe import ProbeAnswer

ABOUT_MASKS = (
    *("empty_answer", "no_supervised_token", "wrong_roles", "template_mismatch", "truncated", "no_stop_token"),
    "doubled_bos",
)
"""Faults of reading the rows that a probe of template and mapping answers for."""
QUESTION = "Do the answers belong to their prompts, and is the right part of each row trained on?"


def check_masks(faults: Sequence[Fault]) -> ProbeAnswer | None:
    """The answer where the check of the data already has it: template, roles or masks are wrong. None otherwise."""
    found = [fault for fault in faults if fault.fault in ABOUT_MASKS and fault.severity == "error"]
    if not found:
        return None
    named = "; ".join(f"{fault.fault} ({fault.count or 'all'} rows): {fault.why}" for fault in found)
    evidence = {"faults": [fault.fault for fault in found], "rows": [list(fault.rows) for fault in found]}
    return ProbeAnswer("template", QUESTION, "fault", f"No: {named}", evidence)


def template_answer(
    gain: Gain | None,
    findings: Sequence[Finding],
    abstained: Sequence[Abstention],
    *,
    tokens: int = 0,
    seconds: float = 0.0,
) -> ProbeAnswer:
    """What the untouched base said of the rows, as one answer.

    "fault" when it found the labels unrelated or the template another model's; "fine" when it finds answers likelier
    after their own prompts; else "unclear", with the reason.
    """
    faults = [finding for finding in findings if finding.severity == "error"]
    evidence: dict[str, Any] = (
        {} if gain is None else {"gain": gain.nats, "low": gain.low, "high": gain.high, "rows": gain.rows}
    )
    if faults:
        said = "; ".join(f"{finding.symptom.replace('_', ' ')}: {finding.why}" for finding in faults)
        evidence |= {"faults": [finding.symptom for finding in faults]}
        return ProbeAnswer("template", QUESTION, "fault", f"No: {said}", evidence, tokens, seconds)
    if gain is not None and gain.low > 0:
        figures = f"{gain.nats:.3f} nats per token ({gain.low:.3f} to {gain.high:.3f}, {gain.rows} rows)"
        said = f"Yes: the base finds an answer likelier after its own prompt than after another row's, by {figures}"
        return ProbeAnswer("template", QUESTION, "fine", said, evidence, tokens, seconds)
    because = "; ".join(one.because for one in abstained) or "no answer is clearly likelier after its own prompt"
    said = f"Not to be told ({because}): read some rows"
    return ProbeAnswer("template", QUESTION, "unclear", said, evidence, tokens, seconds)
