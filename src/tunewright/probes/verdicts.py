"""What the probes of data say: findings with their evidence, or why nothing can be said.

Numbers behind the limits: nine data sets of different kinds on nine small bases, several draws each, sound and with
the fault put in (2026). "Told apart" is three standard errors throughout: once in 740 draws by chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tunewright.doctor.detectors.base import figure, found
from tunewright.probes.conditional_gain import FEWEST_ROWS, Gain
from tunewright.probes.hard_rows import SHOWN, HardRows
from tunewright.probes.misfits import Misfits
from tunewright.probes.template_gap import Gap
from tunewright.probes.val_shift import Shift
from tunewright.schema.finding import Abstention, Finding

Z = 3.0
UNRELATED_NATS = 0.4
"""Upper bound of the gain below which prompts hardly matter: sound sets that a base can read gained 0.5 to 2.3."""
USES_PROMPTS_NATS = 0.1
"""Lower bound of the gain of the base's own answers: below it the model reads no prompt, and there is no witness."""
FEW_ANSWERS = 0.3
"""Share of different answers below which rows name classes, which a base has yet to learn."""
TOLD_ELSEWHERE = 0.2
"""Share of rows whose answers name what others ask about, from which they are held to be those rows' answers."""
TEMPLATE_NATS = 0.1
FORM_NATS = 0.3
"""The model's own template, and a form whose marks it merely knows, which must be better by more."""
SHIFT = 0.08
SHIFT_Z = 4.0
"""Sound splits were up to 5 % apart (1.5 standard errors), rows of another kind from 9 %."""
BEHIND_SHARE = 0.03
"""Sound sets had up to 1.3 % of rows that far above the others; of 15 % exchanged answers half to all lie there."""

FEWEST_MISFITS, MISFIT_SHARE = 3, 0.03
BEYOND_SHARE = 0.01
"""Rows that are nearer to answers of other rows than to right ones, and among them rows that fit another prompt better
than their own: of these sound sets have none, and half of all wrong rows are among them."""
LIKELY = 0.05
"""Chance of so few of those among them, half being expected, below which it is not wrong answers that lie there."""
FEWEST_UNSEEN = 30
APART = 1.2
"""Standard deviations from the limit: sets whose answers a model can learn lie at 1.6 to 2.9, others below 0.5."""


def judge_labels(
    gain: Gain,
    shared_z: float,
    told_elsewhere: float,
    different_answers: float,
    control: Callable[[], Gain | None],
    steps: tuple[int, int] = (0, 0),
) -> Finding | Abstention | None:
    """Neither the model nor the words in common say that the answers belong to their prompts.

    An error where answers name what other rows ask about; else a warning, as facts that can only be learnt by heart
    look the same.

    gain: of the user's rows; shared_z, told_elsewhere: of their words; different_answers: over rows; control: the gain
    of the base's own answers, measured only where it is needed; None when it cannot be.
    """
    if gain.rows < FEWEST_ROWS:
        return Abstention("labels_unrelated", f"{gain.rows} rows with a prompt, at least {FEWEST_ROWS} are needed")
    if gain.nats > Z * gain.error or shared_z > Z or gain.high > UNRELATED_NATS:
        return None
    if different_answers < FEW_ANSWERS:
        because = "few different answers: whether they fit shows once the model has learnt them"
        return Abstention("labels_unrelated", because)
    own = control()
    if own is None or own.low < USES_PROMPTS_NATS:
        return Abstention("labels_unrelated", "the model's own answers hardly depend on its prompts")
    evidence = {
        "gain": gain.nats,
        "error": gain.error,
        "rows": gain.rows,
        "gain_of_own_answers": own.nats,
        "shared_words_z": shared_z,
        "told_elsewhere": told_elsewhere,
    }
    why = (
        f"the answers are as likely behind other rows' prompts as behind their own (gain {gain.nats:.3f} \u00b1 "
        f"{gain.error:.3f} nats per token, {own.nats:.2f} for the model's own answers), and share no more words "
        "with them"
    )
    causes = ("a column was shuffled or shifted by a row", "the wrong columns were joined", "answers drawn at random")
    if told_elsewhere >= TOLD_ELSEWHERE:
        why = f"{why}; {told_elsewhere:.0%} of them name what another row asks about"
        return found("labels_unrelated", steps, why, evidence, causes)
    by_heart = "facts that can only be learnt by heart: each should be asked in several wordings"
    return found("labels_unrelated", steps, why, evidence, (*causes, by_heart), severity="warning")


