"""How long the run is and what happens on the way: epochs, steps, warm-up, schedule, evaluations, early stopping."""

from __future__ import annotations

import math

from tunewright.planner.cost import explain_steps, rows_with_replay
from tunewright.planner.draft import Draft
from tunewright.planner.guide_ranges import guides_on, guides_on_warmup
from tunewright.planner.sources import (
    ARITHMETIC,
    FIXED_DURATIONS,
    MASTERING,
    MEASURED_SMALL,
    REPEATED_DATA,
    STRAIGHT_TO_ZERO,
    TUNEWRIGHT,
)
from tunewright.planner.steps import evaluation_every, steps_per_epoch, total_steps
from tunewright.planner.words import counted, figure, sentence
from tunewright.schema.plan import PlannedValue

EPOCHS_BY_ROWS = ((1_000, 8.0), (10_000, 3.0), (100_000, 2.0))
"""Rows below which this many epochs are the start; 1 from 100,000 rows on."""
WANTED_ROWS_SEEN = 5_000
"""Rows a small run sees in all, repeats counted: the guide's own sum, 625 rows x 8 epochs."""
MOST_EPOCHS = 30.0
PT_TOKENS_FOR_ONE_EPOCH = 10_000_000
WARMUP_SHARE = 0.05
MOST_WARMUP_STEPS = 50
PATIENCE_EPOCHS = 5
MOST_EVALUATION_SHARE = 0.25
LEAST_EVALUATIONS = 4
"""However costly: fewer cannot show where the validation loss turns."""
FORWARD_COST = 0.5
"""Cost of a forward token beside a trained one: LoRA's backward pass costs about as much as its forward pass."""


def epochs_for(rows: int) -> float:
    """Epochs to start with: 8 below 1,000 rows, 3 below 10,000, 2 below 100,000, else 1.

    Sets so small that 8 epochs would not show 5,000 rows get more, up to 30.

    >>> epochs_for(625), epochs_for(5000), epochs_for(180), epochs_for(200_000)
    (8.0, 3.0, 28.0, 1.0)
    """
    epochs = next((epochs for below, epochs in EPOCHS_BY_ROWS if rows < below), 1.0)
    if rows >= EPOCHS_BY_ROWS[0][0]:
        return epochs
    return min(MOST_EPOCHS, max(epochs, float(math.ceil(WANTED_ROWS_SEEN / rows))))


def num_train_epochs(draft: Draft) -> PlannedValue:
    data = draft.facts.data
    if draft["stage"] == "pt":
        value = 1.0 if data.tokens > PT_TOKENS_FOR_ONE_EPOCH else 2.0
        because = f"{data.tokens:,} tokens of raw text: one pass over much text, two over little, to avoid forgetting."
    else:
        value = epochs_for(data.rows)
        because = (
            f"{counted(data.rows, 'row')}: small sets of facts need more passes (8 below 1,000 rows, 3 below 10,000, "
            f"2 below 100,000, then 1; up to {MOST_EPOCHS:g} to see {WANTED_ROWS_SEEN:,} rows in all)."
        )
    why = sentence(
        because,
        "A start: early stopping bounds it, and tune or next corrects it from the validation loss.",
        "Not used: max_steps rules." if draft.get("max_steps") else "",
        guides_on("num_train_epochs", value, stage=draft["stage"], rows=data.rows),
    )
    return PlannedValue("num_train_epochs", value, why, f"{REPEATED_DATA}; {TUNEWRIGHT}")


def max_steps(draft: Draft) -> PlannedValue:
    recipe = draft.recipe()
    rows = rows_with_replay(draft.facts.data.rows, recipe)
    why = f"None: the epochs decide. {explain_steps(rows, recipe)}"
    return PlannedValue("max_steps", None, why, ARITHMETIC)


def _steps(draft: Draft) -> tuple[int, int]:
    recipe = draft.recipe()
    rows = rows_with_replay(draft.facts.data.rows, recipe)
    per_epoch = steps_per_epoch(rows, recipe.per_device_train_batch_size, recipe.gradient_accumulation_steps)
    return total_steps(recipe, rows), per_epoch


def warmup_for(total: int) -> int:
    """5 % of all steps, at least 1, at most 50: an absolute count, so that a longer run starts the same way.

    >>> warmup_for(320), warmup_for(10_000), warmup_for(3)
    (16, 50, 1)
    """
    return max(1, min(MOST_WARMUP_STEPS, math.ceil(round(WARMUP_SHARE * total, 9))))


def warmup_steps(draft: Draft) -> PlannedValue:
    ratio = draft.get("warmup_ratio")
    if ratio is not None:
        why = f"None: warmup_ratio = {figure(ratio)} is set, and a recipe has one kind of warm-up."
        return PlannedValue("warmup_steps", None, why, TUNEWRIGHT)
    total, _ = _steps(draft)
    value = warmup_for(total)
    why = sentence(
        f"5 % of {total:,} steps, at most {MOST_WARMUP_STEPS}: {value} ({100 * value / max(1, total):.1f} %). "
        "LoRA starts at zero and needs little; a count instead of a share keeps longer runs comparable.",
        guides_on_warmup(value, total, stage=draft["stage"]),
    )
    return PlannedValue("warmup_steps", value, why, TUNEWRIGHT)


