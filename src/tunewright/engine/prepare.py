"""From recipes to a pack on a base."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from tunewright.engine.adapter import SlotSpec, features
from tunewright.engine.attach import attach_lora, open_full
from tunewright.engine.base import Base, pristine
from tunewright.engine.export import read_adapter
from tunewright.engine.frozen import checkpoint_activations
from tunewright.engine.losses import output_embedding
from tunewright.engine.pack import Pack
from tunewright.engine.targets import bare, find_targets
from tunewright.schema.errors import UsageError
from tunewright.schema.recipe import Recipe

EIGHT_BIT_NOTE = (
    "optim adamw_8bit: run as adamw with float32 state; 8-bit state is kept in blocks that would mix adapters, "
    "and beside a frozen base an adapter's state is small"
)

PACKING_NOTE = (
    "packing: rows are not joined; sorting each step's rows by length leaves few pads, and no row can see another"
)


@dataclass(frozen=True)
class Fitting:
    """What a recipe puts on a base. ``init``: the adapter folder it goes on from. ``notes``: where it differs."""

    spec: SlotSpec
    modules_to_save: tuple[str, ...] = ()
    init: Path | None = None
    notes: tuple[str, ...] = ()
    alone: str = ""  # why it cannot share a pack


def fit(base: Base, recipe: Recipe) -> Fitting:
    """What the recipe trains on this base, looked up before anything is made.

    A base that an earlier full fine-tuning changed is loaded again. Raises UsageError when the base was loaded for
    another method or the rank is larger than a layer, ModelError when targets or init_adapter do not fit it.
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
        return Fitting(SlotSpec(rank=1, alpha=1.0), notes=tuple(notes), alone="method full")
    if recipe.init_adapter is not None:
        return _continued(base, recipe, Path(recipe.init_adapter), notes)
    targets = find_targets(base.model, recipe.lora_target)
    _check_rank(recipe.lora_rank, targets)
    spec = dataclasses.replace(slot_spec(recipe), layers=tuple(targets))
    return Fitting(spec, recipe.modules_to_save, None, tuple(notes), _alone(base, targets, recipe.modules_to_save))


def open_pack(base: Base, fittings: Sequence[Fitting], room_for: Sequence[Fitting] = (), *, recompute: bool) -> Pack:
    """A pack for these adapters on the base (or the base itself, for full), with room for others to come.

    ``recompute``: gradient checkpointing, which changes no number, for all of them.
    """
    if base.method == "full":
        low = base.dtype if base.dtype != next(base.model.parameters()).dtype else None
        pack = open_full(base.model, autocast=low)
        base.changed = True
    else:
        pack = attach_lora(
            base.model,
            [fitting.spec for fitting in fittings],
            modules_to_save=fittings[0].modules_to_save,
            room_for=[fitting.spec for fitting in room_for],
        )
    checkpoint_activations(base.model, recompute)
    return pack


def check_together(recipes: Sequence[Recipe], fittings: Sequence[Fitting]) -> None:
    """Whether these can share a pack. Raises UsageError naming what cannot."""
    if len(recipes) < 2:
        return
    why = next((fitting.alone for fitting in fittings if fitting.alone), "")
    if why:
        raise UsageError(f"{why}: such a run needs a pack of its own", hint="run it alone")
    if len({recipe.optim == "sgd" for recipe in recipes}) > 1:
        raise UsageError("optim: adamw and sgd cannot share a pack", hint="run them in two")


def slot_spec(recipe: Recipe) -> SlotSpec:
    """The adapter a recipe asks for."""
    return SlotSpec(recipe.lora_rank, recipe.lora_alpha, recipe.lora_dropout, recipe.seed)


def _alone(base: Base, targets: dict[str, nn.Module], modules_to_save: tuple[str, ...]) -> str:
    if modules_to_save:
        return "modules_to_save"
    head = bare(output_embedding(base.model))
    return "an adapter on the output layer" if any(layer is head for layer in targets.values()) else ""


def _check_rank(rank: int, targets: dict[str, nn.Module]) -> None:
    """A product A B of a rank above either side of a layer says nothing that a smaller one could not."""
    smallest = min(targets, key=lambda path: min(features(targets[path])))
    most = min(features(targets[smallest]))
    if rank > most:
        width_in, width_out = features(targets[smallest])
        raise UsageError(
            f"lora_rank {rank} is above the smallest target layer ({most}): {smallest} is {width_in} x {width_out}",
            hint=f"lora_rank: {most} at most, or leave {smallest.rpartition('.')[2]} out of lora_target",
        )


def _continued(base: Base, recipe: Recipe, folder: Path, notes: list[str]) -> Fitting:
    """An adapter goes on with its own rank, scale and layers: they cannot change without changing what it says."""
    found = read_adapter(folder)
    if (found.spec.rank, found.spec.alpha) != (recipe.lora_rank, recipe.lora_alpha):
        notes.append(
            f"init_adapter has rank {found.spec.rank} and alpha {found.spec.alpha:g}, "
            f"which rule over lora_rank {recipe.lora_rank} and lora_alpha {recipe.lora_alpha:g}"
        )
    targets = find_targets(base.model, found.target)
    spec = dataclasses.replace(found.spec, dropout=recipe.lora_dropout, seed=recipe.seed, layers=tuple(targets))
    alone = _alone(base, targets, found.modules_to_save)
    return Fitting(spec, found.modules_to_save, folder, tuple(notes), alone)
