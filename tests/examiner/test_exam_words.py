"""Words and numbers as scorers see them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.examiner.words import plain_text, texts, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("112", ["112"]),
        ("It is 3.5.", ["it", "is", "3.5"]),
        ("1,200 and 12,34", ["1200", "and", "12,34"]),
        ("12, 13", ["12", "13"]),
        ("-12", ["-12"]),
        ("\u221212", ["-12"]),
        ("5-12", ["5", "12"]),
        ("at 7:30", ["at", "7:30"]),
        ("twenty-one", ["21"]),
        ("one hundred and twelve", ["112"]),
        ("two thousand three hundred and five men", ["2305", "men"]),
        ("seven two", ["7", "2"]),
        ("hundred", ["hundred"]),
        ("two hundred and a half", ["200", "and", "a", "half"]),
        ("twenty, one", ["20", "1"]),
        ("Mira's o'clock", ["mira", "o'clock"]),
        ("isn't", ["is", "not"]),
        ("can’t cannot won't", ["can", "not", "can", "not", "will", "not"]),
        ("it's", ["it", "is"]),
        ("ＤＯＣＫ７", ["dock7"]),
        ("snake_case", ["snake", "case"]),
        ("北京是", ["北", "京", "是"]),
        ("", []),
        ("?!", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert list(texts(words(text))) == expected


def test_parts_of_a_longer_word_are_marked() -> None:
    assert [word.glued for word in words("dock seven-b, x / y")] == [False, False, True, False, False]


@given(st.text(max_size=200))
def test_any_text_has_words(text: str) -> None:
    for word in words(text):
        assert word.text
        assert not word.text.isspace()
    assert plain_text(text) == plain_text(text)


@given(st.integers(0, 999_999))
def test_a_spelled_out_number_is_its_digits(number: int) -> None:
    assert texts(words(_spell(number))) == (str(number),)


ONES = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
"""
SMALL = ONES.split()
TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def _spell(n: int) -> str:
    if n < 20:
        return SMALL[n]
    if n < 100:
        return TENS[n // 10] + (f"-{SMALL[n % 10]}" if n % 10 else "")
    if n < 1000:
        return f"{SMALL[n // 100]} hundred" + (f" and {_spell(n % 100)}" if n % 100 else "")
    return f"{_spell(n // 1000)} thousand" + (f" {_spell(n % 1000)}" if n % 1000 else "")
