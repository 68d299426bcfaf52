"""Models that take their rows end to end: no pads anywhere, and attention that keeps the rows apart.

Shapes: K slots, N tokens per slot, R rows and T tokens of the longest row of a group, H heads, D numbers per head.

Every layer but attention looks at one token at a time, so it may be given ``[1, K*N]`` tokens instead of padded rows.
Attention takes its rows out into groups of similar length, computes each group causally, and lays the answers end to
end again. A model is given this layout only when :func:`longest_flat_row` has seen it give the same numbers.
"""

from __future__ import annotations

import threading
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

WINDOWS = ("sliding_window", "attention_chunk_size")
"""What configurations call the most tokens a layer looks back over."""

CHANGES_SCORES = ("softcap", "s_aux", "position_bias")
"""Options of transformers' attention interface that plain causal attention would leave out."""


class _Layouts(threading.local):
    """What this thread's batches look like, the innermost last: transformers has no other way to hand it to a layer."""

    def __init__(self) -> None:
        self.open: list[Layout] = []


_layouts = _Layouts()


@dataclass(frozen=True)
class _Attention:
    """What was found out about a model: the longest row it takes in this layout (0: none) while set up like this."""

    configs: tuple[Any, ...]
    implementations: tuple[str, ...]
    longest: int

    def holds(self) -> bool:
        """Whether nobody has set up another attention since."""
        return _implementations(self.configs) in (self.implementations, (NAME,) * len(self.configs))


@contextmanager
def laid_out(model: nn.Module, layout: Layout | None) -> Iterator[None]:
    """Let the model's attention read its input by this layout; None: padded rows, as the model itself would.

    Must still be open in the backward pass, which may compute activations again.
    """
    with _reading(_attention(model).configs if layout is not None else (), layout):
        yield


@contextmanager
def rows_apart(model: nn.Module) -> Iterator[None]:
    """To be opened before several threads open :func:`laid_out` on one model, none of them without a layout."""
    with _reading(_attention(model).configs, None):
        yield


@contextmanager
def _reading(configs: tuple[Any, ...], layout: Layout | None) -> Iterator[None]:
    before = [config._attn_implementation_internal for config in configs]
    for config in configs:
        config._attn_implementation_internal = NAME
    _layouts.open.extend([layout] if layout is not None else [])
    try:
        yield
    finally:
        if layout is not None:
            _layouts.open.pop()
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
    """Causal attention within each row of the current layout: [1, H, K*N, D] tensors to [1, K*N, H, D].

    Raises ValueError for attention that is anything else.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    layout = _layouts.open[-1]
    _check_plain(layout, (query, key, value), {**options, "attention_mask": attention_mask})
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


def _check_plain(layout: Layout, qkv: tuple[torch.Tensor, ...], options: dict[str, Any]) -> None:
    odd = [name for name in ("attention_mask", *CHANGES_SCORES) if options.get(name) is not None]
    if odd:
        raise ValueError(f"attention with {odd[0]}: not for rows end to end")
    expected = (1, len(layout.back))
    if any((x.shape[0], x.shape[2]) != expected for x in qkv):  # an index out of range would end a GPU's process
        raise ValueError(
            f"attention over {[tuple(x.shape) for x in qkv]}: expected the {expected[1]} tokens of a batch"
        )


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
    if known is None or not known.holds():
        known = model.__dict__["_tunewright_attention"] = _find_out(model)
    return known


def _find_out(model: nn.Module) -> _Attention:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(NAME, rows_attention)
    every = {id(config): config for config in (getattr(module, "config", None) for module in model.modules())}
    configs: tuple[Any, ...] = tuple(config for config in every.values() if hasattr(config, "_attn_implementation"))
    implementations = _implementations(configs)
    if set(implementations) != {"sdpa"}:
        return _Attention(configs, implementations, 0)
    windows = [getattr(config, name, None) for config in configs for name in WINDOWS]
    try:
        same = _rows_stay_apart(model, configs)
    except torch.OutOfMemoryError:
        raise  # says nothing about the model
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError):
        same = False  # third-party code that was not made for this: it gets what it was made for
    longest = min([ANY_LENGTH, *(w for w in windows if isinstance(w, int) and w > 0)])
    return _Attention(configs, implementations, longest if same else 0)


def _implementations(configs: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(config._attn_implementation for config in configs)


@torch.no_grad()
def _rows_stay_apart(model: nn.Module, configs: tuple[Any, ...]) -> bool:
    """Whether two rows end to end give each row's own logits, and neither moves by a bit when the other changes."""
    first, second = (torch.tensor(row) for row in LEAK_PROBE)
    ours = _flat_logits(model, configs, first, second)
    other_first = _flat_logits(model, configs, first.flip(0), second)
    other_second = _flat_logits(model, configs, first, second.flip(0))
    apart = torch.equal(ours[5:], other_first[5:]) and torch.equal(ours[:5], other_second[:5])
    device = ours.device
    alone = torch.cat([model(input_ids=row[None].to(device), use_cache=False).logits[0] for row in (first, second)])
    rounding = 1e-4 if alone.dtype == torch.float32 else 0.05
    return apart and bool((ours - alone).abs().max() <= rounding * alone.abs().max())


def _flat_logits(model: nn.Module, configs: tuple[Any, ...], *rows: torch.Tensor) -> torch.Tensor:
    device = next(model.parameters()).device
    layout = lay_out([torch.tensor([len(row) for row in rows]).numpy()], device)
    positions = torch.cat([torch.arange(len(row)) for row in rows])
    with _reading(configs, layout):
        logits: torch.Tensor = model(
            input_ids=torch.cat(rows)[None].to(device), position_ids=positions[None].to(device), use_cache=False
        ).logits[0]
    return logits
