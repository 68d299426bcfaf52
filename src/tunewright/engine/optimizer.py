"""AdamW and SGD over a pack's flat buffers, every slot for itself.

Shapes: K slots, P parameters per slot. Per slot: learning rate, weight decay, clipping, betas, number of updates
made, and whether its numbers are finite. A slot with a non-finite loss or gradient is left exactly as it was: its
gradient is replaced by zeros (``torch.where``; a product would keep 0 x NaN = NaN) and its factors by those that
change nothing. Neighbours never see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from tunewright.schema.recipe import Optimizer, Recipe

EPSILON = 1e-8
CHUNK_COLUMNS = 2**17
"""Columns updated at once: on a CPU the five rows of a chunk stay in its cache, on a GPU temporaries stay small."""

GPU_CHUNK_COLUMNS = 2**25


@dataclass(frozen=True)
class SlotRates:
    """One slot's optimizer settings; ``clip`` 0 means no clipping. The learning rate comes with each update."""

    weight_decay: float = 0.0
    clip: float = 1.0
    beta1: float = 0.9
    beta2: float = 0.999

    @classmethod
    def of(cls, recipe: Recipe) -> SlotRates:
        return cls(recipe.weight_decay, recipe.max_grad_norm, recipe.adam_beta1, recipe.adam_beta2)


class FlatOptimizer:
    """AdamW (Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2017-11) or plain SGD.

    ``decayed``: weight decay touches the first so many columns.
    """

    def __init__(
        self,
        params_KP: torch.Tensor,
        grads_KP: torch.Tensor,
        rates: Sequence[SlotRates],
        *,
        kind: Optimizer = "adamw",
        decayed: int | None = None,
        loss_scale: float = 1.0,
    ) -> None:
        self.params_KP = params_KP
        self.grads_KP = grads_KP
        self.decayed = params_KP.shape[1] if decayed is None else decayed
        self.adam = kind != "sgd"
        self.loss_scale = loss_scale
        self._take(rates)
        self.updates_K = torch.zeros(len(rates), dtype=torch.int64, device=params_KP.device)
        self.m_KP = torch.zeros_like(params_KP) if self.adam else params_KP.new_zeros(len(rates), 0)
        self.v_KP = torch.zeros_like(self.m_KP)

    def select(self, order: Sequence[int], params_KP: torch.Tensor, grads_KP: torch.Tensor) -> None:
        """Follow :meth:`Pack.select`: row i goes on with what row ``order[i]`` had, in the pack's new buffers."""
        self.params_KP, self.grads_KP = params_KP, grads_KP
        self._take([self.rates[slot] for slot in order])
        self.updates_K = self.updates_K[list(order)]
        self.m_KP = self.m_KP[list(order)]
        self.v_KP = self.v_KP[list(order)]

    def assign(self, slot: int, rates: SlotRates) -> None:
        """Begin anew in one row: no moments, no updates made, these rates."""
        self._take([*self.rates[:slot], rates, *self.rates[slot + 1 :]])
        for tensor in self.state().values():
            tensor[slot] = 0

    def _take(self, rates: Sequence[SlotRates]) -> None:
        self.rates = tuple(rates)
        self.weight_decay_K, self.clip_K, self.beta1_K, self.beta2_K = (
            torch.tensor([getattr(rate, name) for rate in rates], dtype=torch.float64, device=self.params_KP.device)
            for name in ("weight_decay", "clip", "beta1", "beta2")
        )
        self.clip_K[self.clip_K == 0] = torch.inf

    def state(self) -> dict[str, torch.Tensor]:
        """What a checkpoint must hold, beside the parameters; the tensors themselves, not copies."""
        return {"m": self.m_KP, "v": self.v_KP, "updates": self.updates_K}

    def load(self, state: dict[str, torch.Tensor]) -> None:
        """Take over a saved state, into the buffers that are there."""
        for name, own in self.state().items():
            own.copy_(state[name])

    @torch.no_grad()
    def update(self, learning_rates: Sequence[float], loss_K: torch.Tensor) -> torch.Tensor:
        """One step of every slot whose loss and gradient are finite. Returns the gradient norms before clipping [K].

        Nothing here waits for the device. The gradients are used up.
        """
        norm_K: torch.Tensor = torch.linalg.vector_norm(self.grads_KP, dim=1).double() / self.loss_scale
        ok_K = norm_K.isfinite() & loss_K.isfinite()
        self.updates_K += ok_K
        lr_K = torch.tensor(learning_rates, dtype=torch.float64).to(norm_K.device, non_blocking=True)
        lr_K = torch.where(ok_K, lr_K, 0.0)
        clip_K = torch.where(ok_K, (self.clip_K / (norm_K + 1e-6)).clamp(max=1.0) / self.loss_scale, 0.0)
        kept_K = 1.0 - lr_K * self.weight_decay_K
        P = self.params_KP.shape[1]
        width = CHUNK_COLUMNS if norm_K.device.type == "cpu" else GPU_CHUNK_COLUMNS
        for bounds in _chunks(P, width, self.decayed):
            columns = slice(*bounds)
            p, g = self.params_KP[:, columns], self.grads_KP[:, columns]
            g = torch.where(ok_K[:, None], g, 0.0).mul_(_column(clip_K))
            decays = bounds[0] < self.decayed
            if self.adam:
                if decays:
                    p.mul_(_column(kept_K))
                self._adam(p, g, columns, ok_K, lr_K)
            else:
                if decays:  # torch.optim.SGD's: decay is part of the gradient
                    g.addcmul_(p, _column(self.weight_decay_K))
                p.addcmul_(g, _column(-lr_K))
        return norm_K

    def _adam(self, p: torch.Tensor, g: torch.Tensor, columns: slice, ok_K: torch.Tensor, lr_K: torch.Tensor) -> None:
        """m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; p -= lr m' / (sqrt(v') + eps) with m', v' bias-corrected."""
        m, v = self.m_KP[:, columns], self.v_KP[:, columns]
        beta1_K = torch.where(ok_K, self.beta1_K, 1.0)  # 1 keeps m and v as they are
        beta2_K = torch.where(ok_K, self.beta2_K, 1.0)
        updates_K = self.updates_K.clamp(min=1).double()  # a slot that never moved: any finite correction, its lr is 0
        correction1_K = 1.0 - self.beta1_K**updates_K
        correction2_K = 1.0 - self.beta2_K**updates_K
        m.mul_(_column(beta1_K)).addcmul_(g, _column(1.0 - beta1_K))
        v.mul_(_column(beta2_K)).addcmul_(g * g, _column(1.0 - beta2_K))
        denominator = v.sqrt().div_(_column(correction2_K.sqrt())).add_(EPSILON)
        p.addcmul_(m.div(denominator), _column(-lr_K / correction1_K))


def _column(values_K: torch.Tensor) -> torch.Tensor:
    return values_K.float()[:, None]


def _chunks(columns: int, width: int, decayed: int) -> list[tuple[int, int]]:
    """(start, end) of chunks at most ``width`` wide, none across the border of the decayed columns."""
    borders = sorted({*range(0, columns, width), min(decayed, columns), columns})
    return list(pairwise(borders))
