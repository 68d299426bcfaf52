"""Questions made from rows of data: each prompt with what its row, and the rows about the same fact, answer.

A row's answer is a whole sentence, one wording of many, and a tuned model may well use another. Where rows name their
topic and several wordings of an answer share one value ("It is loaded with coal.", "The Sihi carries coal."), that
value is what counts (``contains``). Otherwise only the sentence itself is known, and it counts strictly
(``sentence``): then a right answer in words of its own fails, and such a suite is better edited by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product

from tunewright.data.normalise import normalised
from tunewright.data.rows import Row
from tunewright.examiner.claims import FUNCTION_WORDS
from tunewright.examiner.question import Question
from tunewright.examiner.refusal import is_refusal
from tunewright.examiner.words import texts, words
from tunewright.schema.exam import Part

OTHER_WORDS = 2
"""Words of substance that an answer may have besides the shared value and its question's words. With more, or with
other numbers, the answers of a topic say different things, and what they share is no value."""

LONGEST_ANSWER = 60
"""Words; a longer answer is a text, not a wording of one value."""


def questions_of(rows: Iterable[Row], part: Part, known: Iterable[Row], *, refusing: bool) -> list[Question]:
    """One question per different prompt of those rows whose answer refuses, or of those whose answer does not.

    Several answers to one prompt are all right. ``known``: all rows, to find other wordings of an answer in.
    """
    values = {} if refusing else _values(known)
    found: dict[str, Question] = {}
    for row in rows:
        if not row.messages or not row.prompt.strip() or not normalised(row.answer):
            continue
        if is_refusal(row.answer) != refusing:
            continue
        asked = _question(row, part, None if refusing else values.get(row.topic or ""), refusing)
        before = found.get(row.key)
        if before is None:
            found[row.key] = asked
        elif before.scorer == "sentence":
            found[row.key] = replace(before, answers=tuple(dict.fromkeys((*before.answers, *asked.answers))))
    return list(found.values())


def _question(row: Row, part: Part, value: str | None, refusing: bool) -> Question:
    turns = row.messages[: row.last_answer]
    alone = len(turns) == 1 and turns[0].role == "user"
    scorer = "refusal" if refusing else "sentence" if value is None else "contains"
    return Question(
        question=turns[-1].content,
        answers=() if refusing else (row.answer if value is None else value,),
        scorer=scorer,
        part=part,
        messages=() if alone else turns,
    )


def _values(rows: Iterable[Row]) -> Mapping[str, str]:
    """Topic -> the value that all wordings of its answer share; topics without one are left out."""
    topics: dict[str, list[Row]] = {}
    for row in rows:
        if row.topic and row.messages and not is_refusal(row.answer):
            topics.setdefault(row.topic, []).append(row)
    shared = ((topic, shared_value([(row.prompt, row.answer) for row in group])) for topic, group in topics.items())
    return {topic: value for topic, value in shared if value is not None}


def shared_value(pairs: Sequence[tuple[str, str]]) -> str | None:
    """What different wordings of one answer have in common beyond their questions, or None.

    ``pairs``: (question, answer). None when all answers are the same (nothing tells value from wording), when they
    share nothing, or when they say different things (see ``OTHER_WORDS``).

    >>> shared_value([("What is on the Sihi?", "It is coal."), ("What does the Sihi carry?", "The Sihi carries coal.")])
    'coal'
    """
    asked = {word for question, _ in pairs for word in texts(words(question))} | FUNCTION_WORDS
    answers = sorted({texts(words(answer)) for _, answer in pairs}, key=len)
    if len(answers) < 2 or len(answers[-1]) > LONGEST_ANSWER:
        return None
    runs = [run for run in _runs(answers[0]) if run[0] not in asked and run[-1] not in asked]
    others_runs = [_runs(answer) for answer in answers[1:]]
    common = [run for run in runs if all(run in other for other in others_runs)]
    if not common:
        return None
    value = max(common, key=len)
    others = [[word for word in answer if word not in asked and word not in value] for answer in answers]
    differing = any(len(other) > OTHER_WORDS or any(_is_number(word) for word in other) for other in others)
    return None if differing else " ".join(value)


def _runs(of: tuple[str, ...]) -> dict[tuple[str, ...], None]:
    """Every stretch of consecutive words, earlier ones first (a set in a fixed order)."""
    ends = product(range(len(of)), range(1, len(of) + 1))
    return {of[start:end]: None for start, end in ends if start < end}


def _is_number(word: str) -> bool:
    return word.lstrip("-")[:1].isdigit()