def warmup_ratio(draft: Draft) -> PlannedValue:
    steps = draft.get("warmup_steps")
    if steps is None:
        total, _ = _steps(draft)
        value = round(warmup_for(total) / max(1, total), 4)
        why = sentence(
            f"You left warmup_steps empty: {warmup_for(total)} of {total:,} steps as a share.",
            guides_on_warmup(warmup_for(total), total, stage=draft["stage"]),
        )
        return PlannedValue("warmup_ratio", value, why, TUNEWRIGHT)
    why = f"None: warmup_steps = {steps} is set, and a recipe has one kind of warm-up."
    return PlannedValue("warmup_ratio", None, why, TUNEWRIGHT)


def lr_scheduler_type(draft: Draft) -> PlannedValue:
    why = sentence(
        "Warm-up, then a straight line to zero: decaying to zero beats stopping at a tenth, and on small models linear "
        "at about twice the learning rate beat warm-up-stable-decay by 1-2 %.",
        guides_on("lr_scheduler_type", "linear", stage=draft["stage"]),
    )
    return PlannedValue("lr_scheduler_type", "linear", why, f"{STRAIGHT_TO_ZERO}; {MEASURED_SMALL}")


def decay_share(draft: Draft) -> PlannedValue:
    used = draft["lr_scheduler_type"] == "wsd"
    why = f"{'' if used else 'Used by the schedule wsd only: '}the last 20 % decay, 10-20 % matched cosine."
    return PlannedValue("decay_share", 0.2, why, FIXED_DURATIONS)


def eval_steps(draft: Draft) -> PlannedValue:
    """The cadence of :mod:`tunewright.planner.steps`, thinned out where the validation rows would cost too much."""
    total, per_epoch = _steps(draft)
    val_rows = draft.facts.data.val_rows
    usual = evaluation_every(draft.recipe(), total, per_epoch)
    trained = total * draft.recipe().effective_batch_size
    affordable = max(LEAST_EVALUATIONS, MOST_EVALUATION_SHARE * trained / max(1.0, val_rows * FORWARD_COST))
    value = max(usual, math.ceil(total / affordable))
    evaluations = math.ceil(total / value) + 1
    share = evaluations * val_rows * FORWARD_COST / max(1, trained)
    why = sentence(
        f"Every {value} steps: {evaluations} evaluations of {counted(val_rows, 'row')} (step 0 and the last always), "
        f"about {100 * share:.0f} % on top of training.",
        "Fewer than usual, or the evaluations would cost more than a quarter of the training." if value > usual else "",
        guides_on("eval_steps", value),
    )
    return PlannedValue("eval_steps", value, why, TUNEWRIGHT)


def save_steps(draft: Draft) -> PlannedValue:
    why = (
        "None: a checkpoint at every evaluation, and the best one is never deleted. "
        "The guides: 100 (The Training Process), with the best loaded at the end."
    )
    return PlannedValue("save_steps", None, why, TUNEWRIGHT)


def patience_for(eval_steps: int, per_epoch: int) -> int:
    """Five epochs without gain, counted in evaluations: 5 x steps per epoch / eval_steps, at least 1.

    >>> patience_for(eval_steps=32, per_epoch=40), patience_for(eval_steps=40, per_epoch=40)
    (6, 5)
    """
    return max(1, round(PATIENCE_EPOCHS * per_epoch / eval_steps))


def early_stopping_patience(draft: Draft) -> PlannedValue:
    """On whenever there are validation rows; 0 (off) without them."""
    if not draft.facts.data.val_rows:
        why = "0 (off): without validation rows there is nothing to stop by."
        return PlannedValue("early_stopping_patience", 0, why, f"{MASTERING}, 3.4")
    total, per_epoch = _steps(draft)
    # evaluations set by hand as "sized to the run" are counted as the engine will count them
    every = draft["eval_steps"] or evaluation_every(draft.recipe(), total, per_epoch)
    value = patience_for(every, per_epoch)
    evaluations = math.ceil(total / every)
    why = sentence(
        f"Stop after {PATIENCE_EPOCHS} epochs without gain: {PATIENCE_EPOCHS} x {per_epoch / every:.2f} evaluations "
        f"per epoch ({per_epoch} steps / {every}) = {value} evaluations of {evaluations}.",
        "That is longer than this run, so it cannot fire; the best evaluation is kept anyway." * (value >= evaluations),
        "The guide: a high bound (10 epochs) and a stop after 5 that do not improve.",
    )
    return PlannedValue("early_stopping_patience", value, why, f"{MASTERING}, 3.4")
