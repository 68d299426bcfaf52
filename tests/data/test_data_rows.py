"""Normalising, keys and the split: which rows are the same question, and that none is on both sides."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.data.normalise import normalised
from tunewright.data.rows import Message, Row
from tunewright.data.split import split
from tunewright.schema.errors import DataError


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Who is  Olaf?", "who is olaf"),
        ("Ｗｈｏ ｉｓ Olaf？", "Who is Olaf"),
        ("Straße", "STRASSE"),
        ("e\u0301tude", "étude"),
        ("What's\tup\u00a0there…", "whats upthere"),
    ],
)
def test_wordings_that_count_as_the_same(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


def test_symbols_keep_questions_apart() -> None:
    assert normalised("2+3") != normalised("2=3")


@given(st.text())
def test_normalised_is_idempotent(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once


@given(st.text())
def test_normalised_holds_no_punctuation_and_no_space(text: str) -> None:
    assert not [c for c in normalised(text) if c.isspace() or unicodedata.category(c)[0] in "PZ"]


@given(st.text(st.characters(max_codepoint=127)))
def test_the_fast_way_for_ascii_is_the_same(text: str) -> None:
    # A letter that is not ASCII sends the same text down the other way.
    assert normalised(text + "é") == normalised(text) + "é"


def test_the_prompt_of_a_long_chat_is_everything_before_the_last_answer(make_chat: Callable[..., Row]) -> None:
    row = make_chat(1, "A?", "a", "B?", "b", system="Be kind.")
    assert (row.prompt, row.answer) == ("Be kind.\nA?\na\nB?", "b")
    unanswered = Row(2, (*row.messages, Message("user", "C?")))
    assert unanswered.answer == "b"


def test_keys_of_raw_texts_and_of_punctuation() -> None:
    assert Row(1, text="One, two.").key == "onetwo"
    assert Row(1, (Message("user", "?"),)).key != Row(2, (Message("user", "!"),)).key


def numbered(keys: list[int]) -> list[Row]:
    return [Row(at, (Message("user", f"question {key}"), Message("assistant", "x"))) for at, key in enumerate(keys, 1)]


@given(st.lists(st.integers(0, 12), max_size=60), st.floats(0, 0.9), st.integers(0, 2**31))
def test_a_question_is_never_on_both_sides(keys: list[int], share: float, seed: int) -> None:
    rows = numbered(keys)
    train, val = split(rows, share, seed)
    assert not {row.key for row in train} & {row.key for row in val}
    assert sorted(row.number for row in (*train, *val)) == [row.number for row in rows]
    assert [row.number for row in train] == sorted(row.number for row in train)
    assert split(rows, share, seed) == (train, val)
    if share > 0 and len(set(keys)) > 1:
        assert train
        assert val
    if share == 0:
        assert not val


def test_a_share_and_a_count_are_met_exactly_when_questions_differ() -> None:
    rows = numbered(list(range(200)))
    assert len(split(rows, 0.1, 0)[1]) == 20
    assert len(split(rows, 7, 0)[1]) == 7
    assert split(rows, 0.1, 0)[1] != split(rows, 0.1, 1)[1]


def test_two_rows_of_one_question_cannot_be_split() -> None:
    assert split(numbered([1, 1]), 0.5, 0)[1] == ()


def test_validation_rows_stay_when_the_file_grows() -> None:
    rows = numbered(list(range(400)))
    before, after = split(rows[:300], 0.1, 3)[1], split(rows, 0.1, 3)[1]
    assert len({row.key for row in before} & {row.key for row in after}) >= 25


def test_a_count_that_leaves_nothing_to_train_on() -> None:
    with pytest.raises(DataError, match="val_size = 5 would leave nothing of 5 rows"):
        split(numbered([1, 2, 3, 4, 5]), 5, 0)
