"""How many steps a run has, and what happens at which: the arithmetic that the plan promises and the engine keeps.

A step is one optimizer update, counted from 0; "after step n" means after n updates. The last, smaller batch of
an epoch is kept, so a step never sees rows of two epochs.
"""

from __future__ import annotations

import math

from tunewright.schema.recipe import Recipe

USUAL_EVALUATIONS = 10
"""Evaluations of a run of few epochs: enough to place the turn of the curve, cheap enough not to be felt."""

MOST_EVALUATIONS = 24
"""However many epochs: past this the evaluations cost more than they tell."""


def steps_per_epoch(rows: int, batch: int, accumulation: int = 1) -> int:
    """Optimizer steps in one pass over ``rows``: ceil(rows / (batch x accumulation)); 0 for no rows.

    >>> steps_per_epoch(625, 8, 1), steps_per_epoch(625, 8, 4)
    (79, 20)
    """
    return math.ceil(rows / (batch * accumulation))


def total_steps(recipe: Recipe, rows: int) -> int:
    """Optimizer steps of the whole run on ``rows`` training rows: max_steps when given, else epochs' worth.

    >>> total_steps(Recipe(model="tiny", data="rows.jsonl", num_train_epochs=2.5), rows=80)
    25
    """
    if recipe.max_steps is not None:
        return recipe.max_steps
    per_epoch = steps_per_epoch(rows, recipe.per_device_train_batch_size, recipe.gradient_accumulation_steps)
    return _ceil(recipe.num_train_epochs * per_epoch)


def warmup_steps(recipe: Recipe, total: int) -> int:
    """Steps over which the learning rate rises; 0 when the recipe names no warm-up. A ratio is rounded up.

    A warm-up longer than the run is passed on as it is: the diagnosis names it, nothing here hides it.

    >>> warmup_steps(Recipe(model="tiny", data="rows.jsonl", warmup_ratio=0.1), total=25)
    3
    """
    if recipe.warmup_steps is not None:
        return recipe.warmup_steps
    return _ceil((recipe.warmup_ratio or 0.0) * total)


def evaluation_every(recipe: Recipe, total: int, per_epoch: int | None = None) -> int:
    """Steps between two evaluations: eval_steps when given, else sized to the run.

    Sized: 10 evaluations, or one per epoch when there are more epochs than that, but at most 24.
    ``per_epoch``: steps per epoch; only needed to tell the epochs of a run whose length is max_steps.

    >>> evaluation_every(Recipe(model="tiny", data="rows.jsonl", num_train_epochs=3.0), total=240)
    24
    """
    if recipe.eval_steps is not None:
        return recipe.eval_steps
    epochs = recipe.num_train_epochs if recipe.max_steps is None else total / per_epoch if per_epoch else 1.0
    evaluations = min(MOST_EVALUATIONS, max(USUAL_EVALUATIONS, _ceil(epochs)))
    return max(1, math.ceil(total / evaluations))


def evaluation_steps(recipe: Recipe, total: int, per_epoch: int | None = None) -> frozenset[int]:
    """The steps after which the validation rows are looked at; step 0 and the last one always.

    >>> sorted(evaluation_steps(Recipe(model="tiny", data="rows.jsonl", eval_steps=4), total=10))
    [0, 4, 8, 10]
    """
    every = evaluation_every(recipe, total, per_epoch)
    return frozenset(range(0, total + 1, every)) | {0, total}


def save_steps(recipe: Recipe, total: int, per_epoch: int | None = None) -> frozenset[int]:
    """The steps after which a checkpoint is written: every save_steps, else at every evaluation; the last always.

    There is nothing to save at step 0: a run killed before its first checkpoint begins again from there.
    """
    if recipe.save_steps is None:
        return evaluation_steps(recipe, total, per_epoch) - {0} | {total}
    return frozenset(range(recipe.save_steps, total + 1, recipe.save_steps)) | {total}


def _ceil(value: float) -> int:
    # 0.1 x 30 is 3.0000000000000004 in floating point and must not become 4 steps
    return math.ceil(round(value, 9))
