"""The loss of supervised tokens, with logits only where one is needed.

A pre-hook on the output embedding keeps the S positions whose next token is supervised; the model's own forward
does the rest (soft-capping, logit scaling, tied weights), on S instead of all positions. Prompts and pads never reach
the vocabulary, which is most of the memory and, in a small model, much of the time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from tunewright.engine.attention import laid_out
from tunewright.engine.batcher import Batch
from tunewright.schema.errors import ModelError

CHUNK_ELEMENTS = 2**24
"""Logits turned to float32 at once: 64 MiB, whatever the vocabulary."""


class _Wanted(threading.local):
    """The positions the next logits of this thread are wanted at: [S] indexes into the flattened tokens."""

    at: torch.Tensor | None = None


_wanted = _Wanted()


@contextmanager
def logits_where_wanted(model: nn.Module) -> Iterator[None]:
    """Let :func:`token_nll` choose the positions; to be opened here before several threads call it on one model."""
    head = output_embedding(model)
    if _select in head._forward_pre_hooks.values():
        yield
        return
    handle = head.register_forward_pre_hook(_select)
    try:
        yield
    finally:
        handle.remove()


def _select(_module: nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    at, _wanted.at = _wanted.at, None
    if at is None:
        return args
    hidden = args[0]  # [1, K*N, H] or [K*b, T, H]
    return (hidden.flatten(0, 1).index_select(0, at).unsqueeze(0), *args[1:])


def token_nll(model: nn.Module, batch: Batch) -> torch.Tensor:
    """-ln p of each supervised token, in nats, float32 [S], in the order of ``batch.targets``; differentiable.

    Raises ModelError when the model makes its logits without its output embedding. A caller whose backward pass
    computes activations again holds ``laid_out(model, batch.layout)`` open around both.
    """
    positions = {} if batch.positions is None else {"position_ids": batch.positions}
    _wanted.at = batch.at
    try:
        with logits_where_wanted(model), laid_out(model, batch.layout):
            logits_1SV: torch.Tensor = model(input_ids=batch.ids, use_cache=False, **positions).logits
    finally:
        _wanted.at = None
    if logits_1SV.shape[:2] != (1, len(batch.at)):
        raise ModelError(
            f"{type(model).__name__}: its logits do not come from its output embedding; it cannot be trained"
        )
    nll_S: torch.Tensor = _ChunkedNLL.apply(logits_1SV.squeeze(0), batch.targets)  # type: ignore[no-untyped-call]
    return nll_S


def output_embedding(model: nn.Module) -> nn.Module:
    """The layer that turns hidden states into logits. Raises ModelError when the model has none."""
    head = model.get_output_embeddings()  # type: ignore[operator]
    if not isinstance(head, nn.Module):
        raise ModelError(f"{type(model).__name__} has no output embedding: expected a causal language model")
    return head


class _ChunkedNLL(torch.autograd.Function):
    """logsumexp(z) - z[target] per row of logits z, in float32, a chunk of rows at a time in both directions.

    Keeps the logits in the model's own dtype and one number per row, never a float32 copy of all of them.
    Rows do not touch each other: a row of NaNs gives one NaN.
    """

    @staticmethod
    def forward(ctx: Any, logits_SV: torch.Tensor, targets_S: torch.Tensor) -> torch.Tensor:
        rows = max(1, CHUNK_ELEMENTS // logits_SV.shape[1])
        lse_S = torch.cat([chunk.float().logsumexp(1) for chunk in torch.split(logits_SV, rows)])
        ctx.save_for_backward(logits_SV, targets_S, lse_S)
        ctx.rows = rows
        return lse_S - logits_SV.gather(1, targets_S[:, None]).squeeze(1).float()

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, None]:
        logits_SV, targets_S, lse_S = ctx.saved_tensors
        gradients = []
        parts = (torch.split(tensor, ctx.rows) for tensor in (logits_SV, targets_S, lse_S, upstream[0]))
        for logits, targets, lse, weight in zip(*parts, strict=True):
            p = (logits.float() - lse[:, None]).exp_()
            p.scatter_add_(1, targets[:, None], p.new_full((len(targets), 1), -1.0))
            gradients.append(p.mul_(weight[:, None]).to(logits.dtype))
        return torch.cat(gradients), None
