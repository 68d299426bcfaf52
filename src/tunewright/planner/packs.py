"""Cells of a sweep on one frozen base: which of them may share it, and how many adapters at once memory admits.

Cells share a pack when the base, the rows and the batch shape are the same; everything else (rate, schedule, rank,
alpha, layers, dropout, epochs, seed of the adapter) is a slot's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tunewright.planner.adapter import number_format
from tunewright.planner.memory import Load, budget_GiB, estimated, load_length, slot_state_GiB, supervised_share
from tunewright.schema.facts import DataFacts, MachineFacts, ModelFacts
from tunewright.schema.plan import Cost
from tunewright.schema.recipe import Recipe

BASE_KEYS = ("model", "method", "precision", "gradient_checkpointing", "optim")
ROW_KEYS = ("data", "val", "val_size", "template", "stage", "loss_on", "max_length", "packing")
SHAPE_KEYS = ("per_device_train_batch_size", "gradient_accumulation_steps", "per_device_eval_batch_size")
OUTPUT_LAYERS = ("lm_head", "embed_out", "output_layer")
"""The usual names of the layer that makes the logits."""


@dataclass(frozen=True)
class Cell:
    """One run of a sweep as packing sees it: its resolved recipe, its predicted cost, and the facts behind it."""

    recipe: Recipe
    cost: Cost
    data: DataFacts
    model: ModelFacts


def pack_peak_GiB(cells: Sequence[Cell], slots: int, machine: MachineFacts) -> float:
    """The most memory ``slots`` of these cells take together, training or evaluating, GiB.

    peak = fixed + (slots - 1) x adapter state + slots x rows x memory per row, at the largest rank of the pack
    (smaller ones are padded to it) and with the longest row in every place. An estimate, as for a single run.
    """
    recipe, data, model = cells[0].recipe, cells[0].data, cells[0].model
    load = Load(
        method=recipe.method,
        precision=number_format(recipe.precision, machine),
        optim=recipe.optim,
        rank=max(cell.recipe.lora_rank for cell in cells),
        length=load_length(data, recipe.max_length),
        supervised_share=supervised_share(data),
        gradient_checkpointing=recipe.gradient_checkpointing,
        averages=any(cell.recipe.average_share for cell in cells),
    )
    memory = estimated(model, machine, load)
    more_GiB = (slots - 1) * slot_state_GiB(model, load)
    train = memory.train.at(slots * min(recipe.per_device_train_batch_size, data.rows))
    evaluating = memory.eval.at(slots * min(recipe.per_device_eval_batch_size, data.val_rows))
    return more_GiB + max(train, evaluating)


def slots_that_fit(cells: Sequence[Cell], machine: MachineFacts) -> int:
    """How many of these cells memory admits at once, at most all of them; 0 when not even one fits."""
    room_GiB = budget_GiB(machine)
    fitting, beyond = 0, len(cells) + 1  # memory only grows with the slots: bisect
    while beyond - fitting > 1:
        middle = (fitting + beyond) // 2
        if pack_peak_GiB(cells, middle, machine) <= room_GiB:
            fitting = middle
        else:
            beyond = middle
    return fitting


def shared_values(recipe: Recipe) -> dict[str, Any]:
    """The values a cell has in common with its pack. The seed only where it decides which rows are held out."""
    keys = [*BASE_KEYS, *ROW_KEYS, *SHAPE_KEYS]
    if recipe.val is None and recipe.val_size:
        keys.append("seed")
    return {key: getattr(recipe, key) for key in keys}


def alone_because(recipe: Recipe) -> str:
    """Why a cell cannot share a base with others; empty when it can."""
    if recipe.method == "full":
        return "full fine-tuning changes the base itself"
    if recipe.modules_to_save:
        return "modules_to_save trains whole layers of the base"
    if recipe.init_adapter is not None:
        return "init_adapter brings layers and a rank of its own"
    targets = (recipe.lora_target,) if isinstance(recipe.lora_target, str) else recipe.lora_target
    if any(name.rpartition(".")[2] in OUTPUT_LAYERS for name in targets):
        return "an adapter on the output layer works on every token of the vocabulary"
    return ""
