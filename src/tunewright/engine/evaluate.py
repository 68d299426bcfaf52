"""Losses of rows without training: per row, so that means, exams and paired tests can be made of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tunewright.engine.batcher import Batch, Rows, by_length, collate
from tunewright.engine.losses import token_nll
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
    nll_Kn = np.zeros((shown, len(rows)))
    model = target.model if isinstance(target, Pack) else target
    device = next(model.parameters()).device
    order, sums = [], []
    for indexes, batch in _batches(rows, batch_size, shown, device):
        with torch.no_grad():
            nll_S = _token_nll(target, model, batch).double()
        order.append(indexes)
        sums.append(torch.stack([part.sum() for part in torch.split(nll_S, batch.per_row)]).view(shown, -1))
    if sums:  # read all at once: the device never waits between two batches
        nll_Kn[:, np.concatenate(order)] = torch.cat(sums, dim=1).cpu().numpy()
    return nll_Kn, rows.supervised.copy()


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


def _batches(
    rows: Rows, batch_size: int, slots: int, device: torch.device
) -> Iterator[tuple[NDArray[np.int64], Batch]]:
    order = by_length(rows, np.flatnonzero(rows.supervised))
    for start in range(0, len(order), batch_size):
        indexes = order[start : start + batch_size]
        yield indexes, collate([(rows, indexes)] * slots, device)
