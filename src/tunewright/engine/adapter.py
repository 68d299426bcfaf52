"""K LoRA adapters on one frozen linear layer, computed together.

Shapes: K slots, N = b*T tokens per slot, in and out features, r the largest rank of the pack.
``y = base(x) + (dropout(x) A_k) * (alpha_k / r_k) B_k`` for the rows of slot k (Hu et al., "LoRA", 2021-06).
A slot of a smaller rank is padded with zeros: their gradients are exactly 0, so they stay 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class SlotSpec:
    """What makes one adapter; ``seed`` draws its A and its dropout, whatever its neighbours are."""

    rank: int
    alpha: float
    dropout: float = 0.0
    seed: int = 0
    rslora: bool = False
    layers: tuple[str, ...] | None = None  # paths of the layers it sits on; None: all of the pack

    @property
    def scale(self) -> float:
        """alpha / r, or alpha / sqrt(r) for an adapter made with rsLoRA."""
        return self.alpha / (math.sqrt(self.rank) if self.rslora else self.rank)


@dataclass
class Switch:
    """What all layers of a pack look at: on or off, some slots or all, training or not, and where in their runs."""

    on: bool = True
    only: tuple[int, ...] | None = None
    index: slice | torch.Tensor | None = None  # picks the slots of ``only`` from a buffer
    training: bool = False
    micro: int = 0
    step_K: Sequence[int] = ()
    rows_K: Sequence[int] = ()  # of the micro-batch: a slot's own, before the rows of pads


class PackedLoRALinear(nn.Module):
    """Takes the place of a linear layer ``base`` (nn.Linear, transformers' Conv1D, bitsandbytes' Linear4bit)."""

    A: nn.Parameter  # [K, in, r]
    B: nn.Parameter  # [K, r, out]

    def __init__(self, base: nn.Module, switch: Switch) -> None:
        super().__init__()
        self.base = base
        self.switch = switch
        self.features_in, self.features_out = features(base)

    def take(self, specs: Sequence[SlotSpec], numbers: Sequence[int | None]) -> None:
        """Compute for these slots. ``numbers``: its place among the layers of each, a key of dropout, or None."""
        self.specs, self.numbers = tuple(specs), tuple(numbers)
        device = next(self.base.parameters()).device
        self.scale_K11 = torch.tensor([spec.scale for spec in specs], device=device)[:, None, None]
        self.drops = any(spec.dropout > 0 for spec in specs)

    @property
    def weight(self) -> torch.Tensor:
        """The base's: some models look at its dtype or device before they call the layer."""
        weight = self.base.weight
        assert isinstance(weight, torch.Tensor)
        return weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.base(x)
        if not self.switch.on:
            return y
        A: torch.Tensor = self.A
        B: torch.Tensor = self.B
        scale_K11 = self.scale_K11
        if self.switch.index is not None:
            A, B, scale_K11 = A[self.switch.index], B[self.switch.index], scale_K11[self.switch.index]
        if A.dtype != y.dtype:  # float32 masters, computed in the base's dtype
            A, B, scale_K11 = A.to(y.dtype), B.to(y.dtype), scale_K11.to(y.dtype)
        x_KNi = x.reshape(len(A), -1, self.features_in).to(y.dtype)
        if self.drops and self.switch.training:
            x_KNi = x_KNi * self._kept(x)
        down_KNr = torch.bmm(x_KNi, A) * scale_K11
        return torch.baddbmm(y.reshape(len(A), -1, self.features_out), down_KNr, B).view(y.shape)

    def _kept(self, x: torch.Tensor) -> torch.Tensor:
        """[K, N, in]: 0 where an input is dropped, else 1 / (1 - p). A function of (slot seed, step, micro, layer).

        So a recomputation under gradient checkpointing, a resumed run and a run with other neighbours all draw the
        same. Time is drawn outermost: padding to a longer block leaves the masks of the earlier tokens as they are;
        and for the slot's own rows only: rows of pads that neighbours make necessary change nothing.
        """
        K = len(self.specs)
        b, T = (x.shape[0] // K, x.shape[1]) if x.dim() == 3 else (x.shape[0] // K, 1)
        kept_KNi = x.new_ones(K, b * T, self.features_in)
        for slot, (spec, number) in enumerate(zip(self.specs, self.numbers, strict=True)):
            if number is None or not spec.dropout:
                continue
            generator = torch.Generator().manual_seed(
                _mixed(spec.seed, self.switch.step_K[slot], self.switch.micro, number)
            )
            own = min(b, self.switch.rows_K[slot]) if x.dim() == 3 else b
            kept_Tbi = torch.rand(T, own, self.features_in, generator=generator) >= spec.dropout
            kept_KNi[slot, : own * T] = kept_Tbi.transpose(0, 1).flatten(0, 1) / (1.0 - spec.dropout)
        return kept_KNi


def features(layer: nn.Module) -> tuple[int, int]:
    """(in, out) of a linear layer; Conv1D keeps its weight as [in, out]."""
    if is_conv1d(layer):
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        return int(weight.shape[0]), int(weight.shape[1])
    return int(layer.in_features), int(layer.out_features)  # type: ignore[arg-type]


def is_conv1d(layer: nn.Module) -> bool:
    """GPT-2's linear layer, which is no nn.Linear; told by name, so that nothing is imported for it."""
    return type(layer).__name__ == "Conv1D" and type(layer).__module__.startswith("transformers.")


def is_linear(layer: nn.Module) -> bool:
    """Layers an adapter can sit on; bitsandbytes' Linear4bit is an nn.Linear."""
    return isinstance(layer, nn.Linear) or is_conv1d(layer)


def draw_A(spec: SlotSpec, features_in: int, generator: torch.Generator) -> torch.Tensor:
    """A slot's first A as PEFT draws it: kaiming_uniform(a=sqrt(5)) of [r, in], that is U(-1, 1) / sqrt(in).

    Drawn at the slot's own rank, so it depends neither on the pack's largest rank nor on its neighbours.
    """
    bound = 1.0 / math.sqrt(features_in)
    return torch.empty(spec.rank, features_in).uniform_(-bound, bound, generator=generator)


def _mixed(*keys: int) -> int:
    """One 63-bit seed of several small integers (the mixing steps of splitmix64)."""
    state = 0
    for key in keys:
        state = (state + key + 0x9E3779B97F4A7C15) & (2**64 - 1)
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        state ^= state >> 31
    return state >> 1
