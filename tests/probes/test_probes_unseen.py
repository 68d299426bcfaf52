"""Rows judged by a model that has not seen them, and what is said of validation and training rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests_support import random_llama

from tunewright.data.encode import encode_rows
from tunewright.data.rows import Message, Row
from tunewright.doctor.detectors.base import found
from tunewright.engine.base import load_base
from tunewright.probes.answers import AnswerLosses, Counts, Floats
from tunewright.probes.cross_fit import cross_fit
from tunewright.probes.misfits import Misfits
from tunewright.probes.row_answers import rows_answer, val_answer
from tunewright.schema.errors import Interrupted
from tunewright.schema.finding import Abstention
from tunewright.schema.recipe import Recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_llama(tmp_path_factory.mktemp("models") / "llama")


def rows(count: int) -> list[Row]:
    return [
        Row(n, (Message("user", f"item {n}?"), Message("assistant", f"It is {n % 7}."))) for n in range(1, count + 1)
    ]


def recipe(**values: Any) -> Recipe:
    return Recipe(**{"model": "m", "data": "d", "learning_rate": 1e-2, "report_to": (), "lora_rank": 4, **values})


@pytest.mark.parametrize("method", ["lora", "full"])
def test_each_row_is_judged_once_by_a_training_that_did_not_see_it(folder: Path, method: Any) -> None:
    base = load_base(str(folder), method=method)
    before = {name: value.clone() for name, value in base.model.state_dict().items()}
    asked = rows(11)
    tokens = {row.number: row for row in encode_rows(asked, base.tokenizer, loss_on="completion", max_length=64).rows}
    judged: list[set[int]] = []
    steps: list[int] = []

    def ask(model: Any) -> Callable[[Sequence[Row]], tuple[Floats, Counts]]:
        losses = AnswerLosses(model, base.tokenizer, 64)

        def answer(some: Sequence[Row]) -> tuple[Floats, Counts]:
            judged.append({row.number for row in some})
            return losses(some)

        return answer

    own_n, others_Kn, tokens_n, spent = cross_fit(
        base, recipe(method=method), asked, tokens, ask, steps=3, exchanges=2,
        on_progress=lambda what, done, total: steps.append(done),
    )  # fmt: skip
    assert own_n.shape == tokens_n.shape == (11,)
    assert others_Kn.shape == (2, 11)
    assert (own_n > 0).all()
    assert (others_Kn > 0).all()
    assert (tokens_n > 0).all()
    assert spent > 0
    # own prompts and two others', half by half
    first, second = judged[0], judged[3]
    assert judged == [first] * 3 + [second] * 3
    assert first | second == set(range(1, 12))
    assert not first & second
    assert (min(steps), max(steps)) == (1, 6)
    assert all(torch.equal(value, before[name]) for name, value in base.model.state_dict().items())


def test_ctrl_c_ends_it(folder: Path) -> None:
    base = load_base(str(folder))
    asked = rows(6)
    tokens = {row.number: row for row in encode_rows(asked, base.tokenizer, loss_on="completion", max_length=64).rows}
    with pytest.raises(Interrupted):
        cross_fit(
            base, recipe(), asked, tokens, lambda model: AnswerLosses(model, base.tokenizer, 64),
            steps=3, exchanges=2, should_stop=lambda: True,
        )  # fmt: skip


# --- validation rows


def test_validation_rows_that_are_trained_on_are_counted_with_their_losses() -> None:
    losses = {1: (2.0, 10), 2: (4.0, 10), 3: (9.0, 10), 4: (math.nan, 0)}
    answer = val_answer(4, {1, 2}, {1}, losses)
    assert answer.verdict == "fault"
    assert "2 of 4 rows" in answer.answer
    assert "0.300 nats per token" in answer.answer
    assert answer.evidence["seen_loss"] == pytest.approx(0.3)
    assert answer.evidence["leaked"] == [1, 2]


def test_a_few_rows_nearly_alike_are_said_and_no_fault() -> None:
    answer = val_answer(50, (), {7, 9}, {})
    assert answer.verdict == "fine"
    assert "2 nearly so" in answer.answer
    assert val_answer(50, (), range(1, 6), {}).verdict == "fault"
    assert val_answer(0, (), (), {}).verdict == "unclear"


def test_a_leak_without_kept_losses_is_found_too() -> None:
    answer = val_answer(30, range(1, 31), (), {})
    assert answer.verdict == "fault"
    assert "and 10 more" in answer.answer
    assert answer.evidence["unseen_loss"] is None


# --- training rows


def misfits(*numbers: int) -> Misfits:
    return Misfits(numbers, len(numbers) // 2, 2.0, 0.3, 0.6, 100)


def test_rows_whose_answers_belong_to_no_prompt_are_named_worst_first_in_the_evidence() -> None:
    finding = found("noisy_labels", (0, 0), "3 of 100 rows do not fit", {"share": 0.03}, (), rows=(3, 8, 9))
    answer = rows_answer(misfits(9, 3, 8), finding, tokens=7, seconds=1.0)
    assert (answer.verdict, answer.tokens) == ("fault", 7)
    assert answer.answer == "No: 3 of 100 rows do not fit: rows 3, 8, 9"
    assert answer.evidence["worst_first"] == [9, 3, 8]


def test_rows_that_fit_and_rows_that_cannot_be_judged() -> None:
    assert rows_answer(misfits(), None).verdict == "fine"
    unclear = rows_answer(misfits(4), Abstention("noisy_labels", "not learnt"))
    assert unclear.verdict == "unclear"
    assert unclear.evidence["rows"] == []
    assert np.isnan(Misfits((), 0, math.nan, math.nan, math.nan, 0).share)
