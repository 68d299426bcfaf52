"""From a recipe to a pack of one slot on a base."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tunewright.engine.adapter import SlotSpec
from tunewright.engine.base import Base, pristine
from tunewright.engine.export import load_adapter, read_adapter
from tunewright.engine.frozen import checkpoint_activations
from tunewright.engine.pack import Pack, attach_lora, open_full
from tunewright.schema.errors import UsageError
from tunewright.schema.recipe import Recipe

EIGHT_BIT_NOTE = (
    "optim adamw_8bit: run as adamw with float32 state; 8-bit state is kept in blocks that would mix adapters, "
    "and beside a frozen base an adapter's state is small"
)

PACKING_NOTE = (
    "packing: rows are not joined; sorting each step's rows by length leaves few pads, and no row can see another"
)


def open_pack(base: Base, recipe: Recipe) -> tuple[Pack, list[str]]:
    """What the recipe trains, put on the base; and lines about where that differs from what was asked.

    A base that an earlier full fine-tuning changed is loaded again. Raises UsageError when the base was loaded for
    another method, ModelError when targets or init_adapter do not fit it.
    """
    if base.method != recipe.method:
        raise UsageError(f"the base was loaded for method {base.method}, the recipe says {recipe.method}")
    pristine(base)
    notes = [EIGHT_BIT_NOTE] if recipe.optim == "adamw_8bit" else []
    if recipe.packing and recipe.stage == "sft":
        notes.append(PACKING_NOTE)
    if recipe.method == "full":
        if recipe.init_adapter is not None:
            raise UsageError("init_adapter: full fine-tuning has no adapter to continue; merge it first")
        low = base.dtype if base.dtype != next(base.model.parameters()).dtype else None
        pack = open_full(base.model, autocast=low)
        base.changed = True
    elif recipe.init_adapter is not None:
        pack = _continued(base, recipe, Path(recipe.init_adapter), notes)
    else:
        pack = attach_lora(
            base.model, [slot_spec(recipe)], target=recipe.lora_target, modules_to_save=recipe.modules_to_save
        )
    checkpoint_activations(base.model, recipe.gradient_checkpointing)
    return pack, notes


def slot_spec(recipe: Recipe) -> SlotSpec:
    """The adapter a recipe asks for."""
    return SlotSpec(recipe.lora_rank, recipe.lora_alpha, recipe.lora_dropout, recipe.seed)


def _continued(base: Base, recipe: Recipe, folder: Path, notes: list[str]) -> Pack:
    """An adapter goes on with its own rank, scale and layers: they cannot change without changing what it says."""
    found = read_adapter(folder)
    if (found.spec.rank, found.spec.alpha) != (recipe.lora_rank, recipe.lora_alpha):
        notes.append(
            f"init_adapter has rank {found.spec.rank} and alpha {found.spec.alpha:g}, "
            f"which rule over lora_rank {recipe.lora_rank} and lora_alpha {recipe.lora_alpha:g}"
        )
    spec = dataclasses.replace(found.spec, dropout=recipe.lora_dropout, seed=recipe.seed)
    pack = attach_lora(base.model, [spec], target=found.target, modules_to_save=found.modules_to_save)
    load_adapter(pack, 0, folder)
    return pack
