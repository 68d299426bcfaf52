"""Every symptom's stable code and usual severity, in the order of causes before consequences.

TW1xx the optimisation broke, TW2xx nothing is learned, TW3xx fit, TW4xx data, TW5xx schedule, TW6xx the log
itself, TW7xx skills. A code never changes its meaning and is never used again.
"""

from __future__ import annotations

from dataclasses import dataclass

from tunewright.schema.finding import Severity


@dataclass(frozen=True)
class Code:
    code: str
    symptom: str
    severity: Severity


_LISTED = (
    # what makes every other reading meaningless
    Code("TW602", "not_an_nll", "info"),
    Code("TW101", "non_finite", "error"),
    Code("TW102", "all_masked", "error"),
    Code("TW201", "weights_not_updating", "error"),
    # faults of the data, found by probes: before any knob
    Code("TW401", "template_mismatch", "error"),
    Code("TW402", "labels_unrelated", "error"),
    Code("TW403", "leak", "error"),
    Code("TW404", "rows_masked", "warning"),
    Code("TW405", "truncated", "warning"),
    Code("TW406", "noisy_labels", "warning"),
    Code("TW407", "duplicates", "warning"),
    Code("TW408", "val_shift", "warning"),
    Code("TW409", "no_stop_token", "warning"),
    # the optimisation broke
    Code("TW103", "worse_than_start", "error"),
    Code("TW104", "divergence", "error"),
    Code("TW105", "oscillation", "warning"),
    Code("TW106", "spike", "warning"),
    # the schedule
    Code("TW501", "lr_zero_tail", "warning"),
    Code("TW502", "warmup_too_long", "warning"),
    Code("TW503", "lr_jump", "warning"),
    # nothing, too little or too much was learned
    Code("TW202", "no_learning", "warning"),
    Code("TW302", "overfit", "warning"),
    Code("TW701", "forgetting", "warning"),
    Code("TW601", "scale_mismatch", "warning"),
    Code("TW301", "underfit", "info"),
    Code("TW203", "plateau", "info"),
    Code("TW303", "memorising", "info"),
    Code("TW304", "gap", "info"),
    Code("TW504", "lr_constant", "info"),
    # what the log cannot tell
    Code("TW603", "too_few_points", "info"),
    Code("TW604", "prefix_log", "info"),
)

CODES: dict[str, Code] = {entry.symptom: entry for entry in _LISTED}
"""By symptom; the order is the order of a diagnosis."""

RANK: dict[str, int] = {entry.symptom: rank for rank, entry in enumerate(_LISTED)}


def symptom_of(name: str) -> str | None:
    """The symptom behind a code or a symptom's name, in any case; None for neither.

    >>> symptom_of("tw302"), symptom_of("Overfit"), symptom_of("x")
    ('overfit', 'overfit', None)
    """
    wanted = name.strip().lower().replace("-", "_")
    return next((e.symptom for e in _LISTED if wanted in (e.code.lower(), e.symptom)), None)
