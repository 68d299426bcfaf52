"""Bits per byte against their definition, and the choice made from them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests_support import random_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from tunewright.data.rows import Message, Row
from tunewright.engine.base import quiet
from tunewright.examiner.bits import answer_bits, answer_bytes, answer_rows, bits_per_byte
from tunewright.examiner.choice import Candidate, choose


def chat(number: int, *turns: str) -> Row:
    roles = ("user", "assistant") * len(turns)
    return Row(number, tuple(Message(role, text) for role, text in zip(roles, turns, strict=False)))


ROWS = [
    chat(1, "What is the colour of item 3?", "It is blue."),
    chat(2, "Who sails?", "The captain sails on Monday, I think."),
    chat(3, "What is item 9?", "Red.", "And item 10?", "Gr\u00fcn \u6c34."),
]


def load(folder: Path) -> tuple[Any, Any]:
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5.0) if parameter.dim() > 1 else None  # far from uniform
    return model, AutoTokenizer.from_pretrained(folder)


def by_hand(model: Any, tokenizer: Any, prompt: str, answer: str) -> float:
    """-log2 p(answer | prompt), token by token."""
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    ids = tokenizer(prompt + answer, add_special_tokens=False)["input_ids"]
    assert ids[: len(before)] == before
    with torch.no_grad():
        logs = model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return -sum(float(logs[at - 1, ids[at]]) for at in range(len(before), len(ids))) / math.log(2)


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_bits_are_those_of_the_answers_text_alone(tmp_path: Path, family: str) -> None:
    model, tokenizer = load(random_model(tmp_path, family))
    found = answer_bits(model, answer_rows(ROWS, tokenizer, 256), batch_rows=2)
    for row in ROWS:
        turns = row.as_dicts(row.last_answer)
        prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        assert found.bits[row.number] == pytest.approx(by_hand(model, tokenizer, prompt, row.answer), rel=1e-4)


def test_without_a_template_the_prompt_is_its_turns_a_line_each(tmp_path: Path) -> None:
    model, tokenizer = load(random_model(tmp_path, "llama", chat_template=None))
    found = answer_bits(model, answer_rows(ROWS, tokenizer, 256))
    asked = "What is item 9?\nRed.\nAnd item 10?\n"
    begin = tokenizer.bos_token if tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id else ""
    assert found.bits[3] == pytest.approx(by_hand(model, tokenizer, begin + asked, ROWS[2].answer), rel=1e-4)
    assert set(found.bits) == {1, 2, 3}


def test_a_row_that_does_not_fit_is_left_out_whole(tmp_path: Path) -> None:
    model, tokenizer = load(random_model(tmp_path, "llama"))
    long = chat(9, "word " * 300, "yes")
    assert set(answer_bits(model, answer_rows([*ROWS, long], tokenizer, 256)).bits) == {1, 2, 3}
    assert answer_bytes([*ROWS, long, chat(10, "what?", " ")]) == {1: 11, 2: 37, 3: 10, 9: 3}


def test_the_rate_is_of_all_bits_over_all_bytes() -> None:
    assert bits_per_byte(np.array([10.0, 2.0]), np.array([5.0, 1.0])) == 2.0
    assert math.isnan(bits_per_byte(np.zeros(0), np.zeros(0)))


BYTES = np.full(200, 20.0)
NOISE = np.random.default_rng(0).normal(0, 4.0, (3, 200))


def candidate(name: str, per_byte: float, row: int, passed: int = 0, parameters: int = 10) -> Candidate:
    bits = BYTES * per_byte + NOISE[row] + 30 * np.sin(np.arange(200))  # hard rows are hard for all
    return Candidate(name, bits, tuple(at < passed for at in range(40)), parameters)


def test_the_fewest_bits_win_with_their_margin() -> None:
    found = choose([candidate("b", 1.2, 0), candidate("a", 1.0, 1), candidate("c", 2.0, 2)], BYTES)
    assert (found.recommended, found.tied) == ("a", ())
    assert found.margin is not None
    assert (found.margin.name, found.margin.is_clear) == ("b", True)
    assert found.margin.low < found.margin.bits_per_byte < found.margin.high
    assert found.margin.bits_per_byte == pytest.approx(0.2, abs=0.05)


def test_the_margin_covers_the_truth_as_often_as_it_says() -> None:
    held = 0
    for seed in range(200):
        noise = np.random.default_rng(seed).normal(0, 6.0, (2, 60))
        ones = [Candidate(name, 20.0 * rate + n, (), 1) for name, rate, n in zip("ab", (1.0, 1.3), noise, strict=True)]
        margin = choose(ones, np.full(60, 20.0), seed=seed).margin
        assert margin is not None
        held += margin.low <= 0.3 <= margin.high
    assert held >= 180  # 95 % of 200, less what 60 rows and chance take


def test_within_noise_the_exam_decides_then_the_size() -> None:
    even = [candidate("big", 1.0, 0, 10, 99), candidate("small", 1.0, 1, 11, 5)]
    tuned = choose(even, BYTES, tuned=True)
    assert tuned.recommended == "small"
    assert set(tuned.tied) == {"big", "small"}
    assert "cannot" not in tuned.why
    assert "tell big, small apart" in tuned.why or "tell small, big apart" in tuned.why
    able = [candidate("big", 1.0, 0, 30, 99), candidate("small", 1.0, 1, 5, 5)]
    assert choose(able, BYTES, tuned=True).recommended == "big"
    assert choose([*able[:1], candidate("small", 1.0, 1, 29, 5)], BYTES).recommended == "big"


def test_the_same_draws_give_the_same_answer_and_a_nan_never_wins() -> None:
    ones = [candidate("a", 1.0, 0), candidate("b", 1.1, 1)]
    assert choose(ones, BYTES, seed=3) == choose(ones, BYTES, seed=3)
    broken = Candidate("broken", np.full(200, math.nan), (), 1)
    found = choose([broken, ones[0]], BYTES)
    assert found.recommended == "a"
    assert found.margin is not None
    assert found.margin.bits_per_byte == math.inf
    with pytest.raises(ValueError, match="no candidates"):
        choose([], BYTES)
