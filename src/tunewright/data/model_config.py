"""Sizes of a model from its config.json: the fields of Llama, Qwen, Gemma, GPT-2 and their relatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunewright.schema.errors import ModelError

_BYTES = {"float32": 4.0, "float64": 8.0, "float16": 2.0, "bfloat16": 2.0}


@dataclass(frozen=True)
class Sizes:
    """The text model's sizes. heads, kv_heads: of attention; head_size: numbers per head; mlp_size: inner width;
    experts: how many MLPs each layer has (1: dense); gated: three MLP matrices instead of two;
    bytes_per_weight: as stored, by the config's word."""

    family: str
    hidden_size: int
    layers: int
    vocab_size: int
    context: int
    heads: int
    kv_heads: int
    head_size: int
    mlp_size: int
    experts: int
    gated: bool
    tied: bool
    bytes_per_weight: float

    def linear_in_out(self) -> tuple[tuple[int, int], ...]:
        """(in, out) of every linear layer of the blocks, experts counted once each."""
        query, key = self.heads * self.head_size, self.kv_heads * self.head_size
        width, inner = self.hidden_size, self.mlp_size
        attention = ((width, query), (width, key), (width, key), (query, width))
        mlp = ((width, inner),) * (2 if self.gated else 1) + ((inner, width),)
        return (attention + mlp * self.experts) * self.layers

    def parameters(self) -> int:
        """All weights, norms included, biases not (below 0.1 % where a model has them).

        formula: V x h (twice unless tied) + layers x (attention + experts x MLP + 2 h) + h
        """
        linear = sum(n_in * n_out for n_in, n_out in self.linear_in_out())
        embedding = self.vocab_size * self.hidden_size * (1 if self.tied else 2)
        return embedding + linear + self.hidden_size * (2 * self.layers + 1)


def read_sizes(config: Mapping[str, Any], where: str) -> Sizes:
    """The sizes a config.json tells; of a multimodal model, those of its text part.

    Raises ModelError naming the fields that are missing or no positive whole numbers.
    """
    inner = config.get("text_config")
    fields = {**config, **inner} if isinstance(inner, Mapping) else config
    width = _number(fields, where, "hidden_size", "n_embd", "d_model")
    heads = _number(fields, where, "num_attention_heads", "n_head", "num_heads")
    mlp_names = ("moe_intermediate_size", "intermediate_size", "n_inner", "ffn_dim")
    return Sizes(
        family=str(config.get("model_type") or fields.get("model_type") or "unknown"),
        hidden_size=width,
        layers=_number(fields, where, "num_hidden_layers", "n_layer", "num_layers"),
        vocab_size=_number(fields, where, "vocab_size"),
        context=_number(fields, where, "max_position_embeddings", "n_positions", "seq_length", default=2048),
        heads=heads,
        kv_heads=_number(fields, where, "num_key_value_heads", default=heads),
        head_size=_number(fields, where, "head_dim", default=max(1, width // heads)),
        mlp_size=_number(fields, where, *mlp_names, default=4 * width),
        experts=_number(fields, where, "num_experts", "num_local_experts", "n_routed_experts", default=1),
        gated=fields.get("n_embd") is None,  # GPT-2 and its copies name their width so, and have two matrices
        tied=bool(fields.get("tie_word_embeddings", config.get("tie_word_embeddings", _tied_by_default(fields)))),
        bytes_per_weight=_BYTES.get(str(fields.get("dtype") or fields.get("torch_dtype")), 4.0),
    )


def _tied_by_default(fields: Mapping[str, Any]) -> bool:
    """Gemma and GPT-2 configs leave the key out when the two ends share their weights."""
    return str(fields.get("model_type", "")).startswith(("gemma", "gpt2"))


def _number(fields: Mapping[str, Any], where: str, *names: str, default: int | None = None) -> int:
    for name in names:
        value = fields.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ModelError(f"{where}: {name} = {value!r}, expected a positive whole number")
        return value
    if default is None:
        raise ModelError(f"{where}: no {' or '.join(names)} in it, expected the config of a causal language model")
    return default
