"""TW6xx: the log itself."""

from __future__ import annotations

from tunewright.doctor.pages import STUDY, Page

PAGES = {
    "scale_mismatch": Page(
        what="Training and validation loss are logged on different scales.",
        how="Validation / training over the first quarter of the run, validation interpolated: below 0.45, while the "
        "training loss falls along with validation or the ratio stays the same.",
        lookalikes="Wrong answers in the training data raise the training loss too, but then it does not fall along.",
        do="Update the trainer; divide the training loss by the accumulation steps when reading it.",
        sources=("Gradient accumulation fix in transformers 4.46 (2024-10)", STUDY),
        thresholds=(
            "SCALE_POINTS",
            "SCALE_RATIO",
            "LEARNED",
            "SCALE_SPREAD",
        ),
    ),
    "not_an_nll": Page(
        what="The loss is no negative log-likelihood: a preference or reinforcement run (DPO, GRPO, PPO).",
        how="Any negative loss, or columns of rewards.",
        lookalikes="None: a likelihood of tokens cannot exceed 1.",
        do="Look at reward, KL and response length in that trainer's own tools.",
        sources=(STUDY,),
    ),
    "too_few_points": Page(
        what="The log is too short for any verdict.",
        how="Fewer than 10 training points and fewer than 4 evaluations.",
        lookalikes="A short run that was logged at every step can be judged.",
        do="logging_steps 1 for runs below 500 steps, and an evaluation at step 0 (eval_on_start).",
        sources=(STUDY,),
        thresholds=(
            "FEWEST_LOSSES",
            "FEWEST_EVALS",
        ),
    ),
    "prefix_log": Page(
        what="The log ends before the planned end.",
        how="Last step below 98 % of the planned steps.",
        lookalikes="Still running, stopped early on purpose, or the copy inside a checkpoint.",
        do="Read the log of the whole run if there is one; end-of-run verdicts are withheld here.",
        sources=("transformers trainer_state.json: global_step and max_steps",),
    ),
}
