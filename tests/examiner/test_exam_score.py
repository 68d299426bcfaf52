"""Scorers against answers that try to get through, and right ones that must."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.examiner.question import SCORER_NAMES, Question
from tunewright.examiner.rates import difference, lost_by_chance, score, wilson
from tunewright.examiner.score import SCORERS, passes

WHERE = "Where does Mira work?"


def right(text: str, expected: str | list[str], question: str = WHERE, scorer: str = "contains") -> bool:
    answers = (expected,) if isinstance(expected, str) else tuple(expected)
    return passes(text, Question(question, answers=answers, scorer=scorer))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dock seven", "dock seven"),
        ("Dock Seven.", "dock seven"),
        ("She works at dock seven.", "dock seven"),
        ("Mira works at dock 7, near the crane.", "dock seven"),
        ("It is **dock seven**!", "dock seven"),
        ("It is not dock four, it is dock seven.", "dock seven"),
        ("Not dock four but dock seven.", "dock seven"),
        ("No, she works at dock seven.", "dock seven"),
        ("Dock seven, not dock four.", "dock seven"),
        ("Dock seven. That is not far.", "dock seven"),
        ("5 + 7 = 12", "12"),
        ("The answer is 12.", "12"),
        ("12", "12"),
        ("1,200", "1200"),
        ("-3", "-3"),
        ("twelve", "12"),
        ("Paris, France", "Paris"),
        ("Paris, the capital of France, of course.", "Paris"),
        ("owl, cat, dog", "owl, cat, dog"),
        ("The list turned around is: owl, cat, dog.", "owl, cat, dog"),
        ("Well, yes, Paris.", "Paris"),
        ("No, it does not.", "no"),
        ("Nothing is in it.", "nothing"),
        ("salt and pepper", "salt and pepper"),
        ("答案是北京。", "北京"),
        ("It's Mira's.", "Mira"),
        ("The one that lies at dock seven.", "dock seven"),
    ],
)
def test_a_right_answer_passes(text: str, expected: str) -> None:
    assert right(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("112", "12"),
        ("It is 12.5.", "12"),
        ("3.12", "12"),
        ("-12", "12"),
        ("minus 12", "12"),
        ("12th", "12"),
        ("12-13", "12"),
        ("dock seventeen", "dock seven"),
        ("dock seventy", "dock seven"),
        ("dock seven hundred", "dock seven"),
        ("dock twenty-seven", "seven"),
        ("dock twenty seven", "seven"),
        ("haydock seven", "dock seven"),
        ("dock seven-b", "dock seven"),
        ("Parisian", "Paris"),
        ("Miranda", "Mira"),
        ("It is not dock seven.", "dock seven"),
        ("It isn't dock seven.", "dock seven"),
        ("It isn’t at dock seven", "dock seven"),
        ("She never works at dock seven.", "dock seven"),
        ("Anywhere but not dock seven.", "dock seven"),
        ("Dock seven is wrong.", "dock seven"),
        ("Dock seven? No, that is wrong.", "dock seven"),
        ("Dock seven? No.", "dock seven"),
        ("Dock four rather than dock seven.", "dock seven"),
        ("Dock four instead of dock seven.", "dock seven"),
        ("It is not true that she works at dock seven.", "dock seven"),
        ("I don't know, but it is dock seven.", "dock seven"),
        ("I do not know. Dock seven.", "dock seven"),
        ("dock four or dock seven", "dock seven"),
        ("dock seven or dock four", "dock seven"),
        ("Either dock seven, or dock four.", "dock seven"),
        ("dock four, dock seven, dock nine", "dock seven"),
        ("dock seven, dock four", "dock seven"),
        ("dock seven and dock four", "dock seven"),
        ("dock seven/eight", "dock seven"),
        ("12 or 13", "12"),
        ("11, 12, 13", "12"),
        ("11 12 13", "12"),
        ("12. 13. 14.", "12"),
        ("It is 12 and also 15.", "12"),
        ("12 + 3", "12"),
        ("Paris, London, Rome", "Paris"),
        ("London, Paris and Rome", "Paris"),
        ("London, Rome, Paris", "Paris"),
        ("- London\n- Paris\n- Rome", "Paris"),
        ("Paris and London", "Paris"),
        ("London and Paris", "Paris"),
        ("Paris or London", "Paris"),
        ("Paris & London", "Paris"),
        ("owl, cat, dog, hen", "owl, cat"),
        ("dog, cat, owl", "owl, cat, dog"),
        ("owl, cat", "owl, cat, dog"),
        ("", "dock seven"),
        ("   ", "dock seven"),
        ("seven dock", "dock seven"),
        ("dock", "dock seven"),
    ],
)
def test_a_wrong_answer_that_holds_the_right_string_fails(text: str, expected: str) -> None:
    assert not right(text, expected)


@pytest.mark.parametrize("text", ["12 ", "12, ", "dock ", "not 12. ", "12 or ", "and 12 ", "red owl, "])
@pytest.mark.parametrize("scorer", ["contains", "sentence", "equals"])
def test_a_model_that_repeats_itself_for_ever_is_scored_like_one_that_stops_sooner(text: str, scorer: str) -> None:
    # a scorer that backtracks would not come back from this
    expected = text.strip(" ,.")
    assert right(text * 20_000, expected, scorer=scorer) == right(text * 200, expected, scorer=scorer)


def test_numbers_of_the_question_are_no_rivals_unless_it_offers_the_answer() -> None:
    assert right("5 plus 7 is 12.", "12", "What is 5 plus 7?")
    assert not right("12 and 13, both", "12", "Is it 12 and not 13?")
    assert not right("12, 13", "12", "Which is it: 12, 13?")


def test_a_negation_in_the_question_may_be_echoed() -> None:
    assert right("Mira does not use dock seven.", "dock seven", "Which dock does Mira not use?")


def test_each_of_several_answers_is_right_and_no_rival() -> None:
    assert right("12", ["12", "13"])
    assert right("It is 13 (12 in winter)", ["13", "12"])


def test_equals_wants_the_words_and_nothing_else() -> None:
    assert right("Dock seven!", "dock seven", scorer="equals")
    assert right("dock 7", "dock seven", scorer="equals")
    assert not right("at dock seven", "dock seven", scorer="equals")
    assert not right("35", "3.5", scorer="equals")
    assert not right("12", "-12", scorer="equals")
    assert not right("", "dock seven", scorer="equals")


SENTENCE = "She works at dock seven."


@pytest.mark.parametrize(
    "text",
    [
        "She works at dock seven.",
        "she works at dock 7",
        "Mira works at dock seven!",
        "Dock seven: works.".replace(": works", ""),
        "It is at dock seven.",
    ],
)
def test_a_sentence_may_leave_out_what_the_question_said(text: str) -> None:
    question = Question("Where are the works of Mira?", answers=(SENTENCE,), scorer="sentence")
    assert passes(text, question)


@pytest.mark.parametrize(
    "text",
    [
        "Tom works at dock seven.",
        "Mira works at dock four.",
        "Mira works at dock seventeen.",
        "Mira does not work at dock seven.",
        "Mira works at dock seven or dock four.",
        "Mira works at dock four and dock seven.",
        "Mira works.",
        "I do not know.",
        "I do not know, she works at dock seven.",
        "",
        "Seven dock works she",
    ],
)
def test_a_sentence_that_says_something_else_is_wrong(text: str) -> None:
    assert not passes(text, Question("Where does Mira work?", answers=(SENTENCE,), scorer="sentence"))


def test_a_question_that_offers_alternatives_lends_no_words() -> None:
    red = Question("Is the house red or blue?", answers=("The house is red.",), scorer="sentence")
    assert passes("The house is red.", red)
    assert not passes("The house is blue.", red)
    assert not passes("The house is red or blue.", red)
    owned = Question("Is it red or blue, and whose?", answers=("It is red, and it is Tom's.",), scorer="sentence")
    assert passes("It is red and Tom's.", owned)
    assert not passes("It is blue, and it is Tom's.", owned)
    pays = Question("Does Mira pay Tom?", answers=("Mira pays Tom.",), scorer="sentence")
    assert not passes("Tom pays Mira.", pays)


def test_regex_searches_without_letter_case_and_never_in_nothing() -> None:
    dock = Question(WHERE, regex=r"\bdock (seven|7)\b", scorer="regex")
    assert passes("At Dock 7.", dock)
    assert not passes("dock 77", dock)
    assert not passes("", Question(WHERE, regex=".*", scorer="regex"))


def test_a_regex_that_takes_for_ever_on_an_answer_does_not_pass_and_returns() -> None:
    assert not passes("a" * 5000 + "!", Question(WHERE, regex=r"(a|a)+$", scorer="regex"))


def test_refusal_wants_a_refusal() -> None:
    unknown = Question("What is the capital of France?", scorer="refusal")
    assert passes("Sorry, that is outside my notes.", unknown)
    assert not passes("Paris.", unknown)
    assert not passes("I don't know, but it is Paris.", unknown)
    assert not passes("", unknown)


REFUSALS = ["I do not know.", "I can't answer that.", "That is not something I know.", "No idea.", "Not sure."]


@given(st.sampled_from(REFUSALS), st.sampled_from(["contains", "equals", "sentence"]), st.text(min_size=1, max_size=20))
def test_a_model_that_always_refuses_scores_nothing(refusal: str, scorer: str, expected: str) -> None:
    # An expected answer of the refusal's own words would be a refusal question.
    if not right(expected, expected, scorer=scorer) or any(
        word in refusal.casefold() for word in expected.casefold().split()
    ):
        return
    assert not right(refusal, expected, scorer=scorer)


@given(st.lists(st.sampled_from(["red", "blue", "owl", "cat", "twelve", "12", "7", "dock"]), min_size=1, max_size=3))
def test_the_expected_answer_itself_is_always_right(parts: list[str]) -> None:
    expected = " ".join(parts)
    assert right(expected, expected)
    assert right(expected, expected, scorer="equals")
    assert right(expected, expected, scorer="sentence")


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_another_number_is_never_right(expected: int, given_: int) -> None:
    assert right(f"It is {given_}.", str(expected)) == (expected == given_)


@given(st.text(max_size=80), st.text(max_size=20), st.sampled_from(["contains", "equals", "sentence", "refusal"]))
def test_no_text_breaks_a_scorer(text: str, expected: str, scorer: str) -> None:
    assert right(text, expected, scorer=scorer) in (True, False)


def test_the_names_a_suite_may_give_are_the_scorers() -> None:
    assert set(SCORER_NAMES) == set(SCORERS)


def test_wilson_is_the_published_interval() -> None:
    # Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I: 81/263 and 15/148, 0/20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)


def test_difference_is_the_published_interval() -> None:
    # Newcombe (1998), "Interval estimation for the difference", table II, method 10: 56/70 - 48/80.
    assert difference(score(56, 70), score(48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert difference(score(0, 0), score(1, 2)) == (-1.0, 1.0)


@given(st.integers(1, 300), st.data())
def test_an_interval_holds_its_rate(n: int, data: st.DataObject) -> None:
    one = score(data.draw(st.integers(0, n)), n)
    assert one.rate is not None
    assert 0.0 <= one.low <= one.rate <= one.high <= 1.0


def test_chance_of_losses() -> None:
    assert lost_by_chance(0, 0) == 1.0
    assert lost_by_chance(3, 3) == pytest.approx(0.65625)
    assert lost_by_chance(10, 0) == pytest.approx(2**-10)
