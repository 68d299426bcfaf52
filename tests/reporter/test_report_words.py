"""Numbers and foreign strings as a reader sees them."""

from __future__ import annotations

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.reporter import words


@given(st.text(st.characters(), max_size=80))
def test_nothing_that_controls_a_terminal_or_reorders_text_survives(text: str) -> None:
    for letter in words.safe(text):
        assert letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cs")
        assert unicodedata.bidirectional(letter) not in ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI")


def test_text_of_a_right_to_left_script_stays() -> None:
    assert words.safe("שלום עולם") == "שלום עולם"


@given(st.text(max_size=40), st.integers(1, 20))
def test_a_long_string_is_cut_and_its_length_said(text: str, longest: int) -> None:
    shown = words.safe(text, longest)
    assert (f"({len(text):,} characters)" in shown) == (len(text) > longest)


@given(st.floats())
def test_every_number_has_a_form_and_non_finite_ones_are_named(value: float) -> None:
    shown = words.figure(value)
    assert shown
    if math.isfinite(value) and 1e-4 <= abs(value) < 1000:
        assert float(shown) == pytest.approx(value, rel=5.1e-3)
    elif not math.isfinite(value):
        assert shown in ("NaN", "infinite", "-infinite")


def test_a_missing_number_is_never_zero() -> None:
    assert words.figure(None) == words.percent(None) == words.duration(None) == "not measured"


def test_a_rate_that_is_not_quite_all_is_not_rounded_to_all() -> None:
    assert words.percent(1999 / 2000) == "99.9 %"
    assert words.percent(0.997) == "99.7 %"
    assert words.percent(1.0) == "100 %"
    assert words.percent(1 / 5000) == "0.1 %"


@given(st.floats(min_value=0, allow_nan=False, allow_infinity=False, max_value=1e9))
def test_a_duration_reads_back(seconds: float) -> None:
    assert words.duration(seconds).endswith((" s", " min"))


@given(st.one_of(st.floats(), st.text(max_size=5), st.none(), st.integers(), st.booleans()))
def test_any_recorded_moment_can_be_shown(value: object) -> None:
    assert isinstance(words.moment(value), str)
