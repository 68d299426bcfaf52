"""TW2xx: nothing is learned."""

from __future__ import annotations

from tunewright.doctor.pages import STUDY, Page
from tunewright.schema.sources import G0, G2, G3

PAGES = {
    "weights_not_updating": Page(
        what="The run goes on and the model does not change.",
        how="Validation loss equal to 1e-6 at every evaluation from the start; or the learning rate, or the gradient "
        "norm, is 0 at every log.",
        lookalikes="A learning rate 100 times too low still moves the fourth decimal: that is no_learning.",
        do="Look at the number of trainable parameters, at the learning-rate column, and, with gradient checkpointing, "
        "at enable_input_require_grads.",
        sources=("TrainCheck (OSDI 2025)", STUDY),
        thresholds=(
            "START_STEPS",
            "CONSTANT_EVAL",
            "FEWEST_LOSSES",
        ),
    ),
    "no_learning": Page(
        what="The loss does not fall beyond its noise.",
        how="Opening against closing level of the training loss: less than 5 % even with 2 standard errors added, or "
        "within noise while validation gained less than 1 % on step 0.",
        lookalikes="A base model that is good at the task improves by 3-8 % only. A log that starts after the early "
        "fall shows none: then there is no verdict.",
        do="Check template and column mapping; learning rate x 5-10 as a probe of 50-100 steps; then rank x 4; a "
        "sanity run on 100-200 rows for 3-5 epochs.",
        sources=(f"{G3}, 2.4", f"{G2}: loss not decreasing", STUDY),
        thresholds=(
            "FEWEST_STEPS",
            "DETECTABLE_Z",
            "LEARNED_EVAL",
            "LEARNED_SE",
            "NOISIEST",
            "LEARNED",
            "START_STEPS",
            "FEWEST_EVALS",
            "EVAL_NOISE_UNKNOWN",
        ),
    ),
    "plateau": Page(
        what="Nine tenths of the fall came early and the second half brought nothing while the learning rate was high.",
        how="Share of the run at which 90 % of the fall was reached below 0.4; the halves of the rest differ by less "
        "than 2 standard errors; learning rate above half of its peak.",
        lookalikes="Every healthy run flattens, and a decaying learning rate flattens any curve.",
        do="Let the learning rate decay; if the level is not good enough: other data, or a larger rank.",
        sources=(f"{G0}: consistent plateau means adjust learning rate", STUDY),
        thresholds=(
            "LEARNED",
            "PLATEAU_T90",
            "PLATEAU_Z",
        ),
    ),
}
