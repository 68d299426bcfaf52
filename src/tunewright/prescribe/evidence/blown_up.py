"""Runs whose numbers broke or whose loss ended above its start."""

from __future__ import annotations

from tunewright.prescribe.case import Case
from tunewright.prescribe.evidence.gentler import TIGHT_CLIP, clip_to, clipped_at_all, more_warmup
from tunewright.prescribe.evidence.usual import back_to_usual
from tunewright.prescribe.rule import Move, Rule, Rung
from tunewright.prescribe.sources import MIXED_PRECISION, PLAYBOOK
from tunewright.prescribe.symptoms import (
    blew_up_early,
    blow_up,
    broke_out_of_calm,
    came_to_nothing,
    rate_as_planned,
    rate_far_above,
    rose_before,
)
from tunewright.schema.finding import Finding

LOOK_AS_WELL = "the LR need not be all of it: look at the rows as well"
"""Said of a rate that is changed whatever the rows show."""


def _numbers(case: Case) -> tuple[Rung, ...]:
    finding, half = blow_up(case), case.value("precision") == "fp16"
    if finding is None:
        return ()
    if broke_out_of_calm(case, finding):
        when = "the loss was calm until it was no number any more"
    elif half and rate_as_planned(case) and not rose_before(case, finding):
        when = "the loss is no number any more at a learning rate no higher than where such runs start"
    else:
        return ()
    says = f"{when} ({finding.why}), so the learning rate is not the cause"
    look = Move("data", why=f"{says}: look at the rows of step {finding.steps[0]}")
    return (
        Rung("precision", f"{says}; fp16 overflows above 65,504", (Move("precision", to="bf16"),) if half else ()),
        Rung("precision", f"{says}; where bf16 is not to be had", (Move("precision", to="fp32"),) if half else ()),
        Rung("tighter clipping", says, (look, *clip_to(case, TIGHT_CLIP))),
    )


NUMBERS = Rule(
    name="evidence.numbers",
    family="stability",
    source=MIXED_PRECISION,
    says="values beyond the range of fp16 become infinite; a wider format has no such values",
    generalises=(
        "NaN out of a calm curve, or in fp16 at an LR no higher than the planned one and no rise: another precision "
        "where it is fp16, else clipping 0.3 and a look at the rows"
    ),
    ask=_numbers,
    before={"precision": "fp16"},
    after={"precision": "bf16"},
)


def _look_at_rows(says: str) -> tuple[Move, ...]:
    return (
        Move("data", why=f"{says}: read a sample of the answers"),
        Move("template", why=f"{says}: render a row and compare it with what the model was trained on"),
    )


def _no_number(finding: Finding | None) -> bool:
    return finding is not None and finding.symptom == "non_finite"


def _blow_up(case: Case) -> tuple[Rung, ...]:
    finding, nothing = blow_up(case), came_to_nothing(case)
    if finding is None and not nothing:
        return ()
    early = finding is not None and blew_up_early(case, finding) and not case.usual
    says = nothing if finding is None else f"{finding.symptom.replace('_', ' ')} ({finding.why})"
    where = "within the first 5 % of the steps: LR / 10" if early else "after the first 5 % of the steps: LR / 3"
    where = "LR / 3" if finding is None else where
    warmup = more_warmup(case, f"{says}: a longer way up to the peak too, as the first steps are the riskiest")
    if rate_as_planned(case):
        says, where = f"{says}; the LR is no higher than where such runs start: look at the rows first", "else LR / 3"
        third = Rung("LR / 3", f"{says}, {where}", (*_look_at_rows(says), Move("learning_rate", 1 / 3), *warmup))
    else:
        third = Rung("LR / 3", f"{says}, {where}", (Move("learning_rate", 1 / 3), *warmup))
    known = case.times_usual("learning_rate") is not None
    if known and not rate_as_planned(case) and not rate_far_above(case) and not _no_number(finding):
        return (*back_to_usual(case, f"{says}; {LOOK_AS_WELL}", *_look_at_rows(says)), third)
    tenth = Rung("LR / 10", f"{says}, {where}", (Move("learning_rate", 0.1), *warmup))
    tighter = Rung("tighter clipping", says, clip_to(case, TIGHT_CLIP))
    if rate_far_above(case):
        no_warmup = warmup if case.knows_warmup and not case.number(case.warmup_key) else ()
        return (*back_to_usual(case, says, *no_warmup, *clipped_at_all(case)), third, tenth, tighter)
    return (tenth, tighter) if early else (third, tenth, tighter)


BLOW_UP = Rule(
    name="evidence.blow_up",
    family="stability",
    source=PLAYBOOK,
    says="non-finite, diverged or worse than the start: lower the LR, longer warm-up, then tighter clipping",
    generalises=(
        "an LR far above the one such a run is planned with goes back to that; one that is no higher is not the likely "
        "cause, so rows and template are looked at first; one in between goes back, and they are looked at as well, "
        "unless numbers broke; the same for a run that was a tenth worse than the untouched model on the way and ended "
        "less than 3 % better; where the plan is not known, LR / 10 when it began in the first 5 % of the steps, else "
        "/ 3; warm-up x2 up to 20 %, 5 % if none"
    ),
    ask=_blow_up,
    before={"learning_rate": 3e-3, "warmup_ratio": 0.05},
    after={"learning_rate": 1e-3, "warmup_ratio": 0.1},
)
