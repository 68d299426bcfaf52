"""Losses of rows without training: per row, so that means, exams and paired tests can be made of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tunewright.engine.attention import longest_flat_row, rows_apart
from tunewright.engine.batcher import Batch, Rows, by_length, collate
from tunewright.engine.lanes import FORWARD, Sharing, side_by_side
from tunewright.engine.losses import logits_where_wanted, token_nll
from tunewright.engine.pack import Pack

if TYPE_CHECKING:
    from tunewright.data.tokens import TokenRow

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def row_losses(target: Pack | nn.Module, rows: Sequence[TokenRow] | Rows, batch_size: int) -> tuple[Floats, Counts]:
    """(sum of token losses in nats [n], supervised tokens [n]) of each row, in the order given.

    ``target``: a plain model, or a pack that shows one slot (K = 1, or under ``pack.only`` or ``pack.adapters_off``).
    Deterministic; a row without supervised tokens has (0.0, 0); a NaN stays in its row.
    """
    nll_1n, tokens_n = slot_row_losses(target, rows, batch_size, slots=1)
    return nll_1n[0], tokens_n


def slot_row_losses(
    target: Pack | nn.Module, rows: Sequence[TokenRow] | Rows, batch_size: int, *, slots: int | None = None
) -> tuple[Floats, Counts]:
    """Like :func:`row_losses` for all slots of a pack at once: ([K, n], [n]); ``batch_size`` is per slot."""
    rows = rows if isinstance(rows, Rows) else Rows(rows)
    shown = target.shown if isinstance(target, Pack) else 1
    if slots is not None and shown != slots:
        raise ValueError(f"the pack shows {shown} slots: choose one with pack.only(slot)")
    return np.stack(packed_row_losses(target, [rows] * shown, batch_size)), rows.supervised.copy()


def packed_row_losses(target: Pack | nn.Module, rows_K: Sequence[Rows], batch_size: int) -> list[Floats]:
    """Sums of token losses in nats, [n_k] for each slot shown, every slot on rows of its own, ``batch_size`` at a time.

    Rows are batched longest first, so slots with the same rows see the same batches.
    """
    model = target.model if isinstance(target, Pack) else target
    device = next(model.parameters()).device
    nll_K = [np.zeros(len(rows)) for rows in rows_K]
    order_K = [by_length(rows, np.flatnonzero(rows.supervised)) for rows in rows_K]
    longest_flat = longest_flat_row(model)

    def sums(indexes_K: list[Counts]) -> torch.Tensor:
        batch = collate(list(zip(rows_K, indexes_K, strict=True)), device, longest_flat=longest_flat)
        with torch.no_grad():
            nll_S = _token_nll(target, model, batch).double()
        return torch.stack([part.sum() for part in torch.split(nll_S, batch.per_row)])

    found = _on_all_cores(target, model, sums, list(_cuts(order_K, batch_size)), rows_K, longest_flat)
    values = torch.cat(found).cpu().numpy() if found else np.zeros(0)  # all at once: the device never waits for us
    start = 0
    for indexes_K in _cuts(order_K, batch_size):
        b = max(len(indexes) for indexes in indexes_K)
        for nll_n, indexes in zip(nll_K, indexes_K, strict=True):
            nll_n[indexes] = values[start : start + len(indexes)]
            start += b
    return nll_K


def _on_all_cores(
    target: Pack | nn.Module,
    model: nn.Module,
    sums: Callable[[list[Counts]], torch.Tensor],
    cuts: list[list[Counts]],
    rows_K: Sequence[Rows],
    longest_flat: int,
) -> list[torch.Tensor]:
    """``sums`` of every cut, in order; each core takes every n-th."""
    tokens = sum(int(rows.lengths[indexes].sum()) for cut in cuts for rows, indexes in zip(rows_K, cut, strict=True))
    flat = max((int(rows.lengths.max(initial=1)) for rows in rows_K), default=1) <= longest_flat
    sharing = target.sharing if isinstance(target, Pack) else Sharing.of(target)
    n = sharing.lanes(tokens, FORWARD, len(cuts)) if flat else 1
    state = target.switch.state() if isinstance(target, Pack) else {}

    def lane(number: int) -> list[torch.Tensor]:
        with target.switch.like(state) if isinstance(target, Pack) else nullcontext():
            return [sums(cut) for cut in cuts[number::n]]

    with sharing.threads(tokens // max(1, len(cuts)), FORWARD, n):
        if n == 1:
            return lane(0)
        with rows_apart(model), logits_where_wanted(model):
            lanes = side_by_side([partial(lane, number) for number in range(n)])
    return [lanes[place % n][place // n] for place in range(len(cuts))]


def _cuts(order_K: Sequence[Counts], size: int) -> Iterator[list[Counts]]:
    longest = max((len(order) for order in order_K), default=0)
    return ([order[start : start + size] for order in order_K] for start in range(0, longest, size))


def mean_loss(nll_n: Floats, tokens_n: Counts) -> float:
    """Nats per supervised token over all rows; NaN when there is none.

    >>> mean_loss(np.array([4.0, 2.0]), np.array([3, 1]))
    1.5
    """
    total = int(tokens_n.sum())
    return float(nll_n.sum() / total) if total else math.nan


def _token_nll(target: Pack | nn.Module, model: nn.Module, batch: Batch) -> torch.Tensor:
    if isinstance(target, Pack):
        with target.computing():
            return token_nll(model, batch)
    return token_nll(model, batch)
