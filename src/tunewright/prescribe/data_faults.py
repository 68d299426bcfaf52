"""What to do about each fault of the data: steps for a person, never a knob.

Research behind it: a wrong template, leaked rows or masked answers barely show in the loss, and any knob turned
against them tunes the run to the fault.
"""

from __future__ import annotations

from tunewright.prescribe.case import Case
from tunewright.prescribe.rule import Move
from tunewright.schema.finding import Finding

# symptom -> (recipe key to look at, what to do there)
STEPS: dict[str, tuple[str, str]] = {
    "all_masked": (
        "loss_on",
        "no token is trained on: check the format, loss_on, and whether max_length cuts the answers off, with "
        "`tunewright check --show-mask`",
    ),
    "template_mismatch": ("template", "render a row with the model's own chat template and train with that one"),
    "labels_unrelated": ("data", "answers do not belong to their questions: check the column mapping"),
    "leak": ("data", "take the validation questions out of the training rows (`tunewright check --fix`)"),
    "rows_masked": ("data", "some rows have no token to learn from: check roles, and prompts longer than max_length"),
    "truncated": ("max_length", "rows are cut: raise max_length to the longest row, or shorten the rows"),
    "no_stop_token": ("template", "answers must end with the end-of-turn token, and it must be trained on"),
    "duplicates": ("data", "remove the repeated rows (`tunewright check --fix`)"),
    "noisy_labels": ("data", "read a sample of answers: many look wrong or contradict each other"),
    "val_shift": ("val", "the validation rows differ from the training rows: hold out rows of the same kind"),
    "scale_mismatch": (
        "gradient_accumulation_steps",
        "the logged training loss is a multiple of the evaluation loss: divide the log, or update the trainer",
    ),
}


def data_moves(case: Case) -> tuple[Move, ...]:
    """One step per data fault found, in the doctor's order; a spike that stays or returns counts as one."""
    return tuple(_step(finding) for finding in case.diagnosis.findings if is_data_fault(finding))


def is_data_fault(finding: Finding) -> bool:
    lasting_spike = finding.symptom == "spike" and finding.severity != "info"
    return finding.symptom in STEPS or lasting_spike


def _step(finding: Finding) -> Move:
    key, what = STEPS.get(finding.symptom, ("data", "look at the rows of the batch where the loss jumps"))
    rows = f" (rows {_some(finding.rows)})" if finding.rows else ""
    return Move(key, why=f"{finding.symptom}: {what}{rows}. {finding.why}".strip())


def _some(rows: tuple[int, ...], limit: int = 12) -> str:
    shown = ", ".join(str(row) for row in rows[:limit])
    return shown + (f" and {len(rows) - limit} more" if len(rows) > limit else "")
