"""A pack: K trainable slots over one frozen base, all their numbers in two flat buffers.

Shapes: K slots, P parameters per slot. ``params_KP`` and ``grads_KP`` hold every trainable number, and each tensor
the model computes with is a view into them. So norm, clipping, the optimizer and a copy of a slot are a handful of
operations on one matrix, and a slot is one of its rows. Weights that decay come first, the others after them.

Full fine-tuning is a pack of one whose views are the model's own parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from tunewright.engine.adapter import PackedLoRALinear, SlotSpec, Switch, draw_A
from tunewright.engine.columns import Columns, Leaf
from tunewright.engine.lanes import Sharing
from tunewright.engine.on_model import packs_on, set_layer, take_off
from tunewright.schema.errors import UsageError


class Pack:
    """K slots on ``model``; made by :mod:`tunewright.engine.attach`, taken off by :meth:`detach`."""

    def __init__(
        self,
        model: nn.Module,
        specs: Sequence[SlotSpec],
        layers: Mapping[str, PackedLoRALinear],
        whole: Mapping[str, torch.Tensor],
        *,
        rank: int = 0,
        switch: Switch | None = None,
    ) -> None:
        self.model = model
        self.specs = tuple(specs)
        self.switch = switch or Switch()
        self.layers = dict(layers)
        self.originals: dict[str, torch.Tensor] = {}  # of parameters trained whole beside the adapters
        self.device = next(model.parameters()).device
        self.sharing = Sharing.of(model)
        self.autocast: torch.dtype | None = None
        self._whole = [(name, tuple(value.shape), value.dim() > 1) for name, value in whole.items()]
        self.columns = self._columns(rank, tuple(layers))
        self.rank = rank  # the largest a slot may have
        self.params_KP = torch.zeros(len(specs), self.columns.size, device=self.device)
        self.grads_KP = torch.zeros_like(self.params_KP)
        self.more_grads: tuple[torch.Tensor, ...] = ()

    @property
    def K(self) -> int:
        return len(self.specs)

    @property
    def leaves(self) -> dict[str, Leaf]:
        return self.columns.leaves

    @property
    def decayed(self) -> int:
        """Weight decay touches the first so many columns."""
        return self.columns.decayed

    @property
    def full(self) -> bool:
        """Whether the model's own weights are trained, without adapters."""
        return not self.layers

    @property
    def attached(self) -> bool:
        """Whether the model computes with this pack: the newest one, until it is taken off."""
        return self in packs_on(self.model)

    @property
    def shown(self) -> int:
        """Slots the next forward pass computes, its rows being grouped by them: K, those of ``only``, or 1 when off."""
        if not self.switch.on:
            return 1
        return self.K if self.switch.only is None else len(self.switch.only)

    def leaf(self, name: str) -> Leaf:
        return self.leaves[name]

    def trainable(self) -> int:
        """Trainable numbers per slot, padding not counted (that of the largest rank is)."""
        return sum(math.prod(leaf.shape) for leaf in self.leaves.values())

    def whole(self) -> list[str]:
        """Names of the model's own parameters that are trained: all under full, else those of modules_to_save."""
        return [name for name in self.leaves if not name.endswith((".A", ".B"))]

    @contextmanager
    def adapters_off(self) -> Iterator[None]:
        """The base's own answers. Raises UsageError for full fine-tuning: that base is no more."""
        if self.full:
            raise UsageError("full fine-tuning changed the base itself: load it again to ask it")
        was, self.switch.on = self.switch.on, False
        self._put(self.originals)
        try:
            yield
        finally:
            self.switch.on = was
            self._put({name: self.leaf(name).of(self.params_KP)[0] for name in self.originals})

    @contextmanager
    def only(self, slots: int | Sequence[int]) -> Iterator[None]:
        """One slot, for plain batches all rows of which go through it; or some, for batches grouped by them."""
        was = self.switch.only, self.switch.index
        only = (slots,) if isinstance(slots, int) else tuple(slots)
        self.switch.only, self.switch.index = only, _index(only, self.device)
        try:
            yield
        finally:
            self.switch.only, self.switch.index = was

    @contextmanager
    def computing(self) -> Iterator[None]:
        """The forward pass's number format: autocast where float32 weights meet a lower dtype."""
        with torch.autocast(self.device.type, self.autocast or torch.bfloat16, enabled=self.autocast is not None):
            yield

    def paths(self, slot: int) -> tuple[str, ...]:
        """The layers a slot's adapter sits on, in the model's order; on the pack's other layers it stays exactly 0."""
        own = self.specs[slot].layers
        return tuple(self.layers) if own is None else tuple(path for path in self.layers if path in set(own))

    def own_columns(self, slot: int) -> Columns:
        """How the slot's numbers would lie in a pack of it alone."""
        return self._columns(self.specs[slot].rank, self.paths(slot))

    def select(self, order: Sequence[int]) -> None:
        """Make row i what row ``order[i]`` was: drops, repeats and reorders slots; gradients are zero afterwards.

        The buffers are new ones: give :meth:`FlatOptimizer.select` the same order. Raises UsageError when the model's
        own parameters are trained, of which there is one set only.
        """
        if self._whole and list(order) != [0]:
            raise UsageError("a pack that trains the model's own parameters has one slot")
        self.params_KP = self.params_KP[list(order)]
        self.grads_KP = torch.zeros_like(self.params_KP)
        self.more_grads = ()
        self.specs = tuple(self.specs[slot] for slot in order)
        self.tell_layers()
        self.sharing = Sharing.of(self.model)

    def zero_grads(self, buffers: int = 1) -> None:
        """Zero the gradients, and have so many buffers of them: for lanes that compute the same slots."""
        if len(self.more_grads) < buffers - 1:
            self.more_grads = tuple(torch.zeros_like(self.grads_KP) for _ in range(buffers - 1))
            self.tell_layers()
        for buffer in (self.grads_KP, *self.more_grads):
            buffer.zero_()

    def sum_grads(self) -> None:
        """Add up all buffers, in their order."""
        for buffer in self.more_grads:
            self.grads_KP += buffer

    def check_room(self, spec: SlotSpec) -> None:
        """Raises UsageError for an adapter larger than the pack was made for."""
        outside = sorted(set(spec.layers or ()) - set(self.layers))
        if spec.rank > self.rank or outside:
            what = f"{outside[0]} is not among its layers" if outside else f"its largest rank is {self.rank}"
            raise UsageError(f"the pack has no room for rank {spec.rank} on these layers: {what}")

    def assign(self, slot: int, spec: SlotSpec) -> None:
        """Give a row to another adapter, drawn anew. Raises UsageError for one larger than the pack was made for."""
        self.check_room(spec)
        if self.specs[slot] != spec:
            self.specs = (*self.specs[:slot], spec, *self.specs[slot + 1 :])
            self.tell_layers()
        self.draw(slot)

    def draw(self, slot: int) -> None:
        """(Re)draw a slot's adapter: A from its own seed, B = 0; parameters trained whole go back to the base's."""
        spec = self.specs[slot]
        generator = torch.Generator().manual_seed(spec.seed)
        self.params_KP[slot].zero_()
        for path in self.paths(slot):
            A_ri = self.leaf(f"{path}.A").of(self.params_KP)[slot]
            A_ri[: spec.rank] = draw_A(spec, self.layers[path].features_in, generator)
        for name, value in self.originals.items():
            self.leaf(name).of(self.params_KP)[slot].copy_(value)

    def put_on(self) -> None:
        """Let the model compute with this pack again; another one on it is taken off. A full pack never comes back."""
        if self.attached:
            return
        if self.full:
            raise UsageError("full fine-tuning changed the base itself: load its folder instead")
        take_off(self.model)
        for path, layer in self.layers.items():
            set_layer(self.model, path, layer)
        self.bind(list(self.originals))
        packs_on(self.model).append(self)
        self.sharing = Sharing.of(self.model)

    def detach(self) -> None:
        """Give the base back as it was. The pack keeps its numbers; a full one leaves its trained weights there."""
        if not self.attached:
            return
        for path, layer in self.layers.items():
            set_layer(self.model, path, layer.base)
        self._put(self.originals)
        for name in self.whole():
            parameter = self.model.get_parameter(name)
            parameter.requires_grad_(False)
            parameter.grad = None
        packs_on(self.model).remove(self)

    def _columns(self, rank: int, paths: Sequence[str]) -> Columns:
        wanted: list[tuple[str, tuple[int, ...], bool]] = []
        for path in paths:
            layer = self.layers[path]
            wanted += [(f"{path}.A", (rank, layer.features_in), True), (f"{path}.B", (rank, layer.features_out), True)]
        return Columns.of([*wanted, *self._whole])

    def tell_layers(self) -> None:
        """Let the layers compute with the specs and buffers of now."""
        numbers = [{path: number for number, path in enumerate(self.paths(slot))} for slot in range(self.K)]
        for path, layer in self.layers.items():
            layer.take(self.specs, [own.get(path) for own in numbers])
            layer.A, layer.B = (nn.Parameter(self.leaf(f"{path}.{name}").of(self.params_KP)) for name in "AB")
            layer.gradients = [
                (self.leaf(f"{path}.A").of(buffer), self.leaf(f"{path}.B").of(buffer))
                for buffer in (self.grads_KP, *self.more_grads)
            ]

    def _put(self, values: dict[str, torch.Tensor]) -> None:
        for name, value in values.items():
            self.model.get_parameter(name).data = value

    def bind(self, names: Sequence[str]) -> None:
        """Make the model's own parameters views of the buffers (tied weights are one parameter, and stay tied)."""
        for name in names:
            parameter = self.model.get_parameter(name)
            parameter.data = self.leaf(name).of(self.params_KP)[0]
            parameter.requires_grad_(True)
            parameter.grad = self.leaf(name).of(self.grads_KP)[0]


def _index(slots: tuple[int, ...], device: torch.device) -> slice | torch.Tensor:
    """What picks these rows of a buffer: without a copy where they lie side by side."""
    if slots == tuple(range(slots[0], slots[0] + len(slots))):
        return slice(slots[0], slots[0] + len(slots))
    return torch.tensor(slots, device=device)
