"""Runs whose updates were too large, too small, or wrongly scheduled."""

from __future__ import annotations

import numpy as np

from tunewright.prescribe.case import Case
from tunewright.prescribe.rule import Move, Rule, Rung
from tunewright.prescribe.sources import G2, G3, PLAYBOOK, TRAINER
from tunewright.prescribe.symptoms import STUCK, blew_up_early, blow_up
from tunewright.prescribe.values import show

WARMUP_SHARE, MOST_WARMUP_SHARE = 0.05, 0.2
TIGHT_CLIP = 0.3


def _more_warmup(case: Case) -> tuple[Move, ...]:
    """Twice the warm-up up to a fifth of the run; 5 % where there is none; a factor where it is not known."""
    warmup = case.number(case.warmup_key)
    if warmup and (case.warmup_key == "warmup_steps" or warmup < MOST_WARMUP_SHARE):
        limit = 2.0 if case.warmup_key == "warmup_steps" else min(2.0, MOST_WARMUP_SHARE / warmup)
        return (Move("warmup", limit),)
    if warmup:
        return ()
    return (Move("warmup_ratio", to=WARMUP_SHARE),) if case.knows_warmup else (Move("warmup", 2.0),)


def _blow_up(case: Case) -> tuple[Rung, ...]:
    finding = blow_up(case)
    if finding is None:
        return ()
    early = blew_up_early(case, finding)
    says = f"{finding.symptom.replace('_', ' ')} ({finding.why})"
    where = "within the first 5 % of the steps: LR / 10" if early else "after the first 5 % of the steps: LR / 3"
    warmup = _more_warmup(case)
    third = Rung("LR / 3", f"{says}, {where}", (Move("learning_rate", 1 / 3), *warmup))
    tenth = Rung("LR / 10", f"{says}, {where}", (Move("learning_rate", 0.1), *warmup))
    clip = case.number("max_grad_norm")
    tighter = Rung("tighter clipping", says, () if clip == TIGHT_CLIP else (Move("max_grad_norm", to=TIGHT_CLIP),))
    return (tenth, tighter) if early else (third, tenth, tighter)


BLOW_UP = Rule(
    name="evidence.blow_up",
    family="stability",
    source=PLAYBOOK,
    says="non-finite, diverged or worse than the start: lower the LR, longer warm-up, then tighter clipping",
    generalises="LR / 10 when it began in the first 5 % of the steps, else / 3; warm-up x2 up to 20 %, 5 % if none",
    ask=_blow_up,
    before={"learning_rate": 3e-3, "warmup_ratio": 0.05},
    after={"learning_rate": 1e-3, "warmup_ratio": 0.1},
)


def _oscillation(case: Case) -> tuple[Rung, ...]:
    finding = case.first("oscillation")
    if finding is None or blow_up(case) is not None:
        return ()
    says = f"the loss oscillates ({finding.why})"
    return (
        Rung("LR / 2", says, (Move("learning_rate", 0.5),)),
        Rung("larger effective batch", says, (Move("gradient_accumulation_steps", 2.0),)),
        Rung("longer warm-up", says, _more_warmup(case)),
    )


OSCILLATION = Rule(
    name="evidence.oscillation",
    family="stability",
    source=G3,
    says="oscillation: lower the LR; if that was tried, a larger effective batch, then a longer warm-up",
    generalises="LR / 2, accumulation x2, warm-up x2, one at a time so that the next curve tells which one helped",
    ask=_oscillation,
    before={"learning_rate": 1e-4},
    after={"learning_rate": 5e-5},
)


def _no_gradient(case: Case) -> bool:
    """Whether gradients were logged and all of them are exactly zero."""
    norms = () if case.curve is None else case.curve.grad_norm.values
    return len(norms) > 0 and bool(np.all(np.asarray(norms) == 0))


def _stuck(case: Case) -> tuple[Rung, ...]:
    finding = case.first(*STUCK)
    if finding is None or blow_up(case) is not None:
        return ()
    says = f"{finding.symptom.replace('_', ' ')} ({finding.why})"
    looks = (
        Move("method", why=f"{says}: first check that there are trainable parameters and a learning rate above 0"),
        Move("template", why=f"{says}: first check the chat template and the column mapping"),
    )
    if _no_gradient(case):
        return (Rung("checks", f"{says}; every gradient is zero, so no learning rate would help", looks),)
    probe = f"{says}; a short probe at ten times the LR tells a too small LR from a fault"
    return (
        Rung("LR x 10 probe", says, (*looks, Move("learning_rate", 10.0, why=probe))),
        Rung("rank x 4", says, (Move("lora_rank", 4.0),)),
    )


STUCK_RULE = Rule(
    name="evidence.stuck",
    family="stability",
    source=G3,
    says="no learning: check what is trainable, the template and the mapping, then probe a much higher LR",
    generalises="x10, the upper end of the guide's 5-10; with zero gradients only the checks; then rank x4",
    ask=_stuck,
    before={"learning_rate": 1e-5},
    after={"learning_rate": 1e-4},
)


def _schedule(case: Case) -> tuple[Rung, ...]:
    too_long, tail, jump = case.first("warmup_too_long"), case.first("lr_zero_tail"), case.first("lr_jump")
    if too_long is not None:
        says = f"the warm-up takes too much of the run ({too_long.why})"
        return (Rung("shorter warm-up", says, (Move("warmup_ratio", to=WARMUP_SHARE),)),)
    if tail is not None:
        says = f"the learning rate reaches zero before the end ({tail.why}): let the schedule span the whole run"
        return (Rung("schedule", says, (Move("lr_scheduler_type", why=says),)),)
    if jump is not None:
        says = f"the learning rate jumps ({jump.why}): resume with the scheduler's state"
        return (Rung("schedule", says, (Move("lr_scheduler_type", why=says),)),)
    return ()


SCHEDULE = Rule(
    name="evidence.schedule",
    family="stability",
    source=f"{G2}; {TRAINER}",
    says="warm-up of 3-10 % of the steps; a schedule that ends with the run",
    generalises=f"a warm-up that takes too long becomes {show(WARMUP_SHARE)} of the steps; the rest are looks",
    ask=_schedule,
    before={"warmup_ratio": 0.5},
    after={"warmup_ratio": WARMUP_SHARE},
)
