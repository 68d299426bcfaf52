"""Rules on the learning rate and the number of epochs that read the shape of the curve rather than its level."""

from __future__ import annotations

import math

from tunewright.prescribe.case import Case
from tunewright.prescribe.guide.bands import SWEET_HIGH
from tunewright.prescribe.rule import Move, Rule, Rung
from tunewright.prescribe.sources import G0, G1, G2
from tunewright.prescribe.symptoms import STUCK, UNSTABLE
from tunewright.prescribe.values import show

START_LR = 1e-4
LOWEST_LR = 1e-5


def _fluctuating(case: Case) -> tuple[Rung, ...]:
    finding = case.first("oscillation")
    if finding is None:
        return ()
    says = f"the loss fluctuates ({finding.why})"
    rate = case.number("learning_rate")
    if rate is None:
        return (Rung("learning rate", says, (Move("learning_rate", LOWEST_LR / START_LR),)),)
    if rate <= LOWEST_LR:
        return ()
    lowered = max(LOWEST_LR, rate * LOWEST_LR / START_LR)
    return (Rung("learning rate", says, (Move("learning_rate", lowered / rate),)),)


FLUCTUATING = Rule(
    name="guide.fluctuating",
    family="stability",
    source=G1,
    says="losses, above all validation, fluctuate wildly: lower the LR (e.g. from 1e-4 to 1e-5)",
    generalises="the example's factor of 10, but never below 1e-5",
    ask=_fluctuating,
    before={"learning_rate": 1e-4},
    after={"learning_rate": 1e-5},
)


def _smooth_slow(case: Case) -> tuple[Rung, ...]:
    finding = case.first("underfit")
    if finding is None or case.has(*UNSTABLE, "spike"):
        return ()
    return (Rung("learning rate", f"the curve is smooth and slow ({finding.why})", (Move("learning_rate", 1.5),)),)


SMOOTH_SLOW = Rule(
    name="guide.smooth_slow",
    family="stability",
    source=G1,
    says="the loss is extremely smooth and converges slowly: raise the LR slightly",
    generalises='"slightly" is x1.5, the low end of the +50-100 % that the first guide (2025-10) prints',
    ask=_smooth_slow,
    before={"learning_rate": 1e-4},
    after={"learning_rate": 1.5e-4},
)


def _start_lr(case: Case) -> tuple[Rung, ...]:
    rate = case.number("learning_rate")
    if rate is None or not case.has(*UNSTABLE, *STUCK):
        return ()
    far = abs(math.log10(rate / START_LR)) >= 1
    says = f"the LR {show(rate)} is a factor of ten or more from the guide's starting point 1e-4"
    return (Rung("learning rate", says, (Move("learning_rate", to=START_LR),)),) if far else ()


START = Rule(
    name="guide.start_lr",
    family="stability",
    source=G1,
    says="start at 1e-4",
    generalises="speaks only when the run is unstable or stuck and its LR is a factor of ten or more away",
    ask=_start_lr,
    before={"learning_rate": 1e-3},
    after={"learning_rate": 1e-4},
)


def _plateau(case: Case) -> tuple[Rung, ...]:
    loss = case.final_loss
    if not case.has("plateau") or loss is None or loss <= SWEET_HIGH:
        return ()
    says = f"the loss stays on a plateau at {show(loss)}, above the guide's 0.5"
    return (Rung("learning rate", says, (Move("learning_rate", 1.5),)),)


PLATEAU = Rule(
    name="guide.plateau",
    family="stability",
    source=G0,
    says="a consistent plateau means adjust the LR",
    generalises="upwards by x1.5 (the low end of the guide's +50-100 %), and only while the loss is above 0.5",
    ask=_plateau,
)


def _epochs_range(case: Case) -> tuple[Rung, ...]:
    epochs = case.epochs
    if epochs is None or epochs <= 5:
        return ()
    says = f"{show(epochs)} epochs are beyond the 5 that usually mean overfitting"
    return (Rung("epochs", says, (Move("duration", 5 / epochs),)),)


EPOCHS_RANGE = Rule(
    name="guide.epochs_range",
    family="duration",
    source=G2,
    says="1-3 epochs; beyond 5 usually means overfitting",
    generalises="back to the 5 epochs that the guide still allows",
    ask=_epochs_range,
    before={"num_train_epochs": 8.0},
    after={"num_train_epochs": 5.0},
)


def _decay_after_constant(case: Case) -> tuple[Rung, ...]:
    if not case.has("lr_constant"):
        return ()
    says = "the learning rate was constant: a baseline that shows where over-fitting begins"
    return (Rung("decay", says, (Move("lr_scheduler_type", to="cosine"),)),)


DECAY_AFTER_CONSTANT = Rule(
    name="guide.decay_after_constant",
    family="stability",
    source=G1,
    says="start with a constant LR, find the epoch where validation rises, then rerun with cosine or linear decay",
    generalises="cosine, the first of the two it names",
    ask=_decay_after_constant,
    before={"lr_scheduler_type": "constant"},
    after={"lr_scheduler_type": "cosine"},
)
