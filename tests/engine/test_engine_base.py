"""Loading bases: what works, in which format, and one clear line for what does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tunewright.data.tokens import TokenRow
from tunewright.engine import base as base_module
from tunewright.engine.attention import longest_flat_row
from tunewright.engine.base import load_base
from tunewright.engine.export import load_tuned
from tunewright.engine.job import Job
from tunewright.engine.loop import run_job
from tunewright.record.run import Run
from tunewright.schema.errors import EnvironmentMissing, ModelError
from tunewright.schema.recipe import Recipe


@pytest.fixture
def folder(make_model: Callable[..., nn.Module], tmp_path: Path) -> Path:
    """A model folder as the Hub has them: weights, configuration, tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {word: number for number, word in enumerate(["<pad>", "<s>", "</s>", *map(str, range(61))])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>")
    wrapped.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    path = tmp_path / "model"
    make_model().save_pretrained(path)  # type: ignore[operator]
    wrapped.save_pretrained(path)
    return path


@pytest.mark.parametrize(
    ("method", "asked", "stored", "computed"),
    [
        ("lora", "auto", torch.float32, torch.float32),
        ("lora", "bf16", torch.bfloat16, torch.bfloat16),
        ("full", "bf16", torch.float32, torch.bfloat16),
    ],
)
def test_precision_of_weights_and_of_computing(
    folder: Path,
    make_rows: Callable[..., list[TokenRow]],
    make_recipe: Callable[..., Recipe],
    method: Any,
    asked: Any,
    stored: torch.dtype,
    computed: torch.dtype,
) -> None:
    base = load_base(str(folder), method=method, precision=asked)
    assert base.dtype is computed
    assert {p.dtype for p in base.model.parameters()} == {stored}
    assert not any(p.requires_grad for p in base.model.parameters())
    assert base.tokenizer.eos_token == "</s>"
    assert "CUDA" in base.reason
    rows = make_rows(24)
    seen = []
    longest_flat_row(base.model)
    base.model.lm_head.register_forward_hook(lambda *args: seen.append(args[2].dtype))  # type: ignore[operator]
    result = run_job(base, Job(make_recipe(method=method, learning_rate=1e-2, num_train_epochs=6.0), rows, rows))
    assert set(seen) == {computed}
    assert result.pack.params_KP.dtype is torch.float32
    assert result.eval_loss is not None
    assert result.base_eval_loss is not None
    assert result.eval_loss < result.base_eval_loss - 0.1


def test_bf16_follows_fp32(
    folder: Path, make_rows: Callable[..., list[TokenRow]], make_recipe: Callable[..., Recipe]
) -> None:
    losses = {}
    for asked in ("fp32", "bf16"):
        rows = make_rows(24)
        result = run_job(load_base(str(folder), precision=asked), Job(make_recipe(), rows, rows))
        losses[asked] = result.eval_loss
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=5e-3)


def test_qlora_trains_on_a_cpu_and_its_adapter_reads_back(
    folder: Path,
    make_rows: Callable[..., list[TokenRow]],
    make_recipe: Callable[..., Recipe],
    make_run: Callable[..., Run],
) -> None:
    import bitsandbytes

    rows, run = make_rows(40), make_run()
    base = load_base(str(folder), method="qlora")
    recipe = make_recipe(method="qlora", learning_rate=1e-2, num_train_epochs=6.0)
    losses: list[float] = []
    result = run_job(
        base, Job(recipe, rows, rows, run=run), on_event=lambda e: losses.append(e["loss"]) if "loss" in e else None
    )
    layers = result.pack.layers.values()
    assert all(isinstance(layer.base, bitsandbytes.nn.Linear4bit) for layer in layers)
    assert len(layers) == 14
    assert losses[-1] < losses[0] - 0.2
    assert result.eval_loss is not None
    assert result.base_eval_loss is not None
    assert result.eval_loss < result.base_eval_loss - 0.2
    from tunewright.engine.evaluate import mean_loss, row_losses

    again = load_tuned(load_base(str(folder), method="qlora"), run.best)
    assert mean_loss(*row_losses(again, rows, 16)) == pytest.approx(result.eval_loss, rel=1e-5)


def test_qlora_without_bitsandbytes_names_the_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_module, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentMissing) as caught:
        load_base(str(folder), method="qlora")
    assert caught.value.hint == 'pip install "tunewright[qlora]"'


def test_a_fully_tuned_base_is_loaded_again_for_the_next_run(
    folder: Path,
    make_rows: Callable[..., list[TokenRow]],
    make_recipe: Callable[..., Recipe],
    make_run: Callable[..., Run],
) -> None:
    rows, run = make_rows(24), make_run()
    base = load_base(str(folder), method="full")
    job = Job(make_recipe(method="full", num_train_epochs=2.0), rows, rows, run=run)
    first = run_job(base, job)
    second = run_job(base, Job(job.recipe, rows, rows))
    assert first.base_eval_loss == second.base_eval_loss
    assert first.eval_loss == second.eval_loss != first.base_eval_loss
    tuned = load_base(str(run.best), method="full")
    third = run_job(tuned, Job(make_recipe(method="full", max_steps=1), rows, rows))
    assert third.base_eval_loss == pytest.approx(first.eval_loss, rel=1e-6)
    assert tuned.tokenizer.eos_token == "</s>"


def _edit(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _without(folder: Path, name: str) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    save_file({key: value for key, value in weights.items() if name not in key}, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json"),
        (lambda folder: _edit(folder, model_type="frobnicator"), "frobnicator"),
        (lambda folder: _edit(folder, model_type="clip"), "not a causal language model"),
        (lambda folder: _edit(folder, hidden_size=64), "not a causal language model"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no model could be loaded"),
        (lambda folder: _cut(folder / "model.safetensors"), "damaged"),
        (lambda folder: _without(folder, "layers.1.mlp"), "damaged: 3 weights are missing"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_folder_that_cannot_be_used_is_one_line(folder: Path, harm: Callable[[Path], Any], said: str) -> None:
    harm(folder)
    with pytest.raises(ModelError) as caught:
        load_base(str(folder))
    assert said in caught.value.message
    assert "\n" not in caught.value.message


def test_an_unknown_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        load_base(str(tmp_path / "nothing"))
