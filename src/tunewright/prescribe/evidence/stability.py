"""Runs whose updates were too large or too small, short of a blow-up."""

from __future__ import annotations

import numpy as np

from tunewright.prescribe.case import Case
from tunewright.prescribe.evidence.area import decay_to_lowest, ended_above_lowest, never_decays
from tunewright.prescribe.evidence.gentler import clipped_at_all, more_warmup
from tunewright.prescribe.evidence.probed import WARMUP_SHARE, rate_is_not_it
from tunewright.prescribe.evidence.usual import back_to_usual, more_rows_a_step
from tunewright.prescribe.fit import least_gain
from tunewright.prescribe.rule import Move, Rule, Rung
from tunewright.prescribe.sources import DECOUPLED, G3
from tunewright.prescribe.symptoms import (
    STUCK,
    UNSTABLE,
    blow_up,
    rate_far_above,
    rate_far_below,
    spikes_before,
)
from tunewright.prescribe.values import show
from tunewright.schema.finding import Finding

SHRINKS = 1e-2
"""LR x weight decay: the share of every weight that one step takes away; 0.01 leaves 37 % after 100 steps."""


def _oscillation(case: Case) -> tuple[Rung, ...]:
    if blow_up(case) is not None:
        return ()
    # one spike is normal, but not under a learning rate that nobody would have planned
    finding = case.first("oscillation", "spike") if rate_far_above(case) else case.first("oscillation")
    if finding is None:
        return ()
    says = f"the loss oscillates ({finding.why})" if finding.symptom == "oscillation" else finding.why
    if rate_far_above(case):
        return (*more_rows_a_step(case, says), *back_to_usual(case, says, *clipped_at_all(case)))
    return (
        *_one_bad_batch(case, finding, says),
        *more_rows_a_step(case, says),
        *_let_it_decay(case, says),
        Rung("LR / 2", says, (Move("learning_rate", 0.5),)),
        Rung("larger effective batch", says, (Move("gradient_accumulation_steps", 2.0),)),
        Rung("longer warm-up", says, more_warmup(case)),
    )


def _one_bad_batch(case: Case, finding: Finding, says: str) -> tuple[Rung, ...]:
    """A single rise of validation right after a spike of the training loss is that batch's doing."""
    spikes = spikes_before(case, finding.evidence.get("peak_step"))
    if not spikes:
        return ()
    at = f"step {spikes[0]}" if len(spikes) == 1 else f"steps {spikes[0]} to {spikes[-1]}"
    why = f"{says}, after the training loss had jumped at {at}: look at the rows of those batches"
    return (Rung("rows", why, (Move("data", why=why),)),)


def _let_it_decay(case: Case, says: str) -> tuple[Rung, ...]:
    """A rate that never comes down keeps the weights moving about: a decay to zero lets them settle, as long as was
    worth it where validation ended far above its lowest, farther than the swings themselves explain."""
    if never_decays(case) and ended_above_lowest(case) and _ended_above_swings(case):
        moves, where = decay_to_lowest(case)
        return (Rung("decay", f"{says}; {where}", moves),)
    if not never_decays(case) and not (case.has("lr_constant") and case.value("lr_scheduler_type") is None):
        return ()
    steady = f"{says}; the learning rate never comes down"
    return (Rung("decay", steady, (Move("lr_scheduler_type", to="cosine"),)),)


def _ended_above_swings(case: Case) -> bool:
    low, last = case.lowest_eval, case.last_eval
    least = None if case.curve is None else least_gain(case.curve)
    return low is not None and last is not None and last - low[1] > (least or 0.0)


OSCILLATION = Rule(
    name="evidence.oscillation",
    family="stability",
    source=G3,
    says="oscillation: lower the LR; if that was tried, a larger effective batch, then a longer warm-up",
    generalises=(
        "an LR far above the planned one goes back to that; one rise of validation right after a spike of the training "
        "loss sends to the rows of that batch; a step of fewer than four rows gets eight, with the planned LR if its "
        "own was far above what so few rows would have had; an LR that never comes down gets a cosine, with the cut of "
        "an over-fit run where validation ended 10 % above its lowest; then LR / 2, accumulation x2, warm-up x2, one "
        "at a time so that the next curve tells which one helped"
    ),
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
    if rate_is_not_it(case):
        return (Rung("checks", f"{says}; a probe has ruled the learning rate out", looks),)
    if rate_far_below(case) or rate_far_above(case):
        slow = rate_far_below(case) and case.has("warmup_too_long")
        return back_to_usual(case, says, *looks, *((Move("warmup_ratio", to=WARMUP_SHARE),) if slow else ()))
    if case.times_usual("learning_rate") is not None:
        near = f"{says}; the LR is where such runs start, so it is not the cause: look first"
        return (Rung("checks", near, looks), Rung("LR x 3", near, (Move("learning_rate", 3.0),)))
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
    generalises=(
        "x10, the upper end of the guide's 5-10; with zero gradients, or an LR that is where such runs start, only the "
        "checks; an LR far from there goes there; then rank x4"
    ),
    ask=_stuck,
    before={"learning_rate": 1e-5},
    after={"learning_rate": 1e-4},
)


def _weight_decay(case: Case) -> tuple[Rung, ...]:
    rate, decay = case.number("learning_rate"), case.number("weight_decay")
    finding = case.first(*STUCK, "underfit", *UNSTABLE)
    if finding is None or not rate or not decay or rate * decay < SHRINKS:
        return ()
    if rate_far_above(case) and case.usual["learning_rate"] * decay < SHRINKS:
        return ()  # at the planned rate this decay is harmless: the rate is the cause
    says = (
        f"LR {show(rate)} x weight decay {show(decay)} takes {rate * decay:.1%} of every weight at each step "
        f"({finding.symptom.replace('_', ' ')}: {finding.why})"
    )
    return (Rung("no weight decay", says, (Move("weight_decay", to=0.0),)),)


WEIGHT_DECAY = Rule(
    name="evidence.weight_decay",
    family="stability",
    source=DECOUPLED,
    says="AdamW takes LR x weight decay off every weight at each step, whatever the gradient says",
    generalises=f"where that is {show(SHRINKS)} or more and the run learns badly, weight decay goes to 0",
    ask=_weight_decay,
    before={"weight_decay": 30.0},
    after={"weight_decay": 0.0},
)
