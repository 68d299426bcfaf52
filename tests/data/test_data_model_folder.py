"""Model facts against models that transformers itself builds, and folders that are no models."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
from transformers import AutoModelForCausalLM

from tunewright.data import model_folder
from tunewright.data.model_config import read_sizes
from tunewright.data.model_folder import (
    bundled_models,
    is_target,
    load_tokenizer,
    matrices,
    model_facts,
    resolve_model,
)
from tunewright.data.safetensors_header import read_weights
from tunewright.schema.errors import EnvironmentMissing, ModelError

Make = Callable[..., Any]
SMALL = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 128,
}
KINDS = {
    "LlamaConfig": {**SMALL, "tie_word_embeddings": False},
    "Qwen3Config": {**SMALL, "tie_word_embeddings": True},
    "Gemma2Config": SMALL,
    "Gemma3TextConfig": SMALL,
    "MistralConfig": SMALL,
    "GPT2Config": {"vocab_size": 96, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
}


@pytest.mark.parametrize("kind", KINDS)
def test_facts_are_those_of_the_model_itself(tmp_path: Path, kind: str) -> None:
    config = getattr(transformers, kind)(**KINDS[kind])
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(tmp_path)
    facts = model_facts(tmp_path)
    assert facts.parameters == sum(weight.numel() for weight in model.parameters())
    assert facts.bytes_per_weight == 4.0
    assert (facts.hidden_size, facts.layers, facts.vocab_size) == (32, 2, 96)
    assert (facts.family, facts.name) == (config.model_type, str(tmp_path))
    assert facts.context == (64 if kind == "GPT2Config" else 128)
    (tmp_path / "model.safetensors").unlink()
    estimated = model_facts(tmp_path)
    # GPT-2's biases and position table, which are not counted, weigh a tenth at this size
    assert estimated.parameters == pytest.approx(facts.parameters, rel=0.12 if "GPT" in kind else 0.03)
    assert estimated.lora_parameters(8) == pytest.approx(facts.lora_parameters(8), rel=0.15 if "GPT" in kind else 0)


def test_linear_layers_are_the_modules_lora_targets(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_config(transformers.LlamaConfig(**KINDS["LlamaConfig"]))
    model.save_pretrained(tmp_path)
    names = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    layers = [(m.in_features, m.out_features) for name, m in model.named_modules() if name.endswith(names)]
    assert sorted(model_facts(tmp_path).linear_in_out) == sorted(layers)


@pytest.mark.parametrize("kind", ["LlamaConfig", "Qwen3Config"])
def test_matrices_have_the_paths_and_sizes_of_the_layers(tmp_path: Path, kind: str) -> None:
    model = AutoModelForCausalLM.from_config(getattr(transformers, kind)(**KINDS[kind]))
    model.save_pretrained(tmp_path)
    layers = {path: layer for path, layer in model.model.named_modules(prefix="model") if hasattr(layer, "in_features")}
    found = {path: shape for path, shape in matrices(tmp_path).items() if is_target(path)}
    assert found == {path: (layer.in_features, layer.out_features) for path, layer in layers.items()}
    (tmp_path / "model.safetensors").unlink()
    assert matrices(tmp_path) == {}
    assert matrices("some/name") == {}


def test_shards_are_counted_together_and_half_width_weights_by_their_bytes(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_config(transformers.LlamaConfig(**KINDS["LlamaConfig"])).bfloat16()
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert (tmp_path / "model.safetensors.index.json").exists()
    facts = model_facts(tmp_path)
    assert facts.parameters == sum(weight.numel() for weight in model.parameters())
    assert facts.bytes_per_weight == 2.0
    sorted(tmp_path.glob("model-*.safetensors"))[1].unlink()
    with pytest.raises(ModelError, match="the index names model-00002"):
        model_facts(tmp_path)


def test_a_multimodal_config_is_read_by_its_text_part() -> None:
    config = {"model_type": "gemma3", "text_config": {**SMALL, "model_type": "gemma3_text"}, "vision_config": {}}
    sizes = read_sizes(config, "config.json")
    assert (sizes.family, sizes.hidden_size, sizes.head_size, sizes.tied) == ("gemma3", 32, 16, True)


def test_experts_count(tmp_path: Path) -> None:
    config = transformers.Qwen3MoeConfig(**SMALL, num_experts=4, moe_intermediate_size=24, tie_word_embeddings=True)
    model = AutoModelForCausalLM.from_config(config)
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    expected = sum(weight.numel() for weight in model.parameters())
    assert model_facts(tmp_path).parameters == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, r"no config\.json"),
        ("{", "not JSON"),
        ("[]", "expected an object"),
        ("{}", "no hidden_size or n_embd or d_model in it"),
        (json.dumps({**SMALL, "vocab_size": "many"}), "vocab_size = 'many', expected a positive whole number"),
        (json.dumps({**SMALL, "num_hidden_layers": 0}), "num_hidden_layers = 0"),
        (json.dumps({**SMALL, "num_attention_heads": True}), "num_attention_heads = True"),
    ],
)
def test_folders_without_a_usable_config(tmp_path: Path, config: str | None, message: str) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(ModelError, match=message):
        model_facts(tmp_path)


def header(entries: Any, data: bytes = b"") -> bytes:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + data


GOOD = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01",
        struct.pack("<Q", 2**60),
        struct.pack("<Q", 50) + b"{}",
        header(b"{" * 50),
        header(b"[" * 100_000),
        header([]),
        header({"a": 3}),
        header({"a": {"dtype": "F32", "shape": ["x"], "data_offsets": [0, 8]}}),
        header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0]}}),
        header(GOOD, b"only"),
    ],
)
def test_damaged_weights(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        read_weights(tmp_path)


def test_whole_weights(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(header({**GOOD, "__metadata__": {"format": "pt"}}, bytes(8)))
    assert [(weight.name, weight.count, weight.stored_bytes) for weight in read_weights(tmp_path)] == [("a", 2, 8)]
    (tmp_path / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(ModelError, match="not an index"):
        read_weights(tmp_path)


def test_names_of_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_folder, "BUNDLED", tmp_path)
    (tmp_path / "models" / "small").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "models" / "small")  # where no name below leads anywhere
    (tmp_path / "models" / "small" / "config.json").write_text("{}")
    assert bundled_models() == ("small",)
    assert resolve_model("small") == str(tmp_path / "models" / "small")
    assert resolve_model(str(tmp_path)) == str(tmp_path)
    assert resolve_model("Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"
    for name in ("smal", "./small", "/none/here", "a/b/c", "../x", "", "a\x00b", "x" * 5000, "~nobody-has-this/x"):
        with pytest.raises(ModelError, match="bundled models: small"):
            resolve_model(name)
    file = tmp_path / "model.gguf"
    file.touch()
    with pytest.raises(ModelError, match="a file, expected a model folder"):
        resolve_model(str(file))


def test_a_mistyped_run_is_not_looked_for_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "train-1").mkdir(parents=True)
    assert resolve_model("runs/train-2") == "runs/train-2"
    (tmp_path / "runs" / "train-1" / "run.json").write_text("{}")
    with pytest.raises(ModelError, match="no such run"):
        resolve_model("runs/train-2")


def test_a_tokenizer_of_a_folder_with_a_template_of_ones_own(tmp_path: Path, make_tokenizer: Make) -> None:
    make_tokenizer("chatml").save_pretrained(tmp_path)
    assert "im_start" in load_tokenizer(str(tmp_path)).chat_template
    template = tmp_path / "own.jinja"
    template.write_text("{{ raise_exception('only longer chats') }}")
    assert "only longer" in load_tokenizer(str(tmp_path), str(template)).chat_template
    template.write_text("{% for message in messages %}\n{{ message.content }")
    with pytest.raises(ModelError, match=r"own\.jinja, line 2: not a Jinja template"):
        load_tokenizer(str(tmp_path), str(template))
    for content in (b"\xff", None):
        if content:
            template.write_bytes(content)
        with pytest.raises(ModelError, match="cannot be read"):
            load_tokenizer(str(tmp_path), str(template) if content else str(tmp_path))


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", **SMALL}))
    with pytest.raises(ModelError, match="no usable tokenizer"):
        load_tokenizer(str(tmp_path))


def test_hub_names_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for use in (load_tokenizer, model_facts):
        with pytest.raises(EnvironmentMissing, match="neither in the local cache"):
            use("nobody/no-such-model")
