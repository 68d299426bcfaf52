"""Putting a pack on a model: K new adapters, or the model's own weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from tunewright.engine.adapter import PackedLoRALinear, SlotSpec, Switch
from tunewright.engine.attention import longest_flat_row
from tunewright.engine.frozen import freeze
from tunewright.engine.losses import output_embedding
from tunewright.engine.on_model import packs_on, take_off
from tunewright.engine.pack import Pack
from tunewright.engine.targets import find_targets, linear_layers, parameters_under
from tunewright.schema.errors import UsageError


def attach_lora(
    model: nn.Module,
    specs: Sequence[SlotSpec],
    *,
    target: str | Sequence[str] = "all",
    modules_to_save: Sequence[str] = (),
    room_for: Sequence[SlotSpec] = (),
) -> Pack:
    """Put K freshly drawn adapters on the target layers of a frozen model; a pack already there is taken off.

    ``target``: of the slots whose spec names no layers. ``room_for``: adapters that may take a row later.
    Raises ModelError when a target names no layer, UsageError for modules_to_save with more than one slot.
    """
    take_off(model)
    freeze(model)
    longest_flat_row(model)  # found out while nothing is on the model
    saved = parameters_under(model, modules_to_save)
    targets = {
        path: layer  # a layer trained whole needs no adapter
        for path, layer in _union(model, (*specs, *room_for), target).items()
        if not any(name.startswith(f"{path}.") for name in saved)
    }
    if len(specs) > 1 and (saved or any(layer is output_embedding(model) for layer in targets.values())):
        raise UsageError("modules_to_save and the output layer can only be trained in a pack of one slot")
    switch = Switch()
    layers = {path: PackedLoRALinear(layer, switch) for path, layer in targets.items()}
    pack = Pack(model, specs, layers, saved, rank=max(s.rank for s in (*specs, *room_for)), switch=switch)
    pack.originals = {name: p.data for name, p in saved.items()}
    pack.autocast = _lowest(model) if saved else None
    pack.tell_layers()
    for slot in range(pack.K):
        pack.draw(slot)
    pack.put_on()
    return pack


def open_full(model: nn.Module, *, autocast: torch.dtype | None = None) -> Pack:
    """Make every parameter of the model trainable, as a pack of one; the model should hold float32 weights.

    ``autocast``: compute in this dtype, keeping the weights in float32.
    """
    take_off(model)
    freeze(model)
    longest_flat_row(model)
    parameters = dict(model.named_parameters())  # a tied weight appears once
    pack = Pack(model, [SlotSpec(rank=1, alpha=1.0)], {}, parameters)
    pack.autocast = autocast
    for name, parameter in parameters.items():
        pack.leaf(name).of(pack.params_KP)[0].copy_(parameter.data)
    pack.bind(list(parameters))
    packs_on(model).append(pack)
    return pack


def _union(model: nn.Module, specs: Sequence[SlotSpec], target: str | Sequence[str]) -> dict[str, nn.Module]:
    """The layers of all slots together, in the model's order."""
    wanted = {path for spec in specs for path in spec.layers or ()}
    if any(spec.layers is None for spec in specs):
        wanted |= set(find_targets(model, target))
    return {path: layer for path, layer in linear_layers(model).items() if path in wanted}


def _lowest(model: nn.Module) -> torch.dtype | None:
    low = {p.dtype for p in model.parameters()} & {torch.bfloat16, torch.float16}
    return low.pop() if low else None
