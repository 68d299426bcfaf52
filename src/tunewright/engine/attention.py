"""Models that take their rows end to end: no pads anywhere, and attention that keeps the rows apart.

Shapes: K slots, N tokens per slot, R rows and T tokens of the longest row of a group, H heads, D numbers per head.

Every layer but attention looks at one token at a time, so it may be given ``[1, K*N]`` tokens instead of padded rows.
Attention takes its rows out into groups of similar length, computes each group causally, and lays the answers end to
end again. A model is given this layout only when :func:`longest_flat_row` has seen it give the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tunewright.engine.layout import Layout, lay_out

NAME = "tunewright_rows"
ANY_LENGTH = 2**31
LEAK_PROBE = ((1, 2, 3, 4, 5), (6, 7, 8))
"""Two rows of token ids that every vocabulary has."""

_layouts: list[Layout] = []  # the innermost last: transformers has no other way to hand it to a layer


@dataclass(frozen=True)
class _Attention:
    """What was found out about a model: its configurations, and the longest row it takes in this layout (0: none)."""

    configs: tuple[Any, ...]
    longest: int


@contextmanager
def laid_out(model: nn.Module, layout: Layout | None) -> Iterator[None]:
    """Let the model's attention read its input by this layout; None: padded rows, as the model itself would.

    Must still be open in the backward pass, which may compute activations again.
    """
    configs = _attention(model).configs if layout is not None else ()
    before = [config._attn_implementation_internal for config in configs]
    for config in configs:
        config._attn_implementation_internal = NAME
    _layouts.extend([layout] if layout is not None else [])
    try:
        yield
    finally:
        if layout is not None:
            _layouts.pop()
        for config, name in zip(configs, before, strict=True):
            config._attn_implementation_internal = name


def rows_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each row of the current layout: [1, H, K*N, D] tensors to [1, K*N, H, D]."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    layout = _layouts[-1]
    q_PHD, k_PHD, v_PHD = (
        _Moved.apply(x.squeeze(0).transpose(0, 1), layout.there, layout.back, layout.spare)  # type: ignore[no-untyped-call]
        for x in (query, key, value)
    )
    answers, start = [], 0
    for R, T in layout.groups:
        here = slice(start, start + R * T)
        q, k, v = (x[here].view(R, T, *x.shape[1:]).transpose(1, 2) for x in (q_PHD, k_PHD, v_PHD))
        answer_RTHD, _ = sdpa_attention_forward(module, q, k, v, None, scaling=options.get("scaling"), is_causal=True)
        answers.append(answer_RTHD.flatten(0, 1))
        start += R * T
    answer_PHD = answers[0] if len(answers) == 1 else torch.cat(answers)
    answer_NHD: torch.Tensor = _Moved.apply(answer_PHD, layout.back, layout.there, layout.pads)  # type: ignore[no-untyped-call]
    return answer_NHD.unsqueeze(0), None


class _Moved(torch.autograd.Function):
    """x[index], whose gradient comes back by the inverse index; no gradient reaches the entries at ``silent``.

    Indexing both ways is a copy; the gradient of plain indexing would be a sum over all entries.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, index: torch.Tensor, inverse: torch.Tensor, silent: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(inverse, silent)
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        inverse, silent = ctx.saved_tensors
        return upstream[0].index_select(0, inverse).index_fill_(0, silent, 0.0), None, None, None


def longest_flat_row(model: nn.Module) -> int:
    """The longest row this model may be given end to end with others; 0 when it needs padded rows.

    Found out once per model, with its adapters off: it must attend through transformers' attention interface, no row
    may see another (bit for bit), and the numbers must be those of padded rows. A model that looks back over a window
    takes rows up to that window.
    """
    return _attention(model).longest


def _attention(model: nn.Module) -> _Attention:
    known: _Attention | None = model.__dict__.get("_tunewright_attention")
    if known is None:
        known = model.__dict__["_tunewright_attention"] = _find_out(model)
    return known


def _find_out(model: nn.Module) -> _Attention:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(NAME, rows_attention)
    every = {id(config): config for config in (getattr(module, "config", None) for module in model.modules())}
    configs: tuple[Any, ...] = tuple(config for config in every.values() if hasattr(config, "_attn_implementation"))
    if not configs or any(config._attn_implementation != "sdpa" for config in configs):
        return _Attention(configs, 0)
    windows = [w for config in configs if isinstance(w := getattr(config, "sliding_window", None), int) and w > 0]
    model.__dict__["_tunewright_attention"] = _Attention(configs, ANY_LENGTH)  # for the duration of the trial
    try:
        same = _rows_stay_apart(model)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError):
        same = False  # third-party code that was not made for this: it gets what it was made for
    return _Attention(configs, min([ANY_LENGTH, *windows]) if same else 0)


@torch.no_grad()
def _rows_stay_apart(model: nn.Module) -> bool:
    """Whether two rows end to end give each row's own logits, and neither moves by a bit when the other changes."""
    first, second = (torch.tensor(row) for row in LEAK_PROBE)
    ours = _flat_logits(model, first, second)
    other_first = _flat_logits(model, first.flip(0), second)
    other_second = _flat_logits(model, first, second.flip(0))
    apart = torch.equal(ours[5:], other_first[5:]) and torch.equal(ours[:5], other_second[:5])
    device = ours.device
    alone = torch.cat([model(input_ids=row[None].to(device), use_cache=False).logits[0] for row in (first, second)])
    rounding = 1e-4 if alone.dtype == torch.float32 else 0.05
    return apart and bool((ours - alone).abs().max() <= rounding * alone.abs().max())


def _flat_logits(model: nn.Module, *rows: torch.Tensor) -> torch.Tensor:
    device = next(model.parameters()).device
    layout = lay_out([torch.tensor([len(row) for row in rows]).numpy()], device)
    positions = torch.cat([torch.arange(len(row)) for row in rows])
    with laid_out(model, layout):
        logits: torch.Tensor = model(
            input_ids=torch.cat(rows)[None].to(device), position_ids=positions[None].to(device), use_cache=False
        ).logits[0]
    return logits
