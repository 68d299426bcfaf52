"""TW1xx: the optimisation broke."""

from __future__ import annotations

from tunewright.doctor.pages import STUDY, Page
from tunewright.schema.sources import G0, G1, G2, G3, PLAYBOOK

PAGES = {
    "non_finite": Page(
        what="A logged loss is NaN or infinite, or is a NaN that the trainer printed as 0.0.",
        how="Any non-finite training or validation loss; two or more exact zeros after losses above 0.002 (one, when "
        "the gradient norm or validation there is NaN); gradient norms that are not finite to "
        "the end of a coarse log; or more than half of all gradient norms not finite.",
        lookalikes="A memorised run may round to 0.0: such zeros follow losses below 0.002. A few early NaN gradients "
        "in fp16 are skipped steps and normal. Zeros with a zero gradient from the first step: all_masked.",
        do="Start again from the base model, not from the checkpoint. Learning rate / 3 to / 10, warm-up 3-10 %, bf16 "
        "instead of fp16, and look at the rows of the step that is named.",
        sources=("transformers 5.23.0 trainer.py: logging_nan_inf_filter", STUDY),
        thresholds=(
            "FEWEST_ZEROS",
            "MASKED_SHARE",
            "ISOLATED_ZEROS",
            "BROKEN_END",
            "FEWEST_LOSSES",
            "SKIPPED_STEPS",
        ),
    ),
    "all_masked": Page(
        what="No token is trained on: every label is masked, so the loss is 0 (or NaN) and there is no gradient.",
        how="At least 90 % of the points, the first included, are exactly 0.0 or NaN and every logged gradient is 0.",
        lookalikes="Broken weights (non_finite) start after normal losses and have NaN gradients.",
        do="tunewright check DATA --show-mask 3: the answers are cut off by max_length, or the response marker or "
        "template does not match.",
        sources=("Signatures measured with transformers 5.23.0", STUDY),
        thresholds=("FEWEST_ZEROS", "MASKED_SHARE", "ROUNDED_ZERO"),
    ),
    "worse_than_start": Page(
        what="The run ended worse than the untouched model.",
        how="ln(last evaluation / evaluation at step 0) above 5 % and 4 standard errors; without evaluations, the "
        "closing training losses above the very first logged one by 10 %, be it a step's or the mean of the first few.",
        lookalikes="A curve that falls from 5.0 to 3.1 looks healthy when the untouched model was at 2.4: means over "
        "10 steps hide the jump. With a falling training loss it is a consequence of overfitting.",
        do="Learning rate / 10 when the jump came in the first 5 % of the run, / 3 later; warm-up 3-10 %.",
        sources=(STUDY, PLAYBOOK),
        thresholds=(
            "WORSE_EVAL",
            "WORSE_Z",
            "LEAST_NATS",
            "WORSE_TRAIN",
            "UNIFORM_OUTPUT",
        ),
    ),
    "divergence": Page(
        what="The training loss fell and then rose for good, or jumped at the start and never made it good.",
        how="Closing median against the lowest block median: above 20 %, 6 standard errors (3 where validation surely "
        "rose by 20 % too) and a fifth of the progress, at most 3 crossings. Or an evaluation at 1.5 times step 0 "
        "with less than 10 % gained in the end.",
        lookalikes="A spike comes back; data in a fixed order moves the training loss and not validation (then there "
        "is no verdict); many crossings are oscillation.",
        do="Learning rate / 3 (late) or / 10 (at once), longer warm-up, max_grad_norm 1.0 -> 0.3, bf16.",
        sources=(PLAYBOOK, STUDY, G3),
        thresholds=(
            "BLOWN_UP",
            "BLOWN_UP_GAIN",
            "DIVERGED",
            "DIVERGED_Z",
            "DETECTABLE_Z",
            "OVERFIT_RISES",
            "DIVERGED_LOST",
            "SMALL_LOSS",
            "DIVERGED_CROSSINGS",
            "WORSE_EVAL",
        ),
    ),
    "spike": Page(
        what="The training loss jumped suddenly. One that comes back is information; occasional spikes are normal.",
        how="A point above the level of the 50 points before by 7 noise scales (log-loss, trend taken off) and by "
        "30 %; in a log of few points one that stands 60 % above both its neighbours. It stays when "
        "the level after is 10 % higher and the end of the log is too. Batches' rows are named when logged.",
        lookalikes="Batches that simply differ (batch size 1, mixed tasks) jump all the time: no verdict then. "
        "A mean over k steps divides a spike by k.",
        do="Look at the named rows. If it stays: learning rate / 2, max_grad_norm 0.3, restart before it.",
        sources=(
            f"{G0}: occasional spikes are normal",
            f"{G2}: possibly hit anomalous data",
            "OLMo 2, arXiv 2501.00656",
        ),
        thresholds=(
            "SPIKE_SHARE",
            "SPIKE_WINDOW",
            "SPIKE_FACTOR",
            "SPIKE_Z",
            "SPIKE_ALONE",
            "SPIKE_STAYS",
            "SPIKE_BLIND",
        ),
    ),
    "oscillation": Page(
        what="The loss swings slowly up and down around its trend: the step size is at the edge of stability.",
        how="Residuals of a robust line in ln(step), epoch steps removed: von Neumann ratio below 1, slow amplitude "
        "above 10 %, little net movement, three swings. Or three swings of 10 % "
        "in the validation loss, or one rise of 20 % (5 % above step 0) that comes back; or a training loss that first "
        "rose 20 % above its beginning (50 % where validation was not measured) and came back.",
        lookalikes="Batch noise: white noise changes the sign of its difference two times in three. Data in order of "
        "source moves only the training loss.",
        do="Learning rate / 2 (1e-4 -> 5e-5), accumulation 8 -> 16, warm-up ratio 0.1 -> 0.2.",
        sources=(f"{G3}, 2.1", f"{G1}: fluctuates wildly", STUDY),
        thresholds=(
            "SMALL_LOSS",
            "SLOW_ETA",
            "SLOW_AMPLITUDE",
            "SLOW_EFFICIENCY",
            "SWINGS",
            "SWING",
            "WORSE_EVAL",
            "HUMP",
            "HUMP_Z",
            "START_STEPS",
            "HUMP_UNSEEN",
            "DIVERGED_Z",
            "OVERFIT_RISE",
        ),
    ),
}
