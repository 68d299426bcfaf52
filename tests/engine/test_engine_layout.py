"""Rows end to end: every token in its place, no row sees another, the same numbers as one row at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    FalconMambaConfig,
    Gemma2Config,
    Gemma3Config,
    GPT2Config,
    GPTNeoXConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen3Config,
)

from tunewright.engine.attention import laid_out, longest_flat_row, rows_attention
from tunewright.engine.layout import groups_by_length, lay_out

CPU = torch.device("cpu")
LENGTHS = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=8), min_size=1, max_size=4)
SMALL = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}


@given(LENGTHS)
def test_a_layout_takes_every_token_out_and_back(lengths: list[list[int]]) -> None:
    layout = lay_out([np.array(slot) for slot in lengths], CPU)
    N = max(sum(slot) for slot in lengths)
    there, back = layout.there.numpy(), layout.back.numpy()
    spare, pads = set(layout.spare.tolist()), set(layout.pads.tolist())
    assert len(back) == len(lengths) * N
    assert len(there) == sum(R * T for R, T in layout.groups)
    real_tokens = [token for token in range(len(back)) if token not in spare]
    assert all(there[back[token]] == token and back[token] not in pads for token in real_tokens)
    assert len(real_tokens) == sum(map(sum, lengths)) == len(there) - len(pads)
    # pads and spare tokens borrow from their own slot only
    assert all(there[back[token]] // N == token // N for token in spare)
    start = 0
    for R, T in layout.groups:
        place = np.arange(start, start + R * T).reshape(R, T)
        assert all(len({there[p] // N for p in row}) == 1 for row in place)
        start += R * T


@given(st.lists(st.integers(1, 500), min_size=1, max_size=30))
def test_groups_hold_every_row_once_and_are_mostly_tokens(lengths: list[int]) -> None:
    array = np.array(lengths)
    groups = groups_by_length(array)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(lengths)))
    assert all(array[group].min() >= 0.6 * array[group].max() for group in groups)


def _model(config: PreTrainedConfig) -> nn.Module:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():  # default draws are so small that a leak would hide in rounding
        nn.init.normal_(parameter, std=0.2) if parameter.dim() > 1 else None
    return model


FLAT = {
    "gpt2": GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=64),
    "gpt_neox": GPTNeoXConfig(**SMALL, intermediate_size=64),
    "qwen3": Qwen3Config(**SMALL, intermediate_size=64, num_key_value_heads=2, head_dim=8),
}


@pytest.mark.parametrize("family", FLAT)
def test_a_flat_batch_gives_each_rows_own_logits_and_gradients(family: str) -> None:
    model = _model(FLAT[family])
    assert longest_flat_row(model) > 10_000
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randint(1, 64, (length,), generator=generator) for length in (9, 3, 17, 5)]
    weights = [torch.randn(len(row), 64, generator=generator) for row in rows]
    layout = lay_out([np.array([9, 3]), np.array([17, 5])], CPU)
    ids, positions = torch.zeros(2, 22, dtype=torch.long), torch.zeros(2, 22, dtype=torch.long)
    places = [(0, 0), (0, 9), (1, 0), (1, 17)]
    for (slot, start), row in zip(places, rows, strict=True):
        ids[slot, start : start + len(row)] = row
        positions[slot, start : start + len(row)] = torch.arange(len(row))
    with laid_out(model, layout):
        flat = model(input_ids=ids.view(1, -1), position_ids=positions.view(1, -1), use_cache=False).logits[0]
        ours = [flat[slot * 22 + start :][: len(row)] for (slot, start), row in zip(places, rows, strict=True)]
        sum((o * w).sum() for o, w in zip(ours, weights, strict=True)).backward()
    grads = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    alone = [model(input_ids=row[None], use_cache=False).logits[0] for row in rows]
    sum((a * w).sum() for a, w in zip(alone, weights, strict=True)).backward()
    for mine, theirs in zip(ours, alone, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
    for name, parameter in model.named_parameters():
        largest = float(parameter.grad.abs().max())
        torch.testing.assert_close(grads[name], parameter.grad, rtol=1e-4, atol=1e-5 * max(1.0, largest), msg=name)


@pytest.mark.parametrize(
    "config",
    [
        Gemma2Config(**SMALL, intermediate_size=64, num_key_value_heads=2, head_dim=8, attn_implementation="eager"),
        FalconMambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2),
    ],
    ids=["soft-capped attention", "a recurrent model"],
)
def test_a_model_whose_rows_would_mix_keeps_its_pads(config: PreTrainedConfig) -> None:
    assert longest_flat_row(_model(config)) == 0


def test_a_sliding_window_bounds_the_rows_that_may_be_laid_end_to_end() -> None:
    config = MistralConfig(**SMALL, intermediate_size=64, num_key_value_heads=2, sliding_window=12)
    assert longest_flat_row(_model(config)) == 12


def test_a_model_is_left_as_it_was(tmp_path: Path) -> None:
    model = _model(FLAT["qwen3"])
    ids = torch.tensor([[1, 2, 3, 4]])
    before = model(input_ids=ids).logits
    longest_flat_row(model)
    assert model.config._attn_implementation == "sdpa"
    assert torch.equal(model(input_ids=ids).logits, before)
    model.save_pretrained(tmp_path)
    assert "tunewright" not in (tmp_path / "config.json").read_text(encoding="utf-8")


def test_a_trial_cut_short_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C or a full device during the trial says nothing about the model: it is tried again."""
    for error in (KeyboardInterrupt, torch.OutOfMemoryError):
        model = _model(FLAT["qwen3"])

        def fail(*_: object, error: type[BaseException] = error, **__: object) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(model, "forward", fail)
            with pytest.raises(error):
                longest_flat_row(model)
        assert model.config._attn_implementation == "sdpa"
        with monkeypatch.context() as patch:
            patch.setattr(model, "forward", lambda **_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                longest_flat_row(model)
        assert longest_flat_row(model) > 10_000


def test_another_attention_is_looked_at_anew() -> None:
    model = _model(FLAT["qwen3"])
    assert longest_flat_row(model) > 10_000
    model.set_attn_implementation("eager")
    assert longest_flat_row(model) == 0
    model.set_attn_implementation("sdpa")
    assert longest_flat_row(model) > 10_000


@pytest.mark.parametrize("option", ["attention_mask", "softcap", "s_aux", "position_bias"])
def test_attention_that_is_more_than_causal_is_refused(option: str) -> None:
    q = torch.randn(1, 2, 5, 4)
    module, layout = nn.Module(), lay_out([np.array([3, 2])], CPU)
    with laid_out(module, layout):
        rows_attention(module, q, q, q)
        with pytest.raises(ValueError, match=option):
            rows_attention(module, q, q, q, **{option: torch.ones(1)})
        with pytest.raises(ValueError, match="expected the 5 tokens"):
            rows_attention(module, q, q[:, :, :4], q)


def test_a_forward_pass_that_fails_leaves_the_model_as_it_was() -> None:
    model = _model(FLAT["qwen3"])
    with pytest.raises(ValueError, match="expected the 7 tokens"), laid_out(model, lay_out([np.array([7])], CPU)):
        model(input_ids=torch.ones(1, 6, dtype=torch.long), use_cache=False)
    assert model.config._attn_implementation == "sdpa"
    other = _model(FLAT["gpt2"])  # and another one is not touched while a layout is open
    ids = torch.tensor([[1, 2, 3], [4, 5, 6]])
    before = other(input_ids=ids).logits
    with laid_out(model, lay_out([np.array([7])], CPU)):
        assert torch.equal(other(input_ids=ids).logits, before)


def test_only_attention_is_told_apart_in_a_model_with_parts() -> None:
    """The text part of a model of several keeps its window in a configuration of its own."""
    text = {**SMALL, "intermediate_size": 64, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 8}
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = Gemma3Config(
        text_config=text,
        vision_config=vision | {"image_size": 28, "patch_size": 14},
        mm_tokens_per_image=4,
        image_token_index=63,
    )
    assert longest_flat_row(_model(config)) == 8
