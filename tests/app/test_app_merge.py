"""A merged folder answers as base and adapter do, for every kind of adapter and architecture, or is not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests_support import random_model
from transformers import AutoModelForCausalLM, AutoTokenizer

import tunewright as tw
from tunewright.cli.main import run as command
from tunewright.data.sources import demo_files
from tunewright.engine.base import quiet
from tunewright.engine.peft_folder import put_on
from tunewright.schema.errors import ModelError, RunFailed, UsageError

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning"),
]
IDS = torch.arange(4, 44).view(2, 20)


def load(folder: str | Path) -> Any:
    with quiet():
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS, use_cache=False).logits
    return found


def gpt2(folder: Path) -> Path:
    from tests_support import save_tokenizer
    from transformers import GPT2Config

    vocab = save_tokenizer(folder)
    torch.manual_seed(0)
    small = GPT2Config(vocab_size=vocab, n_embd=64, n_layer=2, n_head=4, n_positions=128, eos_token_id=3)
    AutoModelForCausalLM.from_config(small).save_pretrained(folder)
    return folder


def adapter(base: Path, folder: Path, **config: Any) -> Path:
    """A folder as PEFT's own ``save_pretrained`` leaves it, every number of it far from where it began."""
    import warnings

    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    usual = {"r": 4, "lora_alpha": 16, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = get_peft_model(load(base), LoraConfig(**(usual | config)))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter) * (0.1 if "lora" in name else 0.05))
        model.save_pretrained(folder)
    return folder


BASES: dict[str, Callable[[Path], Path]] = {
    "llama": lambda folder: random_model(folder, "llama"),
    "qwen3, tied": lambda folder: random_model(folder, "qwen3"),
    "gemma3, tied": lambda folder: random_model(folder, "gemma3"),
    "gpt2, Conv1D and tied": gpt2,
}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rsLoRA": {"use_rslora": True},
    "DoRA": {"use_dora": True},
    "ranks by layer": {"rank_pattern": {"c_fc|up_proj": 2}, "alpha_pattern": {"c_fc|up_proj": 3}},
    "trained embeddings": {"modules_to_save": ["embed_tokens", "wte"]},
    "trained head": {"modules_to_save": ["lm_head"]},
}


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_merged_folder_gives_the_logits_of_base_and_adapter(tmp_path: Path, base: str, kind: str) -> None:
    model = BASES[base](tmp_path / "base")
    folder = adapter(model, tmp_path / "adapter", **KINDS[kind])
    answer = tw.merge(folder, out=tmp_path / "merged")
    expected = logits(put_on(load(model), folder))
    assert not torch.allclose(expected, logits(load(model)), atol=1e-2)
    torch.testing.assert_close(logits(load(tmp_path / "merged")), expected, rtol=1e-4, atol=1e-4)
    assert answer["largest_difference"] < 1e-4
    assert answer["model"] == str(model)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(model).chat_template


def test_new_tokens_of_an_adapter_come_along(tmp_path: Path) -> None:
    import warnings

    from peft import LoraConfig, get_peft_model

    base = random_model(tmp_path / "base", "llama")
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["<call>", "</call>"])
    model = load(base)
    rows = model.get_input_embeddings().weight.shape[0] + 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.resize_token_embeddings(rows)
        saved = ["embed_tokens", "lm_head"]
        worn = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=saved))
        worn.save_pretrained(tmp_path / "adapter")
    tokenizer.save_pretrained(tmp_path / "adapter")
    tw.merge(tmp_path / "adapter", out=tmp_path / "merged")
    merged = load(tmp_path / "merged")
    assert merged.get_input_embeddings().weight.shape[0] == rows
    assert "<call>" in AutoTokenizer.from_pretrained(tmp_path / "merged").get_vocab()
    torch.testing.assert_close(logits(merged), logits(worn.eval()))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    demo = demo_files()
    folder = tmp_path_factory.mktemp("runs")
    return tw.train(
        str(demo["train"]), model=str(demo["model"]), runs_dir=folder, name="short", max_steps=12, report_to=()
    )


def test_a_run_merged_generates_what_the_tuned_model_answers(trained: dict[str, Any], tmp_path: Path) -> None:
    from tunewright.engine.base import load_base
    from tunewright.engine.export import load_tuned
    from tunewright.examiner.ask import answer_all

    question = "Who is the captain of the Sihi?"
    tw.merge(trained["run"], out=tmp_path / "merged")
    base = load_base("tiny")
    load_tuned(base, Path(trained["adapter"]))
    said = answer_all(base.model, base.tokenizer, [question]).texts[0]
    merged, tokenizer = load(tmp_path / "merged"), AutoTokenizer.from_pretrained(tmp_path / "merged")
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.no_grad():
        made = merged.generate(**asked, do_sample=False, max_new_tokens=128)
    reply = made[0, asked["input_ids"].shape[1] :]
    assert tokenizer.decode(reply, skip_special_tokens=True).strip() == said
    assert len(reply) < 128  # the template's end token ends it


