"""New tokens: a base with a larger vocabulary is trained with its embeddings, and they come with the adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests_support import random_model
from transformers import AutoModelForCausalLM, AutoTokenizer

import tunewright as tw
from tunewright.cli.main import run as cli
from tunewright.engine.base import load_base
from tunewright.engine.export import load_tuned

TOKEN = "<ferry>"
# both copies of a tied embedding are saved with the same values
pytestmark = pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")


def with_token(folder: Path, family: str, *, resized: bool) -> str:
    """A small base with one more token in its tokenizer, and room for it in its embeddings or not."""
    random_model(folder, family)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": [TOKEN]})
    tokenizer.save_pretrained(folder)
    if resized:
        model = AutoModelForCausalLM.from_pretrained(folder)
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        model.save_pretrained(folder)
    return str(folder)


def data_of(folder: Path) -> str:
    rows = [{"prompt": f"{TOKEN} What is item {n}?", "completion": f"It is {n % 5} {TOKEN}."} for n in range(40)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder / "rows.jsonl")


def logits(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(torch.tensor([ids])).logits
    return found


@pytest.mark.parametrize(
    ("family", "saved"),
    [("llama", ("embed_tokens", "lm_head")), ("llama", ("embed_tokens",)), ("qwen3", ("embed_tokens",))],
)
def test_a_new_token_is_trained_and_peft_answers_alike(tmp_path: Path, family: str, saved: tuple[str, ...]) -> None:
    from peft import PeftModel

    model = with_token(tmp_path / "model", family, resized=True)
    answer = tw.train(
        data_of(tmp_path), model=model, runs_dir=tmp_path / "runs", max_steps=6, modules_to_save=saved,
        learning_rate=1e-3, report_to=(),
    )  # fmt: skip
    base = load_base(model)
    ids = base.tokenizer(f"{TOKEN} What is item 3?")["input_ids"]
    new = base.tokenizer.convert_tokens_to_ids(TOKEN)
    assert new in ids
    untrained = AutoModelForCausalLM.from_pretrained(model)
    first = logits(untrained, ids)
    theirs = PeftModel.from_pretrained(untrained, answer["adapter"])
    their_logits = logits(theirs, ids)
    pack = load_tuned(base, Path(answer["adapter"]))
    with pack.computing():
        ours = logits(base.model, ids)
    torch.testing.assert_close(ours, their_logits, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(their_logits, first, atol=1e-3)
    trained = theirs.get_input_embeddings().weight[new]
    assert not torch.equal(trained, AutoModelForCausalLM.from_pretrained(model).get_input_embeddings().weight[new])


def test_a_token_the_model_has_no_embedding_for_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, data = with_token(tmp_path / "model", "llama", resized=False), data_of(tmp_path)
    capsys.readouterr()
    assert cli(["train", data, "--model", model, "--runs-dir", str(tmp_path / "runs"), "--no-progress"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert f"({TOKEN}), but the model has embeddings for" in said[0]
    assert "resize_token_embeddings" in said[1]
    assert not (tmp_path / "runs").exists()


def test_a_token_that_no_row_has_is_no_reason_to_refuse(tmp_path: Path) -> None:
    model = with_token(tmp_path / "model", "llama", resized=False)
    data = tmp_path / "plain.jsonl"
    data.write_text("".join(json.dumps({"prompt": f"Item {n}?", "completion": f"{n}."}) + "\n" for n in range(30)))
    assert tw.check(str(data), model=model)["ok"]
