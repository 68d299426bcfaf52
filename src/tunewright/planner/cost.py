"""What a recipe will take: steps with their rounding rule, tokens, memory, and a guess at the seconds."""

from __future__ import annotations

import math

from tunewright.planner.adapter import memory_of
from tunewright.planner.draft import Draft
from tunewright.planner.sources import UNDERSTANDING, title
from tunewright.planner.steps import evaluation_every, steps_per_epoch, total_steps
from tunewright.planner.words import counted, figure
from tunewright.schema.facts import MachineFacts, ModelFacts
from tunewright.schema.plan import Cost
from tunewright.schema.recipe import Recipe

GUIDE_ROUNDING = (
    f"{title(UNDERSTANDING)} rounds in three ways: 625 / 8 x 8 = 625 without rounding, 79 x 8 = 632 and "
    "79 x 5 = 395 rounded up as here, 103 x 5 = 515 rounded down (825 / 8 = 103.1, here 104 x 5 = 520)."
)
FLOPS_FULL, FLOPS_ADAPTER, FLOPS_FORWARD = 6.0, 4.0, 2.0
"""Per parameter and token: forward 2, gradient of the activations 2, gradient of the weights 2 (full only)."""
SMALL_STEP_S = {"cuda": 4e-4, "cpu": 3e-4}
"""Time a layer takes however few rows it gets, per micro-batch: launching the work rather than doing it."""


def rows_with_replay(rows: int, recipe: Recipe) -> int:
    """Training rows with the replay rows that make up their share of the whole, to the nearest row.

    >>> rows_with_replay(600, Recipe(model="m", data="d", replay={"share": 0.25}))
    800
    """
    if recipe.replay is None:
        return rows
    share = recipe.replay.share
    return rows + round(share / (1.0 - share) * rows)


def explain_steps(rows: int, recipe: Recipe) -> str:
    """The exact step count in words, the rule of rounding, and where the guide's own sums differ."""
    batch, accumulation = recipe.per_device_train_batch_size, recipe.gradient_accumulation_steps
    per_epoch = steps_per_epoch(rows, batch, accumulation)
    replayed = " with replay" if recipe.replay else ""
    return (
        f"ceil({counted(rows, 'row')}{replayed} / ({batch} x {accumulation})) = {counted(per_epoch, 'step')} an epoch, "
        f"x {figure(recipe.num_train_epochs)} epochs = {counted(total_steps(recipe, rows), 'step')}. "
        f"The rule: round up once per epoch, because the last, smaller batch is a step too. {GUIDE_ROUNDING}"
    )


def throughput_flops(machine: MachineFacts, precision: str) -> float | None:
    """A guess at the floating-point operations per second training reaches; None for an unknown device.

    Good to a factor of three: a GPU is told apart by its memory only. CPU: 4e10 a core.
    """
    if machine.device == "cpu":
        return 4e10 * max(1, machine.cores)
    if machine.device != "cuda":
        return None
    reached = 1.5e14 if machine.memory_GiB >= 70 else 5e13 if machine.memory_GiB >= 20 else 2e13
    return reached if precision in ("bf16", "fp16") else reached / 4


def predicted_cost(draft: Draft) -> Cost:
    """Steps and tokens exactly, peaks and seconds estimated or measured; no seconds where nothing is known."""
    recipe, facts = draft.recipe(), draft.facts
    rows = rows_with_replay(facts.data.rows, recipe)
    batch, accumulation = recipe.per_device_train_batch_size, recipe.gradient_accumulation_steps
    per_epoch = steps_per_epoch(rows, batch, accumulation)
    total = total_steps(recipe, rows)
    tokens = round(facts.data.tokens * (rows / facts.data.rows) * (total / per_epoch))
    memory = memory_of(draft, method=recipe.method, gradient_checkpointing=recipe.gradient_checkpointing)
    # a batch never holds more rows than there are
    largest = min(batch, rows)
    return Cost(
        steps=total,
        steps_per_epoch=per_epoch,
        tokens=tokens,
        train_peak_GiB=memory.train.at(largest),
        eval_peak_GiB=memory.eval.at(min(recipe.per_device_eval_batch_size, facts.data.val_rows)),
        seconds=_seconds(draft, recipe, total, per_epoch, tokens),
    )


def _seconds(draft: Draft, recipe: Recipe, total: int, per_epoch: int, tokens: int) -> float | None:
    facts = draft.facts
    evaluations = math.ceil(total / evaluation_every(recipe, total, per_epoch)) + 1
    eval_tokens = evaluations * facts.data.val_rows * facts.data.tokens / facts.data.rows
    if facts.pace is not None:
        return tokens / facts.pace.train_tokens_per_s + eval_tokens / facts.pace.eval_tokens_per_s
    flops = throughput_flops(facts.machine, recipe.precision)
    if flops is None:
        return None
    trained = FLOPS_FULL if recipe.method == "full" else FLOPS_ADAPTER
    recomputed = FLOPS_FORWARD if recipe.gradient_checkpointing else 0.0
    work = facts.model.parameters * ((trained + recomputed) * tokens + FLOPS_FORWARD * eval_tokens)
    return work / flops + launching_s(recipe, total, facts.model, facts.machine)


def launching_s(recipe: Recipe, steps: int, model: ModelFacts, machine: MachineFacts) -> float:
    """Seconds that ``steps`` optimizer steps take however few rows they have: launching the work, not doing it."""
    trained = FLOPS_FULL if recipe.method == "full" else FLOPS_ADAPTER
    batches = steps * recipe.gradient_accumulation_steps
    return batches * model.layers * SMALL_STEP_S.get(machine.device, 0.0) * trained