def test_a_qlora_run_is_taken_back_from_four_bits_and_says_so(tmp_path: Path, capsys: Any) -> None:
    from tunewright.engine.base import load_base
    from tunewright.engine.export import load_tuned

    demo = demo_files()
    run = tw.train(
        str(demo["train"]), model=str(demo["model"]), method="qlora", runs_dir=tmp_path, name="q", max_steps=3,
        report_to=(),
    )  # fmt: skip
    assert command(["merge", run["run"], "-o", str(tmp_path / "merged")]) == 0
    assert "taken back from 4 bits" in capsys.readouterr().out
    base = load_base(str(demo["model"]), method="qlora")
    load_tuned(base, Path(run["adapter"]))
    merged = load(tmp_path / "merged")
    assert not hasattr(merged.config, "quantization_config")
    torch.testing.assert_close(logits(merged), logits(base.model), rtol=1e-4, atol=1e-3)


def test_a_base_stored_in_bf16_stays_so_unless_asked(tmp_path: Path) -> None:
    model = random_model(tmp_path / "base", "llama")
    load(model).to(torch.bfloat16).save_pretrained(model)
    folder = adapter(model, tmp_path / "adapter")
    assert tw.merge(folder, out=tmp_path / "a")["precision"] == "bfloat16"
    exact = tw.merge(folder, out=tmp_path / "b", precision="fp32")
    assert exact["precision"] == "float32"
    assert exact["largest_difference"] < 1e-4
    assert json.loads((tmp_path / "a" / "config.json").read_text())["dtype"] == "bfloat16"


def harmed(config: dict[str, Any] | None = None, weights: bytes | None = None) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        if config is not None:
            path = folder / "adapter_config.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | config))
        if weights is not None:
            (folder / "adapter_model.safetensors").write_bytes(weights)

    return make


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (harmed(weights=b"\x10" * 40), "cannot use this adapter"),
        (harmed(config={"r": 8}), "cannot use this adapter"),
        (harmed(config={"target_modules": ["query"]}), "cannot use this adapter"),
        (harmed(config={"target_modules": ["q_proj"]}), "does not fit this base"),
        (harmed(config={"peft_type": "NEW"}), "cannot use this adapter"),
        (harmed(config={"base_model_name_or_path": None}), "does not say which base"),
        (harmed(config={"base_model_name_or_path": "./gone"}), "its base model"),
        (lambda folder: (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin"), "pickled"),
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "damaged"),
    ],
)
def test_an_adapter_that_cannot_be_used_is_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: Any, harm: Callable[[Path], None], said: str
) -> None:
    folder = adapter(random_model(tmp_path / "base", "llama"), tmp_path / "adapter")
    harm(folder)
    before = sorted(tmp_path.iterdir())
    assert command(["merge", str(folder), "-o", str(tmp_path / "merged")]) == 2
    shown = capsys.readouterr().err.strip().splitlines()
    errors = [line for line in shown if line.startswith("error: ")]
    assert len(errors) == 1
    assert said in errors[0]
    assert sorted(tmp_path.iterdir()) == before


def test_refusals(trained: dict[str, Any], tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    with pytest.raises(UsageError, match="already there"):
        tw.merge(trained["run"], out=there)
    assert not list(there.iterdir())
    with pytest.raises(UsageError, match="not a run folder"):
        tw.merge(tmp_path / "nowhere", out=tmp_path / "new")
    with pytest.raises(UsageError, match="no folder"):
        tw.merge(trained["run"], out="")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "recipe.yaml").write_text((Path(trained["run"]) / "recipe.yaml").read_text())
    with pytest.raises(UsageError, match="no best/"):
        tw.merge(empty, out=tmp_path / "new")
    with pytest.raises(ModelError, match="its base model"):
        tw.merge(trained["run"], out=tmp_path / "new", model="./nowhere")
    assert not (tmp_path / "new").exists()


def test_a_fully_tuned_run_has_nothing_to_merge(tmp_path: Path) -> None:
    demo = demo_files()
    run = tw.train(
        str(demo["train"]), model=str(demo["model"]), method="full", runs_dir=tmp_path, name="f", max_steps=1,
        report_to=(),
    )  # fmt: skip
    with pytest.raises(UsageError, match="no adapter to merge"):
        tw.merge(run["run"], out=tmp_path / "new")


def test_a_merge_that_answers_otherwise_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunewright.engine import peft_folder

    folder = adapter(random_model(tmp_path / "base", "llama"), tmp_path / "adapter", lora_alpha=400)
    monkeypatch.setattr(peft_folder, "merged", lambda worn, of: worn.unload())  # the adapter is lost
    with pytest.raises(RunFailed, match="answers otherwise"):
        tw.merge(folder, out=tmp_path / "merged")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base"]
