"""A pack: K trainable slots over one frozen base, all their numbers in two flat buffers.

Shapes: K slots, P parameters per slot. ``params_KP`` and ``grads_KP`` hold every trainable number, and each tensor
the model computes with is a view into them. So norm, clipping, the optimizer and a copy of a slot are a handful of
operations on one matrix, and a slot is one of its rows. Weights that decay come first, the others after them.

Full fine-tuning is a pack of one whose views are the model's own parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from tunewright.engine.adapter import PackedLoRALinear, SlotSpec, Switch, draw_A
from tunewright.engine.frozen import freeze
from tunewright.engine.losses import output_embedding
from tunewright.engine.targets import find_targets
from tunewright.schema.errors import ModelError, UsageError

ALIGNMENT = 16  # numbers: every view starts on a 64-byte line


@dataclass(frozen=True)
class Leaf:
    """One trainable tensor: where its values lie in a row of the flat buffers."""

    name: str
    shape: tuple[int, ...]  # of one slot
    offset: int

    def of(self, buffer_KP: torch.Tensor) -> torch.Tensor:
        """The tensor [K, *shape] as a view into a flat buffer."""
        size = math.prod(self.shape)
        return buffer_KP[:, self.offset : self.offset + size].view(len(buffer_KP), *self.shape)


class Pack:
    """K slots on ``model``; made by :func:`attach_lora` or :func:`open_full`, taken off by :meth:`detach`."""

    def __init__(
        self, model: nn.Module, specs: tuple[SlotSpec, ...], wanted: Sequence[tuple[str, tuple[int, ...], bool]]
    ):
        self.model = model
        self.specs = specs
        self.switch = Switch()
        self.layers: dict[str, PackedLoRALinear] = {}
        self.originals: dict[str, torch.Tensor] = {}  # of parameters trained whole beside the adapters
        self.device = next(model.parameters()).device
        self.autocast: torch.dtype | None = None
        self.leaves, self.decayed, size = _lay_out(wanted)
        self.params_KP = torch.zeros(len(specs), size, device=self.device)
        self.grads_KP = torch.zeros_like(self.params_KP)

    @property
    def K(self) -> int:
        return len(self.specs)

    @property
    def full(self) -> bool:
        """Whether the model's own weights are trained, without adapters."""
        return not self.layers

    @property
    def attached(self) -> bool:
        """Whether the model computes with this pack: the newest one, until it is taken off."""
        return self in _packs(self.model)

    @property
    def shown(self) -> int:
        """Slots the next forward pass computes, its rows being grouped by them: K, or 1 under ``only`` or off."""
        return 1 if self.switch.only is not None or not self.switch.on else self.K

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
    def only(self, slot: int) -> Iterator[None]:
        """Plain batches, all rows of which go through one slot."""
        was, self.switch.only = self.switch.only, slot
        try:
            yield
        finally:
            self.switch.only = was

    @contextmanager
    def computing(self) -> Iterator[None]:
        """The forward pass's number format: autocast where float32 weights meet a lower dtype."""
        with torch.autocast(self.device.type, self.autocast or torch.bfloat16, enabled=self.autocast is not None):
            yield

    def put_on(self) -> None:
        """Let the model compute with this pack again; another one on it is taken off. A full pack never comes back."""
        if self.attached:
            return
        if self.full:
            raise UsageError("full fine-tuning changed the base itself: load its folder instead")
        take_off(self.model)
        for path, layer in self.layers.items():
            _replace(self.model, path, layer)
        self._bind(list(self.originals))
        _packs(self.model).append(self)

    def detach(self) -> None:
        """Give the base back as it was. The pack keeps its numbers; a full one leaves its trained weights there."""
        if not self.attached:
            return
        for path, layer in self.layers.items():
            _replace(self.model, path, layer.base)
        self._put(self.originals)
        for name in self.whole():
            parameter = self.model.get_parameter(name)
            parameter.requires_grad_(False)
            parameter.grad = None
        _packs(self.model).remove(self)

    def _put(self, values: dict[str, torch.Tensor]) -> None:
        for name, value in values.items():
            self.model.get_parameter(name).data = value

    def _bind(self, names: Sequence[str]) -> None:
        """Make the model's own parameters views of the buffers (tied weights are one parameter, and stay tied)."""
        for name in names:
            parameter = self.model.get_parameter(name)
            parameter.data = self.leaf(name).of(self.params_KP)[0]
            parameter.requires_grad_(True)
            parameter.grad = self.leaf(name).of(self.grads_KP)[0]


