"""One optimizer step of a pack, up to the gradients: forward and backward over the step's whole window.

Per slot: loss = sum of token losses / supervised tokens of the whole accumulation window, never a mean of means,
so that 1 row x 8 micro-batches is 8 rows x 1. The slots' losses are summed: the gradient of the sum with respect to
one slot is the gradient of that slot's loss, whatever the others do.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from tunewright.engine.attention import laid_out, longest_flat_row, rows_apart
from tunewright.engine.batcher import Window, micro_batches
from tunewright.engine.frozen import recomputes
from tunewright.engine.lanes import FORWARD_BACKWARD, side_by_side
from tunewright.engine.losses import logits_where_wanted, token_nll
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
    supervised_K = [window.supervised for window in windows]
    micro_K = [micro_rows] * pack.K if isinstance(micro_rows, int) else list(micro_rows)
    lanes = _lanes(pack, windows, micro_K)
    pack.zero_grads(1 + max(lane.buffer for lane in lanes))
    pack.switch.training = True
    pack.switch.step_K = [step] * pack.K if isinstance(step, int) else step
    state = pack.switch.state()
    tasks = [partial(_forward_backward, pack, lane, supervised_K, loss_scale, state) for lane in lanes]
    tokens = sum(window.tokens for window in windows)
    loss_K = torch.zeros(pack.K, device=pack.device)
    try:
        with pack.sharing.threads(tokens, FORWARD_BACKWARD, len(lanes)):
            if len(lanes) == 1:
                losses = [tasks[0]()]
            else:
                with rows_apart(pack.model), logits_where_wanted(pack.model):
                    losses = side_by_side(tasks)
    finally:
        pack.switch.training = False
    pack.sum_grads()
    for lane, loss_k in zip(lanes, losses, strict=True):
        loss_K[lane.slots[0] : lane.slots[-1] + 1] += loss_k
    for slot, supervised in enumerate(supervised_K):
        if not supervised:
            loss_K[slot] = torch.nan
    return loss_K


@dataclass(frozen=True)
class _Lane:
    """What one core computes of a step: some slots that lie side by side, or some rows of the only one."""

    slots: range
    windows: Sequence[Window]
    micro_rows: Sequence[int]
    buffer: int = 0


def _lanes(pack: Pack, windows: Sequence[Window], micro_K: Sequence[int]) -> list[_Lane]:
    """The step cut for the cores there are: by slots, or by the rows of a single slot, which the longest lead.

    A slot with dropout is not cut: what is dropped is drawn for all its rows at once. Nor is a model whose own
    parameters collect gradients, or whose layers change their mode on the way.
    """
    whole = [_Lane(range(pack.K), windows, micro_K)]
    longest = max((int(w.rows.lengths[w.indexes].max(initial=1)) for w in windows), default=1)
    if pack.full or pack.originals or recomputes(pack.model) or longest > longest_flat_row(pack.model):
        return whole
    by_rows = pack.K == 1 and not pack.specs[0].dropout
    pieces = min(len(windows[0].indexes), micro_K[0]) if by_rows else pack.K
    n = pack.sharing.lanes(sum(window.tokens for window in windows), FORWARD_BACKWARD, pieces)
    if n == 1:
        return whole
    if by_rows:
        (window,), rows = windows, -(-micro_K[0] // n)
        cuts = [Window(window.rows, window.indexes[lane::n]) for lane in range(n)]
        return [_Lane(range(1), [cut], [rows], lane) for lane, cut in enumerate(cuts)]
    groups = [range(part[0], part[-1] + 1) for part in np.array_split(range(pack.K), n)]
    return [_Lane(slots, windows[slots.start : slots.stop], micro_K[slots.start : slots.stop]) for slots in groups]


def _forward_backward(
    pack: Pack, lane: _Lane, supervised_K: Sequence[int], loss_scale: float, state: dict[str, object]
) -> torch.Tensor:
    """The losses [k] of a lane's slots on its rows; their gradients are added to its buffer."""
    loss_k = torch.zeros(len(lane.slots), device=pack.device)
    longest_flat = longest_flat_row(pack.model)
    switch, whole = pack.switch, len(lane.slots) == pack.K
    with switch.like({**state, "buffer": lane.buffer}), nullcontext() if whole else pack.only(lane.slots):
        batches = micro_batches(lane.windows, lane.micro_rows, pack.device, longest_flat=longest_flat)
        for switch.micro, batch in enumerate(batches):
            if len(batch.at) == 0:
                continue
            switch.lengths_KR, switch.flat = batch.lengths_KR, batch.layout is not None
            with laid_out(pack.model, batch.layout):
                with pack.computing():
                    nll_S = token_nll(pack.model, batch)
                # a split rather than index_add: its sums have one order on every device
                sums = [part.sum() for part in torch.split(nll_S, batch.per_slot)]
                shares = [total / max(1, supervised_K[slot]) for total, slot in zip(sums, lane.slots, strict=True)]
                shares_k = torch.stack(shares)
                (shares_k.sum() * loss_scale).backward()  # type: ignore[no-untyped-call]
            loss_k += shares_k.detach()
    return loss_k


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error means that the device (or, on a CPU, the machine) has no memory left for this batch."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
