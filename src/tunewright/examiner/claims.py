"""Whether a text really claims an expected value, or only mentions it.

A mention is no claim when it is part of a longer word or number, denied, one of several alternatives, an item of a
list of candidates, or beside another number that would be another answer. The rules are strict on purpose: a wrong
answer that passes is worse than an odd right one that fails, and whoever needs more room gives more ``answers`` or a
``regex``. Known limits: "Paris, London" passes for Paris (it has the shape of "Paris, France"); a number of its own
kind beside the right one fails ("dock seven, opened in 1988"); a denial over several sentences is not followed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import and_

from tunewright.examiner.words import Word, texts, words

_NEGATING = """
    not no never neither nor none nobody nothing nowhere without hardly except unlike wrong wrongly incorrect
    incorrectly false untrue doubt deny denies
"""
_NEGATING_PAIRS = frozenset(
    {("rather", "than"), ("instead", "of"), ("other", "than"), ("far", "from"), ("anything", "but")}
)
_FUNCTION = """
    a an the it its that this these those there here is are was were be been being am do does did has have had will
    would can could should may of at in on to for from by with as and so then also he she they we i you him her them
    his their my our your me us who which what where when how yes well sure ok okay
"""
NEGATORS = frozenset(_NEGATING.split())
"""Words that deny the clause they are in."""
FUNCTION_WORDS = frozenset(_FUNCTION.split())
"""Words that add nothing to an answer."""
_DENIAL_FILLERS = FUNCTION_WORDS | NEGATORS | {"right", "correct", "true", "case", "answer", "actually", "think"}
_TURNS = frozenset({"but", "however", "although", "though", "whereas", "while", "yet"})
_CHOICES = frozenset({"or", "either", "versus", "vs"})
_SIGNS = frozenset("+*\u00d7\u00f7")
_SIGN_WORDS = frozenset({"plus", "minus", "times", "divided", "multiplied"})
SHORT_ITEM = 2
"""Words of a list item at most; longer when the expected value itself is longer."""


def claims(text: str, expected: str, question: str = "", accepted: Sequence[str] = ()) -> bool:
    """Whether ``text`` claims ``expected`` as the answer to ``question``; ``accepted``: all values that are right.

    Every mention has to be a claim: a value named once and denied once is not claimed. False for an empty value.

    >>> claims("Mira works at dock seven.", "dock seven"), claims("It is dock seventeen.", "dock seven")
    (True, False)
    >>> claims("Not dock seven, dock four.", "dock seven"), claims("12 or 13", "12")
    (False, False)
    """
    said, value, asked = _Said.of(text), words(expected), words(question)
    places = said.mentions(texts(value))
    lenient = _negated(value) or _negated(asked)  # then a negation belongs to the answer, or echoes the question
    return (
        bool(places)
        and (lenient or not any(said.denies(place) for place in places))
        and not any(_one_of_several(said, place, value) for place in places)
        and not any(_is_operand(said.words, place) for place in places)
        and not _rival_numbers(said, [*accepted, expected], asked)
    )


Place = tuple[int, int]  # first word of a stretch, and the one after its last


def _negated(some: Sequence[Word]) -> bool:
    told = texts(some)
    return any(word in NEGATORS for word in told) or any(pair in _NEGATING_PAIRS for pair in pairwise(told))


@dataclass(frozen=True)
class _Said:
    """A text cut into clauses, at punctuation and at "but", "while" and the like. ``clause_of``: of each word;
    ``negated``, ``bare`` (a denial of what came before, such as "no, that is wrong"), ``choosing`` ("or"): of each
    clause. Worked out once, because a text that repeats a value has as many mentions as words."""

    words: tuple[Word, ...]
    clauses: tuple[Place, ...]
    clause_of: tuple[int, ...]
    negated: tuple[bool, ...]
    bare: tuple[bool, ...]
    choosing: tuple[bool, ...]

    @classmethod
    def of(cls, text: str) -> _Said:
        said = words(text)
        clauses = _stretches(said, lambda word: word.opens_clause or word.text in _TURNS)
        parts = [said[start:end] for start, end in clauses]
        negated = tuple(_negated(part) for part in parts)
        fillers = [all(word.text in _DENIAL_FILLERS or word.text in _TURNS for word in part) for part in parts]
        return cls(
            words=said,
            clauses=clauses,
            clause_of=tuple(n for n, (start, end) in enumerate(clauses) for _ in range(start, end)),
            negated=negated,
            bare=tuple(map(and_, negated, fillers)),
            choosing=tuple(any(word.text in _CHOICES for word in part) for part in parts),
        )

    def mentions(self, value: tuple[str, ...]) -> list[Place]:
        """Where ``value`` is as whole words; a hyphen or slash at either end makes it part of something longer."""
        size = len(value)
        starts = range(len(self.words) - size + 1) if size else ()
        found = [(at, at + size) for at in starts if texts(self.words[at : at + size]) == value]
        return [(start, end) for start, end in found if not (self.words[start].glued or self._glued(end))]

    def _glued(self, at: int) -> bool:
        return at < len(self.words) and self.words[at].glued

    def span(self, place: Place) -> slice:
        """The clauses of a stretch of words."""
        return slice(self.clause_of[place[0]], self.clause_of[place[1] - 1] + 1)

    def denies(self, place: Place) -> bool:
        """A negation in the same clause, or a bare denial after it ("dock seven? No, that is wrong")."""
        clauses = self.span(place)
        return any(self.negated[clauses]) or any(self.bare[clauses.stop : clauses.stop + 1])

    def offers_choice(self, place: Place) -> bool:
        """An "or" in the same clause, or at the start of the next."""
        clauses = self.span(place)
        after = self.clauses[clauses.stop : clauses.stop + 1]
        return any(self.choosing[clauses]) or any(self.words[start].text in _CHOICES for start, _ in after)


def _stretches(said: Sequence[Word], opens: Callable[[Word], bool]) -> tuple[Place, ...]:
    starts = [at for at, word in enumerate(said) if at == 0 or opens(word)]
    return tuple(zip(starts, [*starts[1:], len(said)], strict=True)) if said else ()


def _one_of_several(said: _Said, place: Place, value: Sequence[Word]) -> bool:
    """Whether more values are named than were asked for: "a or b", "a and b", "a, b, c"."""
    start, end = place
    before, after = said.words[:start], said.words[end : end + 1]
    short = max(SHORT_ITEM, len(value))
    if said.offers_choice(place) and not _CHOICES & set(texts(value)):
        return True
    if any("&" in word.gap for word in (said.words[start], *after)):
        return True
    if len(before) > 1 and before[-1].text == "and" and not said.words[start].opens_clause:
        return True
    if after and after[0].text == "and" and 0 < said.clauses[said.clause_of[end]][1] - end - 1 <= short:
        return True
    return _in_list(said.words, place, short)


def _in_list(said: Sequence[Word], place: Place, short: int) -> bool:
    """Two or more further short items in an unbroken row of commas, semicolons or lines around the mention."""
    # Items beyond the second neighbour change nothing, so only the surroundings are looked at.
    reach = 4 * (short + 1)
    first = max(0, place[0] - reach)
    nearby = said[first : place[1] + reach]
    items = _stretches(nearby, lambda word: word.opens_clause)
    of_mention = [n for n, (start, end) in enumerate(items) if start + first < place[1] and place[0] < end + first]
    others = 0
    for step in (-1, 1):
        at = of_mention[0 if step < 0 else -1] + step
        while 0 <= at < len(items) and others < 2 and _is_short(nearby[slice(*items[at])], short):
            # A full stop ends a list even when the next sentence is short.
            if set(nearby[items[max(at, at - step)][0]].gap) & set(".?!"):
                break
            others += 1
            at += step
    return others >= 2


def _is_short(item: Sequence[Word], short: int) -> bool:
    told = [word.text for word in item if word.text != "and"]
    # "Well, yes, Paris" is no list: its other items say nothing.
    return len(told) <= short and any(word not in FUNCTION_WORDS for word in told) and not _negated(item)


def _is_operand(said: Sequence[Word], place: Place) -> bool:
    """Part of a sum that is being worked out, so not its result: the 5 of "5 + 7 = 12"."""
    start, end = place
    before = start > 0 and (said[start - 1].text in _SIGN_WORDS or _sign_between(said, start))
    after = end < len(said) and (said[end].text in _SIGN_WORDS or _sign_between(said, end))
    return before or after


def _sign_between(said: Sequence[Word], at: int) -> bool:
    """An arithmetic sign between two numbers; other stars are emphasis or bullets."""
    return bool(_SIGNS & set(said[at].gap)) and said[at - 1].is_number and said[at].is_number


def _rival_numbers(said: _Said, rights: Sequence[str], asked: Sequence[Word]) -> bool:
    """When the answer holds a number: another one that is claimed too, and is neither the question's nor working."""
    right = {word.text for value in rights for word in words(value) if word.is_number}
    if not right:
        return False
    known = {word.text for word in asked if word.is_number}
    # A question that offers the answer among others ("is it 12 or 13?") excuses none of its numbers.
    allowed = right if right & known else right | known
    return any(
        word.is_number
        and word.text not in allowed
        and not said.negated[said.clause_of[at]]
        and not (word.spelled and word.text == "1")  # "the one that ..."
        and not _is_operand(said.words, (at, at + 1))
        for at, word in enumerate(said.words)
    )
