"""K LoRA adapters on one frozen linear layer, computed together.

Shapes: K slots, N = b*T tokens per slot, in and out features, r the largest rank of the pack.
``y = base(x) + (dropout(x) A_k^T) * (alpha_k / r_k) B_k`` for the rows of slot k (Hu et al., "LoRA", 2021-06).
A slot of a smaller rank is padded with zeros: their gradients are exactly 0, so they stay 0.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from tunewright.engine.layout import Indexes, on_device


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


class Switch(threading.local):
    """What all layers of a pack look at: on or off, some slots or all, training or not, and where in their runs.

    Each thread has its own; a new one starts as below, or as :meth:`like` another's.
    """

    on: bool = True
    only: tuple[int, ...] | None = None
    index: slice | torch.Tensor | None = None  # picks the slots of ``only`` from a buffer
    training: bool = False
    micro: int = 0
    step_K: Sequence[int] = ()  # of all slots
    lengths_KR: Sequence[Indexes] = ()  # of the micro-batch: the rows of each slot shown, before any pads
    flat: bool = False  # rows lie end to end
    buffer: int = 0  # which of the pack's gradient buffers is added to

    def state(self) -> dict[str, Any]:
        """What this thread has set."""
        return dict(self.__dict__)

    @contextmanager
    def like(self, state: Mapping[str, Any]) -> Iterator[None]:
        """Set in this thread what another one had, for the duration."""
        before = self.state()
        self.__dict__.update(state)
        try:
            yield
        finally:
            self.__dict__.clear()
            self.__dict__.update(before)


class PackedLoRALinear(nn.Module):
    """Takes the place of a linear layer ``base`` (nn.Linear, transformers' Conv1D, bitsandbytes' Linear4bit)."""

    A: nn.Parameter  # [K, r, in]: both factors are read along their rows, in the forward and the backward pass
    B: nn.Parameter  # [K, r, out]
    gradients: Sequence[tuple[torch.Tensor, torch.Tensor]]  # where theirs are summed up: views of the pack's buffers

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
        """[..., in] to [..., out], rows grouped by the slots shown; in the base's dtype."""
        y: torch.Tensor = self.base(x)
        if not self.switch.on:
            return y
        A: torch.Tensor = self.A
        B: torch.Tensor = self.B
        scale_K11, (grad_A, grad_B) = self.scale_K11, self.gradients[self.switch.buffer]
        index = self.switch.index
        if index is not None:
            A, B, scale_K11 = A[index], B[index], scale_K11[index]
        if isinstance(index, slice):  # views; gradients of slots that do not lie side by side have no place to go to
            grad_A, grad_B = grad_A[index], grad_B[index]
        x_KNi = x.reshape(len(A), -1, self.features_in).to(y.dtype)
        if self.drops and self.switch.training:
            x_KNi = x_KNi * self._kept(x_KNi)
        y_KNo = y.reshape(len(A), -1, self.features_out)
        answer: torch.Tensor = _LowRank.apply(x_KNi, y_KNo, A, B, scale_K11, grad_A, grad_B)  # type: ignore[no-untyped-call]
        return answer.view(y.shape)

    def _kept(self, x_KNi: torch.Tensor) -> torch.Tensor:
        """[K, N, in]: 0 where an input is dropped, else 1 / (1 - p). A function of (slot seed, step, micro, layer).

        So a recomputation under gradient checkpointing, a resumed run and a run with other neighbours all draw the
        same. It is drawn for the slot's own rows up to its own longest, so that neither pads nor neighbours change it.
        """
        kept_KNi = torch.ones_like(x_KNi)
        N = x_KNi.shape[1]
        row_width = None if self.switch.flat else N // max(len(lengths) for lengths in self.switch.lengths_KR)
        shown = range(len(self.specs)) if self.switch.only is None else self.switch.only
        for place, slot in enumerate(shown):
            spec, number, lengths_R = self.specs[slot], self.numbers[slot], self.switch.lengths_KR[place]
            if number is None or not spec.dropout or not len(lengths_R):
                continue
            seed = _mixed(spec.seed, self.switch.step_K[slot], self.switch.micro, number)
            generator = torch.Generator(x_KNi.device).manual_seed(seed)
            shape = (len(lengths_R), int(lengths_R.max()), self.features_in)
            drawn_RTi = torch.rand(shape, generator=generator, device=x_KNi.device)
            drawn, own = _places(lengths_R, row_width)
            kept_ni = drawn_RTi.flatten(0, 1).index_select(0, on_device(drawn, x_KNi.device)) >= spec.dropout
            kept_KNi[place].index_copy_(
                0, on_device(own, x_KNi.device), kept_ni.to(x_KNi.dtype).div_(1.0 - spec.dropout)
            )
        return kept_KNi


class _LowRank(torch.autograd.Function):
    """``y + scale x A^T B``, with the gradients of A and B added straight into the pack's buffer.

    Autograd would make both gradients anew, in a slower order of multiplication, and copy them there. Factors are
    float32 and computed in y's dtype.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x_KNi: torch.Tensor,
        y_KNo: torch.Tensor,
        A_Kri: torch.Tensor,
        B_Kro: torch.Tensor,
        scale_K11: torch.Tensor,
        grad_A: torch.Tensor,
        grad_B: torch.Tensor,
    ) -> torch.Tensor:
        A_Kri, B_Kro, scale_K11 = (factor.to(y_KNo.dtype) for factor in (A_Kri, B_Kro, scale_K11))
        down_KNr = torch.bmm(x_KNi, A_Kri.mT).mul_(scale_K11)
        ctx.save_for_backward(x_KNi, down_KNr, A_Kri, B_Kro, scale_K11)
        ctx.gradients = grad_A, grad_B
        return torch.baddbmm(y_KNo, down_KNr, B_Kro)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x_KNi, down_KNr, A_Kri, B_Kro, scale_K11 = ctx.saved_tensors
        (g_KNo,) = upstream
        g_down_KNr = torch.bmm(g_KNo, B_Kro.mT).mul_(scale_K11)
        for gradient, left, right in zip(ctx.gradients, (g_down_KNr, down_KNr), (x_KNi, g_KNo), strict=True):
            if gradient.dtype == right.dtype:
                gradient.baddbmm_(left.mT, right)
            else:
                gradient.add_(torch.bmm(left.mT, right))
        g_x = torch.bmm(g_down_KNr, A_Kri) if ctx.needs_input_grad[0] else None
        return g_x, g_KNo, None, None, None, None, None


def _places(lengths_R: Indexes, row_width: int | None) -> tuple[Indexes, Indexes]:
    """Of each token of a slot's rows: its place among [R, T] rows of the longest's width, and its place in the slot.

    ``row_width``: how far apart the rows lie in the slot; None: end to end.

    >>> [places.tolist() for places in _places(np.array([2, 1]), 3)]
    [[0, 1, 2], [0, 1, 3]]
    """
    start_R = np.cumsum(lengths_R) - lengths_R
    within_n = np.arange(lengths_R.sum()) - np.repeat(start_R, lengths_R)
    row_n = np.repeat(np.arange(len(lengths_R)), lengths_R)
    own_n = np.arange(len(row_n)) if row_width is None else row_n * row_width + within_n
    return row_n * lengths_R.max() + within_n, own_n


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
