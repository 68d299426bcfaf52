"""TW3xx and TW7xx: too little, too much, and what was lost."""

from __future__ import annotations

from tunewright.doctor.pages import STUDY, Page
from tunewright.schema.sources import G2, G3, LORA_WITHOUT_REGRET, PRECHELT

PAGES = {
    "underfit": Page(
        what="The run ended while it was still learning.",
        how="Validation is lowest at the end and fell 1.5 % or more over the last third, and L = a + b ln t predicts "
        "2 % or more from another epoch; or the descent per unit of learning rate never flattened.",
        lookalikes="A decaying learning rate lowers the loss a little at the end of every run.",
        do="More epochs first, then learning rate (5e-5 -> 2e-4), then rank 4 -> 8 and alpha 8 -> 16.",
        sources=(f"{G3}, 2.2", LORA_WITHOUT_REGRET, STUDY),
        thresholds=(
            "FEWEST_EVALS",
            "UNDERFIT_GAIN",
            "DETECTABLE_Z",
            "UNDERFIT_DROP",
            "EVAL_NOISE_UNKNOWN",
            "STARVED",
            "UNDERFIT_STARVED_GAIN",
            "UNDERFIT_TRAIN_DROP",
            "UNDERFIT_TRAIN_SHARE",
        ),
    ),
    "overfit": Page(
        what="Validation loss rises while the training loss keeps falling.",
        how="GL = last / lowest evaluation - 1: above 3 % after taking off 2-3 standard errors, with two rises since "
        "the minimum (one is enough above 10 %), and the training loss did not rise.",
        lookalikes="A creep within noise; early stopping right after the minimum; a divergence (training rises too). "
        "A higher validation loss is not always a worse model: look at the exam.",
        do="Epochs down to the best one, then learning rate / 2, rank and alpha / 2, dropout 0.05-0.1, more data. "
        "best/ already holds the weights of the minimum.",
        sources=(f"{G2}: overfitting", f"{G3}, 2.3", PRECHELT, "LIMA (2023)"),
        thresholds=(
            "OVERFIT_CLEAR",
            "LEAST_NATS",
            "OVERFIT_RISE",
            "OVERFIT_RISES",
            "MANY_EVALS",
            "EVAL_NOISE_TWO_RISES",
            "EVAL_NOISE_UNKNOWN",
            "FEWEST_EVALS",
        ),
    ),
    "memorising": Page(
        what="Rows seen before are known by heart.",
        how="The training loss drops in a step where an epoch begins (level after against level before, less the "
        "trend: above 15 % and 4 standard errors); or it falls by a third or more after validation stopped falling, to "
        "below half of validation.",
        lookalikes="Nothing else makes a step exactly there, but data sorted within the epoch may.",
        do="Nothing as long as validation falls. Otherwise fewer epochs or a lower learning rate.",
        sources=("Can LLMs learn from a single example? (fast.ai, 2023)", STUDY),
        thresholds=(
            "MEMORISED_STEP",
            "MEMORISED_Z",
            "APART_NEAR",
            "APART_EVALS",
            "APART_FALL",
            "APART_Z",
            "APART_RATIO",
        ),
    ),
    "gap": Page(
        what="Validation loss well above training loss.",
        how="Last evaluation above 1.3 times the training loss around it.",
        lookalikes="Normal after the first epoch, and with validation rows that are simply harder.",
        do="Nothing by itself; watch whether validation still falls.",
        sources=(f"{G3}, 1.2: a gap above 0.5 is abnormal", STUDY),
        thresholds=("GAP_RATIO",),
    ),
    "forgetting": Page(
        what="What the base model could do is being lost.",
        how="Loss on the base's own answers and a general text, minus the same at step 0: above 0.1 nats per token at "
        "the end or at the best step.",
        lookalikes="The loss on the task cannot show it: in one study the run that forgot most had the best curve.",
        do="Mix general rows (train --replay general), lower the learning rate, fewer epochs, LoRA instead of full.",
        sources=(f"{G2}: catastrophic forgetting", "RL's Razor (2025)", "arXiv 2401.05605", STUDY),
        thresholds=("FORGETTING_NATS",),
    ),
}
