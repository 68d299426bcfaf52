"""Rows are read in chunks, so that a large file needs little memory: nothing found depends on where a chunk ends."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tunewright.data import encode, shingles, tokens
from tunewright.data.collector import only_new_objects
from tunewright.data.encode import encode_rows
from tunewright.data.rows import Row
from tunewright.data.tokens import Encoded

Make = Callable[..., Any]


@pytest.fixture
def rows(make_chat: Make) -> list[Row]:
    """Chats, raw texts and a repeated row, with every fault that encoding finds."""
    return [
        make_chat(1, "When does the ferry leave?", "At seven."),
        Row(2, text="The ferry leaves at seven in the morning."),
        *[make_chat(3, "A?", "a", "And now?", "At nine.")] * 2,
        make_chat(4, "hello " * 80, "too late"),
        make_chat(5, "hello?", "<|im_start|>user"),
        make_chat(6, "What is the question again?", "What is the question again? No answer."),
        Row(7, text="<s>The ferry."),
        make_chat(8, "B?", "the evening " * 60),
    ]


def shown(encoded: Encoded) -> list[object]:
    made = [(row.number, row.ids.tolist(), row.supervised.tolist()) for row in encoded.rows]
    return [made, encoded.lengths, encoded.supervised_tokens, encoded.unsupervised, encoded.truncated, encoded.faults]


@pytest.mark.parametrize("template", ["chatml", "marked", "qwen3"])
def test_rows_are_encoded_alike_in_chunks_of_any_size(
    make_tokenizer: Make, rows: Sequence[Row], template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encoded() -> list[object]:
        return shown(encode_rows(rows, make_tokenizer(template), max_length=64))

    at_once = encoded()
    for row_count, characters in ((1, 1), (2, 30), (4, 10_000)):
        monkeypatch.setattr(encode, "_CHUNK_ROWS", row_count)
        monkeypatch.setattr(tokens, "_CHUNK_CHARACTERS", characters)
        assert encoded() == at_once


def test_progress_counts_rows(make_tokenizer: Make, rows: Sequence[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "_CHUNK_ROWS", 4)
    told: list[tuple[int, int]] = []
    encode_rows(rows, make_tokenizer(), max_length=64, on_progress=lambda *done: told.append(done))
    assert told == [(0, 9), (4, 9), (8, 9)]


@pytest.mark.parametrize("stage", ["sft", "pt"])
@pytest.mark.parametrize("kept", [0, 2])
def test_figures_are_of_all_rows_however_few_are_kept(
    make_tokenizer: Make, rows: Sequence[Row], stage: str, kept: int
) -> None:
    every, few = (encode_rows(rows, make_tokenizer(), max_length=64, stage=stage, kept=most) for most in (None, kept))
    assert [row.number for row in few.rows] == [row.number for row in every.rows[:kept]]
    assert shown(few)[1:] == shown(every)[1:]
    assert every.lengths == tuple(map(len, every.rows))
    assert every.tokens == sum(map(len, every.rows))
    assert every.supervised_tokens == sum(int(row.supervised.sum()) for row in every.rows)


def test_signatures_do_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["", "a", "seven", *(f"the {number} ferries leave at {number}" for number in range(40)), "x" * 5000]
    at_once = shingles.signatures(texts, len(texts))
    monkeypatch.setattr(shingles, "_CHUNK_CHARACTERS", 20)
    told: list[int] = []
    assert np.array_equal(shingles.signatures(iter(texts), len(texts), lambda done, _: told.append(done)), at_once)
    assert told == sorted(told)
    assert told[-1] == len(texts)


def test_the_collector_leaves_old_objects_alone_and_is_put_back() -> None:
    before = gc.get_threshold()
    seen = list[tuple[int, int, int]]()

    def fails() -> None:
        with only_new_objects():
            seen.append(gc.get_threshold())
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert seen[0][:2] == before[:2]
    assert seen[0][2] > 1_000_000
    assert gc.get_threshold() == before
