"""TW5xx: the learning-rate schedule, read from the logged learning rates."""

from __future__ import annotations

from tunewright.doctor.pages import STUDY, Page
from tunewright.schema.sources import G2, G3

PAGES = {
    "lr_zero_tail": Page(
        what="The learning rate was 0 for the last part of the run, which taught nothing.",
        how="Below 1 % of the peak for more than the last 15 % of the steps, at two logged points or more.",
        lookalikes="Cosine is below 1 % for 6 % of a run, linear for 1 %.",
        do="Give the schedule the number of steps the run really has.",
        sources=(STUDY,),
        thresholds=(
            "FEWEST_RATES",
            "ZERO_LR",
            "ZERO_TAIL",
        ),
    ),
    "warmup_too_long": Page(
        what="The learning rate rose for most of the run.",
        how="It first came within 1 % of its peak after 40 % of a complete run, rising all the way.",
        lookalikes="The log of a checkpoint ends in the warm-up: there the verdict is withheld.",
        do="Warm-up 3-10 % of the steps, or 10-100 steps.",
        sources=(f"{G2}: warm-up 3-10 %", STUDY),
        thresholds=(
            "FEWEST_RATES",
            "LATE_PEAK",
            "SOONEST_PEAK",
        ),
    ),
    "lr_jump": Page(
        what="The learning rate jumped upwards in the middle of the run.",
        how="After a decay to 80 % of the peak or less it rises to 1.5 times the lowest since.",
        lookalikes="Cosine with restarts does this on purpose: it comes down to nearly 0 first and goes back to its "
        "peak at once, which is no finding.",
        do="Resume with the scheduler's state (the trainer's own resume does), or start the run again: the steps after "
        "the jump undid part of what the decay had settled.",
        sources=(STUDY,),
        thresholds=(
            "FEWEST_RATES",
            "JUMP_AFTER",
            "JUMP_FACTOR",
            "ZERO_LR",
            "RESTART_LOW",
            "RESTART_HIGH",
            "EPOCH_SLACK",
        ),
    ),
    "lr_constant": Page(
        what="The learning rate never came down.",
        how="Above half of its peak at the end of a complete run of more than one epoch.",
        lookalikes=(
            "A constant baseline run, made to find the best epoch, does this on purpose. One that keeps the mean of "
            "its weights (average_share) is not named: they are as settled as after a decay."
        ),
        do="Cosine or linear decay: about 1 % lower validation loss in the study.",
        sources=(f"{G3}, 3.1", STUDY),
        thresholds=("FEWEST_RATES",),
    ),
}
