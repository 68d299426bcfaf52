"""What to do about each fault of the data: steps for a person, never a knob.

Research behind it: a wrong template, leaked rows or masked answers barely show in the loss, and any knob turned
against them tunes the run to the fault.
"""

from __future__ import annotations

import numpy as np

from tunewright.prescribe.case import Case
from tunewright.prescribe.rule import FAMILIES, Family, Move
from tunewright.prescribe.symptoms import of_validation_alone, rate_far_above
from tunewright.prescribe.values import is_number
from tunewright.schema.finding import Finding

NEAR_FACTOR = 0.25
"""Share by which a factor may miss the batches of a step and still be their number."""
UNLIKE = 2.0
"""Times the loss of the first steps, before anything was learned."""

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

JUMP_ROWS = ("data", "look at the rows of the batch where the loss jumps")
VALIDATION_ROWS = (
    "val",
    "look at the validation rows: some have no token to score, with an empty answer or one that max_length cuts off "
    "(`tunewright check` on that file with --show-mask); in fp16 evaluate in fp32",
)

# These two do not change what is learned: what the run itself asks for goes with them. Symptom -> families that may.
CAUTIONS: dict[str, tuple[Family, ...]] = {
    "scale_mismatch": FAMILIES,  # only the printed training loss is another
    "val_shift": ("regularisation",),  # over-fitting is rows learned by heart, whatever rows show it
}


def goes_with(case: Case, family: Family) -> bool:
    """Whether a change of that family may be made beside the looks that the data faults of this case ask for."""
    faults = data_faults(case)
    return bool(faults) and all(family in _leaves_open(finding) for finding in faults)


def clouds_only(case: Case) -> bool:
    """Whether the data faults of this case leave some change open that may be made beside the looks."""
    return any(goes_with(case, family) for family in FAMILIES)


def _leaves_open(finding: Finding) -> tuple[Family, ...]:
    """The families that a data fault does not touch: all of them for a spike that passed."""
    passed = finding.symptom == "spike" and finding.severity == "info"
    return FAMILIES if passed else CAUTIONS.get(finding.symptom, ())


def data_moves(case: Case) -> tuple[Move, ...]:
    """One step per data fault found, in the doctor's order; two where its cause lies in one of two places."""
    return tuple(move for finding in data_faults(case) for move in (_step(finding), *_or_the_answers(case, finding)))


def _or_the_answers(case: Case, finding: Finding) -> tuple[Move, ...]:
    """A look at the answers too, where the batches of a step are known and no sum over them makes such a factor: then
    rows that are trained on may be that much harder than those held out."""
    batches, factor = case.number("gradient_accumulation_steps"), finding.evidence.get("factor")
    if finding.symptom != "scale_mismatch" or not batches or not is_number(factor):
        return ()
    if max(factor / batches, batches / factor) <= 1 + NEAR_FACTOR:
        return ()
    summed = (
        f"a sum over the {batches:g} batches of a step would be {batches:g} times"
        if batches > 1
        else ("a step is one batch, so nothing was summed over several")
    )
    why = f"scale_mismatch: {finding.why}, and {summed}: read a sample of the training answers for wrong ones"
    return (Move("data", why=why),)


def data_faults(case: Case) -> tuple[Finding, ...]:
    """Findings that blame the data. Evaluations alone that are no numbers are their rows' doing. A spike is one when
    it stays or returns, or when no rows like the others can have made it; one that passes is normal."""
    return tuple(
        finding
        for finding in case.diagnosis.findings
        if finding.symptom in STEPS
        or of_validation_alone(finding)
        or (finding.symptom == "spike" and (finding.severity != "info" or _of_other_rows(case, finding)))
    )


def _of_other_rows(case: Case, spike: Finding) -> bool:
    """Whether the spike stands far above the loss before any training: rows on which the model is worse than untouched
    are not like the rest. A rate far above the planned one may do that too, and is then the first suspect."""
    if case.curve is None or rate_far_above(case):
        return False
    points = case.curve.loss.finite()
    inside = (points.steps >= spike.steps[0]) & (points.steps <= spike.steps[1])
    return bool(np.any(inside)) and float(points.values[inside].max()) > UNLIKE * float(points.values[:5].max())


def _step(finding: Finding) -> Move:
    key, what = VALIDATION_ROWS if of_validation_alone(finding) else STEPS.get(finding.symptom, JUMP_ROWS)
    rows = f" (rows {_some(finding.rows)})" if finding.rows else ""
    return Move(key, why=f"{finding.symptom}: {what}{rows}. {finding.why}".strip())


def _some(rows: tuple[int, ...], limit: int = 12) -> str:
    shown = ", ".join(str(row) for row in rows[:limit])
    return shown + (f" and {len(rows) - limit} more" if len(rows) > limit else "")
