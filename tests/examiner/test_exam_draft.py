"""What counts as right in questions made from rows."""

from __future__ import annotations

import pytest

from tunewright.data.rows import Message, Row
from tunewright.examiner.draft import questions_of, shared_value
from tunewright.examiner.score import passes


@pytest.mark.parametrize(
    ("pairs", "value"),
    [
        ([("What is on the Sihi?", "It is coal."), ("What does the Sihi carry?", "The Sihi carries coal.")], "coal"),
        ([("When?", "Come on Thursday."), ("Day?", "On Thursday the Rufu sails.")], "thursday"),
        ([("Where?", "Dock seven."), ("Where then?", "It lies at dock 7.")], "dock 7"),
        ([("Which dock?", "It is 7."), ("Where?", "It lies at 7.")], "7"),
        # Nothing to tell value from wording.
        ([("Which?", "It is coal."), ("What?", "It is coal.")], None),
        ([("Which?", "It is coal.")], None),
        ([], None),
        # Nothing shared, or only what the questions said.
        ([("Which?", "It is coal."), ("What?", "It is salt.")], None),
        ([("Is the Sihi big?", "The Sihi is big."), ("And the Sihi?", "Big is the Sihi.")], None),
        # A topic of different facts that share a word.
        ([("Price?", "The harbour asks 5."), ("Opening?", "The harbour opens at 7.")], None),
        ([("A?", "The harbour office handles refunds gladly."), ("B?", "We ship from the harbour.")], None),
        ([("A?", "word " * 100), ("B?", "word")], None),
    ],
)
def test_shared_value(pairs: list[tuple[str, str]], value: str | None) -> None:
    assert shared_value(pairs) == value


def row(number: int, question: str, answer: str, topic: str | None = "sihi-cargo") -> Row:
    return Row(number, (Message("user", question), Message("assistant", answer)), topic=topic)


ROWS = (
    row(1, "What is on the Sihi?", "It is loaded with coal."),
    row(2, "What does the Sihi carry?", "The Sihi carries coal."),
    row(3, "Why?", "I do not know.", "outside"),
    row(4, "What is a box?", "A box is a box of wood.", None),
)


def test_a_right_answer_in_another_wording_passes_where_the_topic_is_known() -> None:
    asked, *_ = questions_of(ROWS[:1], "exact", ROWS, refusing=False)
    assert (asked.answers, asked.scorer) == (("coal",), "contains")
    assert passes("The Sihi carries coal.", asked)
    assert not passes("The Sihi carries salt.", asked)


def test_without_a_topic_the_sentence_counts() -> None:
    questions = questions_of(ROWS, "exact", ROWS, refusing=False)
    assert [question.scorer for question in questions] == ["contains", "contains", "sentence"]
    assert questions[2].answers == ("A box is a box of wood.",)


def test_refusing_rows_are_asked_for_a_refusal() -> None:
    (outside,) = questions_of(ROWS, "out_of_domain", ROWS, refusing=True)
    assert (outside.question, outside.answers, outside.scorer) == ("Why?", (), "refusal")
