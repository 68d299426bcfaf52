"""Greedy decoding of a batch of prompts, one forward pass at a time.

The loop is our own, not ``generate``: it drops finished rows from the batch and does per token only what greedy
decoding needs. Shapes: B rows still being answered, T tokens so far, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache


def greedy(
    model: Any, prompts: Sequence[Sequence[int]], stops: frozenset[int], max_new_tokens: int
) -> tuple[list[list[int]], int]:
    """Replies, each with its end token if it came, and the number of tokens that went through the model."""
    replies: list[list[int]] = [[] for _ in prompts]
    tokens = 0
    for step in greedy_steps(model, prompts, stops, max_new_tokens):
        tokens += step.forwarded
        for row, token in zip(step.rows, step.told, strict=True):
            replies[row].append(token)
    return replies, tokens


@dataclass(frozen=True)
class Step:
    """One more token, ``told``, of each of the ``rows`` that still run; ``forwarded``: tokens it took."""

    rows: list[int]
    told: list[int]
    forwarded: int


def greedy_steps(
    model: Any, prompts: Sequence[Sequence[int]], stops: frozenset[int], max_new_tokens: int
) -> Iterator[Step]:
    """The greedy loop, one forward pass at a time; rows leave the batch as they end."""
    if max_new_tokens < 1:
        return
    device = next(model.parameters()).device
    ids_BT, mask_BT, positions_BT = _left_padded(prompts, device)
    cache = DynamicCache(config=model.config)
    running = list(range(len(prompts)))
    forwarded = sum(len(prompt) for prompt in prompts)
    for left in range(max_new_tokens, 0, -1):
        next_B = _next_token(model, ids_BT, mask_BT, positions_BT, cache)
        told = next_B.tolist()
        yield Step(running, told, forwarded)
        keep = [at for at, token in enumerate(told) if token not in stops]
        if not keep or left == 1:
            return
        positions_BT = positions_BT[:, -1:] + 1
        if len(keep) < len(running):
            kept_B = torch.tensor(keep, device=device)
            cache.batch_select_indices(kept_B)
            next_B, positions_BT = next_B[kept_B], positions_BT[kept_B]
            mask_BT = mask_BT[kept_B] if mask_BT is not None else None
            running = [running[at] for at in keep]
        ids_BT = next_B[:, None]
        if mask_BT is not None:
            mask_BT = torch.cat([mask_BT, mask_BT.new_ones(len(running), 1)], dim=1)
        forwarded = len(running)


def _left_padded(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor | None, Tensor]:
    """(ids, mask, positions), all [B, T]; the mask is None when no row is padded, which is faster."""
    longest = max(len(prompt) for prompt in prompts)
    # Any token can pad: it is masked out, and positions count from the first real token.
    ids_BT = torch.tensor([[prompt[0]] * (longest - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    lengths_B1 = torch.tensor([[len(prompt)] for prompt in prompts], device=device)
    places_T = torch.arange(longest, device=device)
    mask_BT = (places_T >= longest - lengths_B1).long()
    positions_BT = (places_T - (longest - lengths_B1)).clamp(min=0)
    return ids_BT, (None if bool(mask_BT.all()) else mask_BT), positions_BT


def _next_token(
    model: Any, ids_BT: Tensor, mask_BT: Tensor | None, positions_BT: Tensor, cache: DynamicCache
) -> Tensor:
    """The likeliest next token of each row, [B]."""
    given = {"attention_mask": mask_BT, "position_ids": positions_BT} | _last_only(model)
    logits_B1V = model(input_ids=ids_BT, past_key_values=cache, use_cache=True, **given).logits
    next_B: Tensor = logits_B1V[:, -1].argmax(dim=-1)
    return next_B


def _last_only(model: Any) -> dict[str, int]:
    """Asks for the logits of the last place only, of models that can be asked."""
    can = getattr(model, "_supports_logits_to_keep", None)
    return {"logits_to_keep": 1} if can is not None and can() else {}