def attach_lora(
    model: nn.Module,
    specs: Sequence[SlotSpec],
    *,
    target: str | Sequence[str] = "all",
    modules_to_save: Sequence[str] = (),
) -> Pack:
    """Put K freshly drawn adapters on every target layer of a frozen model; a pack already there is taken off.

    Raises ModelError when a target names no layer, UsageError for modules_to_save with more than one slot.
    """
    take_off(model)
    freeze(model)
    specs = tuple(specs)
    saved = _parameters_under(model, modules_to_save)
    targets = {
        path: layer  # a layer trained whole needs no adapter
        for path, layer in find_targets(model, target).items()
        if not any(name.startswith(f"{path}.") for name in saved)
    }
    if len(specs) > 1 and (saved or any(layer is output_embedding(model) for layer in targets.values())):
        raise UsageError("modules_to_save and the output layer can only be trained in a pack of one slot")
    switch = Switch()
    rank = max(spec.rank for spec in specs)
    layers = {
        path: PackedLoRALinear(layer, specs, switch, number) for number, (path, layer) in enumerate(targets.items())
    }
    wanted: list[tuple[str, tuple[int, ...], bool]] = []
    for path, layer in layers.items():
        wanted += [(f"{path}.A", (layer.features_in, rank), True), (f"{path}.B", (rank, layer.features_out), True)]
    wanted += [(name, tuple(p.shape), p.dim() > 1) for name, p in saved.items()]
    pack = Pack(model, specs, wanted)
    pack.switch, pack.layers = switch, layers
    pack.originals = {name: p.data for name, p in saved.items()}
    pack.autocast = _lowest(model) if saved else None
    for path, layer in layers.items():
        layer.A, layer.B = (_parameter(pack, f"{path}.{name}") for name in "AB")
    for slot in range(pack.K):
        draw_slot(pack, slot)
    pack.put_on()
    return pack


def open_full(model: nn.Module, *, autocast: torch.dtype | None = None) -> Pack:
    """Make every parameter of the model trainable, as a pack of one; the model should hold float32 weights.

    ``autocast``: compute in this dtype, keeping the weights in float32.
    """
    take_off(model)
    freeze(model)
    parameters = dict(model.named_parameters())  # a tied weight appears once
    wanted = [(name, tuple(p.shape), p.dim() > 1) for name, p in parameters.items()]
    pack = Pack(model, (SlotSpec(rank=1, alpha=1.0),), wanted)
    pack.autocast = autocast
    for name, parameter in parameters.items():
        pack.leaf(name).of(pack.params_KP)[0].copy_(parameter.data)
    pack._bind(list(parameters))
    _packs(model).append(pack)
    return pack


def draw_slot(pack: Pack, slot: int) -> None:
    """(Re)draw a slot's adapter: A from the slot's own seed, B = 0; parameters trained whole go back to the base's."""
    spec = pack.specs[slot]
    generator = torch.Generator().manual_seed(spec.seed)
    pack.params_KP[slot].zero_()
    for path, layer in pack.layers.items():
        A_ir = pack.leaf(f"{path}.A").of(pack.params_KP)[slot]
        A_ir[:, : spec.rank] = draw_A(spec, layer.features_in, generator).T
    for name, value in pack.originals.items():
        pack.leaf(name).of(pack.params_KP)[slot].copy_(value)


def take_off(model: nn.Module) -> None:
    """Take whatever pack is on the model off."""
    for pack in list(_packs(model)):
        pack.detach()


def _packs(model: nn.Module) -> list[Pack]:
    """The packs on a model (none or one), kept on the model itself so that they go when it goes."""
    packs: list[Pack] = model.__dict__.setdefault("_tunewright_packs", [])
    return packs


def _lay_out(wanted: Sequence[tuple[str, tuple[int, ...], bool]]) -> tuple[dict[str, Leaf], int, int]:
    """Offsets of (name, shape, decays) tensors: the decayed first. Returns leaves, decayed columns, all columns."""
    leaves: dict[str, Leaf] = {}
    end = decayed = 0
    for first in (True, False):
        for name, shape, decays in wanted:
            if decays is first:
                leaves[name] = Leaf(name, shape, end)
                end += math.ceil(math.prod(shape) / ALIGNMENT) * ALIGNMENT
        decayed = end if first else decayed
    return leaves, decayed, end


def _parameter(pack: Pack, name: str) -> nn.Parameter:
    parameter = nn.Parameter(pack.leaf(name).of(pack.params_KP))
    gradient = pack.leaf(name).of(pack.grads_KP)
    if gradient.is_contiguous():  # K = 1: autograd adds into it in place
        parameter.grad = gradient
        return parameter

    def collect(leaf: torch.Tensor) -> None:
        assert leaf.grad is not None
        gradient.add_(leaf.grad)
        leaf.grad = None

    # autograd wants its own gradients dense, which rows of a wider matrix are not
    parameter.register_post_accumulate_grad_hook(collect)  # type: ignore[no-untyped-call]
    return parameter


def _parameters_under(model: nn.Module, modules: Sequence[str]) -> dict[str, nn.Parameter]:
    """The parameters of the named modules (by the end of their path). Raises ModelError for a name that fits none."""
    found: dict[str, nn.Parameter] = {}
    for wanted in modules:
        paths = [path for path, _ in model.named_modules() if path == wanted or path.endswith(f".{wanted}")]
        if not paths:
            raise ModelError(f"modules_to_save: no module of {type(model).__name__} is called {wanted!r}")
        for name, parameter in model.named_parameters(remove_duplicate=False):
            same = any(parameter is known for known in found.values())  # a tied weight is trained once
            if not same and any(name.startswith(f"{path}.") for path in paths):
                found[name] = parameter
    return found


def _lowest(model: nn.Module) -> torch.dtype | None:
    low = {p.dtype for p in model.parameters()} & {torch.bfloat16, torch.float16}
    return low.pop() if low else None


def _replace(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, child = path.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
