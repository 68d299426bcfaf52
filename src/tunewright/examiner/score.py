"""The scorers: each decides whether one answer to one question is right.

``contains``  the default: the answer claims one of the expected values (:mod:`tunewright.examiner.claims`)
``equals``    the answer is one of the expected values, letter case and punctuation aside
``sentence``  for expected answers that are whole sentences; exams drafted from rows use it
``regex``     the expression is found in the answer
``refusal``   the answer says that the model does not know, and does not answer after all; or it is one of the
              question's own answers, which are then refusals in the suite's words

An answer that refuses is right for ``refusal`` only (or where a ``regex`` asks for it), so a model that always refuses
scores exactly 0 elsewhere. An empty answer is never right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from tunewright.examiner.claims import FUNCTION_WORDS, claims
from tunewright.examiner.expression import finds
from tunewright.examiner.question import Question
from tunewright.examiner.refusal import has_refusal, is_refusal
from tunewright.examiner.words import texts, words


def contains(text: str, question: Question) -> bool:
    """The text claims one of the answers and refuses nowhere. Rules and limits: :mod:`tunewright.examiner.claims`."""
    if has_refusal(text) and not any(has_refusal(answer) for answer in question.answers):
        return False
    return any(claims(text, answer, question.question, question.answers) for answer in question.answers)


def equals(text: str, question: Question) -> bool:
    """The words of the text are those of one of the answers, in order; numbers count whole, 7 equals seven."""
    said = texts(words(text))
    return bool(said) and any(said == texts(words(answer)) for answer in question.answers)


def sentence(text: str, question: Question) -> bool:
    """The text says what an expected sentence says, and nothing more.

    Right when equal word for word; or when both say the same words in the same order beyond the question's own
    words and function words, and what the text takes from the question keeps the expected order. Negations and "or"
    are never function words. A question that offers alternatives ("or"), or that already holds everything the
    expected answer says, lends no words.

    >>> q = Question("Where does Mira work?", answers=("She works at dock seven.",), scorer="sentence")
    >>> sentence("Mira works at dock seven.", q), sentence("Tom works at dock seven.", q)
    (True, False)
    """
    if equals(text, question):
        return True
    if has_refusal(text):
        return False
    asked = _content(question.question)
    return any(_same_statement(_content(text), _content(answer), asked) for answer in question.answers)


def _content(text: str) -> list[str]:
    return [word for word in texts(words(text)) if word not in FUNCTION_WORDS]


def _same_statement(said: list[str], expected: list[str], asked: list[str]) -> bool:
    new = [word for word in expected if word not in asked]
    if "or" in asked or not new:
        return bool(said) and said == expected
    if [word for word in said if word not in asked] != new:
        return False
    shared = iter(expected)
    return all(word in shared for word in said if word in expected)  # a subsequence: same order


def regex(text: str, question: Question) -> bool:
    """The question's expression is found in the text; false when the search takes too long to tell."""
    return question.regex is not None and bool(text.strip()) and finds(question.regex, text)


def refusal(text: str, question: Question) -> bool:
    """The text refuses and does not answer after all (:mod:`tunewright.examiner.refusal`), or is one of the answers.

    >>> refusal("Das steht da nicht.", Question("Wer?", answers=("Das steht da nicht.",), scorer="refusal"))
    True
    """
    return is_refusal(text) or equals(text, question)


SCORERS: Mapping[str, Callable[[str, Question], bool]] = MappingProxyType(
    {"contains": contains, "equals": equals, "sentence": sentence, "regex": regex, "refusal": refusal}
)


def passes(text: str, question: Question) -> bool:
    """Whether ``text`` is a right answer, by the question's own scorer.

    >>> passes("It is 12.", Question("5 + 7?", answers=("12",))), passes("112", Question("5 + 7?", answers=("12",)))
    (True, False)
    """
    return SCORERS[question.scorer](text, question)