def judge_template(gap: Gap | None) -> Finding | None:
    """Another template fits the base clearly better than the one in use."""
    if gap is None:
        return None
    least = TEMPLATE_NATS if gap.is_own else FORM_NATS
    if gap.nats < least or gap.nats < Z * gap.error:
        return None
    evidence = {"gap": gap.nats, "error": gap.error, "loss": gap.loss, "other": gap.other, "rows": gap.rows}
    why = (
        f"answers are {gap.nats:.2f} nats per token less likely under the template in use than under {gap.other}: "
        "training would teach the form first, and the model is asked in another one later"
    )
    causes = ("a template of another model", "a template file that lacks the model's own marks")
    return found("template_mismatch", (0, 0), why, evidence, causes)


def judge_shift(shift: Shift) -> Finding | None:
    """Before training, validation rows are clearly harder or easier than training rows."""
    if not (abs(shift.z) > SHIFT_Z and abs(shift.relative) > SHIFT):
        return None
    harder = "harder" if shift.relative > 0 else "easier"
    evidence = {"train": shift.train, "val": shift.val, "relative": shift.relative, "z": shift.z}
    why = (
        f"before training the validation rows are {abs(shift.relative):.0%} {harder} for the base than the training "
        f"rows ({shift.val:.3f} against {shift.train:.3f} nats per token): the rows are of another kind"
    )
    causes = ("validation rows of another source or kind than the training rows",)
    return found("val_shift", (0, 0), why, evidence, causes)


def judge_rows(hard: HardRows, last_step: int) -> Finding | None:
    """After training, a share of the rows lies far above all others."""
    if not hard.rows or len(hard.behind) < max(3.0, BEHIND_SHARE * hard.rows):
        return None
    share = len(hard.behind) / hard.rows
    evidence = {
        "share": share,
        "rows": hard.rows,
        "typical": hard.typical,
        "limit": hard.limit,
        "highest": [[one.row, figure(one.after)] for one in hard.highest],
    }
    why = (
        f"{len(hard.behind)} of {hard.rows} training rows ({share:.0%}) end far above the others (more than "
        f"{hard.limit:.2f} nats per token, {hard.typical:.2f} is typical): wrong answers, or rows of another kind"
    )
    causes = ("wrong or exchanged answers in these rows", "rows that are much harder than the rest")
    return found("noisy_labels", (0, last_step), why, evidence, causes, rows=hard.behind)


def judge_misfits(
    found_rows: Misfits, part: str, last_step: int, *, numbered: bool = True
) -> Finding | Abstention | None:
    """Some answers of rows that were not trained on fit their own prompts no better than others'.

    part: what the rows are called; numbered: their numbers are lines of the data file.
    """
    unknown = _unknown_because(found_rows, part)
    if unknown:
        return Abstention("noisy_labels", unknown)
    if not _enough_misfits(found_rows):
        return None
    evidence = {
        "share": found_rows.share,
        "rows": found_rows.measured,
        "part": part,
        "beyond": found_rows.beyond,
        "apart": found_rows.apart,
        "typical": found_rows.typical,
        "limit": found_rows.limit,
        "worst": list(found_rows.rows[:SHOWN]),
    }
    why = (
        f"{len(found_rows.rows)} of {found_rows.measured} {part} rows ({found_rows.share:.0%}) fit their own prompts "
        f"no better than other rows' (loss above {found_rows.limit:.2f} of that behind another prompt, "
        f"{found_rows.typical:.2f} is typical): wrong or exchanged answers"
    )
    causes = ("wrong or exchanged answers in these rows", "rows of another kind than the rest")
    rows = tuple(sorted(found_rows.rows)) if numbered else ()
    return found("noisy_labels", (0, last_step), why, evidence, causes, rows=rows)


def _unknown_because(found_rows: Misfits, part: str) -> str:
    """Why nothing can be said of these rows; empty when it can."""
    if found_rows.measured < FEWEST_UNSEEN:
        return f"{found_rows.measured} {part} rows with a prompt, at least {FEWEST_UNSEEN} are needed"
    if not found_rows.apart >= APART:  # NaN: not known
        return "which answer belongs to a prompt is not learnt well enough to tell wrong ones from hard ones"
    return ""


def _enough_misfits(found_rows: Misfits) -> bool:
    """Whether they are more than a sound set has, and as many of them beyond as wrong answers would bring."""
    measured, misfits = found_rows.measured, len(found_rows.rows)
    few = misfits < max(FEWEST_MISFITS, MISFIT_SHARE * measured)
    if few or found_rows.beyond < max(1, BEYOND_SHARE * measured):
        return False
    return _at_most(found_rows.beyond, misfits) >= LIKELY


def _at_most(hits: int, draws: int) -> float:
    """Probability of at most so many heads in so many throws of a coin.

    >>> _at_most(1, 2), round(_at_most(1, 8), 4)
    (0.75, 0.0352)
    """
    return float(sum(math.comb(draws, count) for count in range(min(hits, draws) + 1)) / 2**draws)
