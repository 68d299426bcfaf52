"""Small random models and rows, made anew for each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    PreTrainedConfig,
    Qwen3Config,
)

from tunewright.data.tokens import TokenRow
from tunewright.engine.attention import longest_flat_row
from tunewright.engine.base import Base
from tunewright.record.run import Run, create_run
from tunewright.schema.recipe import Recipe

VOCABULARY = 64
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def config_of(family: str) -> PreTrainedConfig:
    match family:
        case "llama":
            return LlamaConfig(**SHAPE, tie_word_embeddings=False)
        case "llama-tied":
            return LlamaConfig(**SHAPE, tie_word_embeddings=True)
        case "qwen3":
            return Qwen3Config(**SHAPE, head_dim=8, tie_word_embeddings=True)
        case "gemma2":
            return Gemma2Config(**SHAPE, head_dim=8, final_logit_softcapping=5.0, sliding_window=8)
        case "gemma3":
            return Gemma3TextConfig(**SHAPE, head_dim=8, sliding_window=8)
        case "gpt2":
            return GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=128)
    raise ValueError(family)


FAMILIES = ("llama", "llama-tied", "qwen3", "gemma2", "gemma3", "gpt2")


@pytest.fixture
def make_model() -> Callable[..., nn.Module]:
    def make(family: str = "llama", seed: int = 0) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model: nn.Module = AutoModelForCausalLM.from_config(config_of(family), dtype=torch.float32)
            for parameter in model.parameters():  # the usual 0.02 makes a model of this size nearly deaf
                parameter.data.mul_(4.0) if parameter.dim() > 1 else None
        return model.eval()

    return make


@pytest.fixture
def make_base(make_model: Callable[..., nn.Module]) -> Callable[..., Base]:
    def make(family: str = "llama", **fields: Any) -> Base:
        model = make_model(family)
        longest_flat_row(model)  # now, so that tests that watch the model's forward passes see those of the run only
        return Base(
            model=model,
            tokenizer=None,
            device=torch.device("cpu"),
            dtype=torch.float32,
            folder="random",
            reason="made for a test",
            **fields,
        )

    return make


@pytest.fixture
def make_rows() -> Callable[..., list[TokenRow]]:
    """Rows that can be learned: after a prompt of random tokens the answer counts upwards from its first one."""

    def make(count: int, seed: int = 0, longest: int = 20) -> list[TokenRow]:
        random = np.random.Generator(np.random.PCG64(seed))
        rows = []
        for number in range(1, count + 1):
            prompt = random.integers(3, VOCABULARY, size=int(random.integers(2, longest // 2)))
            answer = (prompt[-1] + 1 + np.arange(int(random.integers(1, longest // 2)))) % VOCABULARY
            ids = np.concatenate([prompt, answer]).astype(np.int32)
            rows.append(TokenRow(number=number, ids=ids, supervised=np.arange(len(ids)) >= len(prompt)))
        return rows

    return make


@pytest.fixture
def make_recipe() -> Callable[..., Recipe]:
    def make(**values: Any) -> Recipe:
        usual: dict[str, Any] = {
            "model": "random",
            "data": "rows.jsonl",
            "learning_rate": 5e-3,
            "lr_scheduler_type": "constant",
            "lora_rank": 4,
            "lora_alpha": 8.0,
            "report_to": (),
        }
        return Recipe(**(usual | values))

    return make


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    def make(name: str = "run-1") -> Run:
        return create_run(tmp_path / "runs", name, about={})

    return make
