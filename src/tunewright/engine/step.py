"""One optimizer step of a pack, up to the gradients: forward and backward over the step's whole window.

Per slot: loss = sum of token losses / supervised tokens of the whole accumulation window, never a mean of means,
so that 1 row x 8 micro-batches is 8 rows x 1. The slots' losses are summed: the gradient of the sum with respect to
one slot is the gradient of that slot's loss, whatever the others do.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tunewright.engine.attention import laid_out, longest_flat_row
from tunewright.engine.batcher import Window, micro_batches
from tunewright.engine.losses import token_nll
from tunewright.engine.pack import Pack


def forward_backward(
    pack: Pack,
    windows: Sequence[Window],
    *,
    step: int | Sequence[int],
    micro_rows: int | Sequence[int],
    loss_scale: float = 1.0,
) -> torch.Tensor:
    """Losses of the K slots on their windows, float32 [K] on the device; the gradients are in ``pack.grads_KP``.

    ``step``, ``micro_rows``: one number for all slots, or one for each: where it is in its run, and how it is cut.
    Gradients are those of ``loss_scale`` times the loss. A slot without a supervised token has a loss of NaN, 0 / 0,
    and so is not updated. Raises torch's out-of-memory errors: the gradients are then void, parameters untouched.
    """
    tokens_K = [window.supervised for window in windows]
    pack.grads_KP.zero_()
    pack.switch.training = True
    pack.switch.step_K = [step] * pack.K if isinstance(step, int) else step
    loss_K = torch.zeros(pack.K, device=pack.device)
    try:
        longest_flat = longest_flat_row(pack.model)
        for micro, batch in enumerate(micro_batches(windows, micro_rows, pack.device, longest_flat=longest_flat)):
            if len(batch.at) == 0:
                continue
            pack.switch.micro, pack.switch.lengths_KR = micro, batch.lengths_KR
            pack.switch.flat = batch.layout is not None
            with laid_out(pack.model, batch.layout):
                with pack.computing():
                    nll_S = token_nll(pack.model, batch)
                # a split rather than index_add: its sums have one order on every device
                sums = [part.sum() for part in torch.split(nll_S, batch.per_slot)]
                per_slot = [total / max(1, n) for total, n in zip(sums, tokens_K, strict=True)]
                shares_K = torch.stack(per_slot)
                (shares_K.sum() * loss_scale).backward()  # type: ignore[no-untyped-call]
            loss_K += shares_K.detach()
    finally:
        pack.switch.training = False
    for slot, tokens in enumerate(tokens_K):
        if not tokens:
            loss_K[slot] = torch.nan
    return loss_K


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error means that the device (or, on a CPU, the machine) has no memory left for this batch."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
