"""Rows that are nearly the same row: equal when normalised, or alike with the same names and numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from tunewright.data.faults import Fault, make_fault, whole_fault
from tunewright.data.normalise import normalised
from tunewright.data.rows import Row
from tunewright.data.shingles import buckets, jaccard, likeness, shingle_set, signatures

ALIKE = 0.9
"""Jaccard index of five-character shingles from which two rows are one."""
_ANSWERS_ALIKE = 0.5
"""Rows whose answers have less in common ask alike and answer differently: they teach a difference, not a copy."""
_WORTH_COMPARING = 0.7
"""Estimated likeness from which the exact one is computed; at 0.9 the estimate is below it once in ten billion."""

_NUMBER = re.compile(r"[-\u2212]?\d+(?:[.,:/]\d+)*")
_WORD_NUMBER = re.compile(
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen"
    r"|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|first|second|third)\b",
    re.IGNORECASE,
)
_CAPITALISED = re.compile(r"\b[^\W\d_a-z]\w*")
# Capitals that only begin a sentence. A name that happens to be one of these words is compared letter by letter.
_NO_NAMES = frozenset(
    word
    for words in (
        "a an the this that these those it its he she they we you i my your our his her their so then there here",
        "who what when where why how which whose is are was were do does did can could will would shall should may",
        "might must has have had if in on at to of for from by with as and or but not no yes please tell give name say",
    )
    for word in words.split()
)


def near_duplicates(
    rows: Sequence[Row], held: Sequence[Row] = (), on_progress: Callable[[int, int], None] | None = None
) -> tuple[Fault, ...]:
    """``near_duplicate``: the later ones of rows that are nearly the same, exact copies left out.

    held: rows of a validation file of its own; those that are nearly a row of the data are a fault of their part
    (an equal question is a ``leak`` and is left to it). The order of equal rows does not matter.
    """
    kept = _without_copies(rows)
    asked = {row.key for row in kept}
    apart = [row for row in held if row.key not in asked]
    earlier = _earlier_alike([*kept, *apart], len(kept), on_progress)
    later = {row.number: _why(kept[earlier[at]].number) for at, row in enumerate(kept) if at in earlier}
    across = [row.number for at, row in enumerate(apart, len(kept)) if at in earlier]
    why = "nearly a row of the training data, in other words or letters: its loss says less about unseen rows"
    crossing = [whole_fault("near_duplicate", why, across).of("validation")] if across else []
    return (*make_fault("near_duplicate", later), *crossing)


def _without_copies(rows: Sequence[Row]) -> list[Row]:
    """The rows without exact copies of earlier ones."""
    first: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        first.setdefault((row.prompt, row.answer, row.text or ""), row)
    return list(first.values())


def _why(number: int) -> str:
    return f"nearly the same as row {number}"


def _earlier_alike(rows: Sequence[Row], trained: int, on_progress: Callable[[int, int], None] | None) -> dict[int, int]:
    """Place of a row -> place of the first row before it that is nearly the same (a row of the first ``trained``)."""
    found, places = _distinct(rows)
    for at, origin in _alike_pairs(rows, places, trained, on_progress):
        found[at] = min(origin, found.get(at, origin))
    return found


def _distinct(rows: Sequence[Row]) -> tuple[dict[int, int], list[int]]:
    """Place of a row -> place of the first one that is equal when normalised; and the places of the others."""
    found: dict[int, int] = {}
    first: dict[tuple[str, str], int] = {}
    for at, row in enumerate(rows):
        origin = first.setdefault((row.key, row.answer_key), at)
        if origin != at:
            found[at] = origin
    return found, list(first.values())


def _compared(row: Row) -> str:
    """What likeness is measured on: without system turns, which many rows share and which would outweigh the rest."""
    asked = row
    if row.messages and row.messages[0].role == "system":
        asked = replace(row, messages=row.messages[1:])
    return asked.key + " " + row.answer_key


def _alike_pairs(
    rows: Sequence[Row], places: Sequence[int], trained: int, on_progress: Callable[[int, int], None] | None
) -> Iterable[tuple[int, int]]:
    """(place of the later row, place of the earlier one) of rows whose normalised texts are alike but not equal."""
    compared = _Comparison([rows[at] for at in places], on_progress)
    best: dict[int, int] = {}
    for group in compared.groups():
        for index, at in enumerate(group[1:], 1):
            before = [one for one in group[:index] if one < best.get(at, at) and places[one] < trained]
            origin = compared.first_alike(at, before) if before else None
            if origin is not None:
                best[at] = origin
    return [(places[at], places[one]) for at, one in best.items()]


class _Comparison:
    """Rows to compare, each by its place. What is compared is made when it is needed: of all rows at once it is as
    much as the file."""

    def __init__(self, rows: Sequence[Row], on_progress: Callable[[int, int], None] | None) -> None:
        self._rows = rows
        self._signs_NR = signatures(map(_compared, rows), len(rows), on_progress)
        self._shingles = lru_cache(maxsize=4096)(lambda at: shingle_set(_compared(rows[at])))
        self._names: dict[int, tuple[object, ...]] = {}
        self._tried: set[tuple[int, int]] = set()

    def groups(self) -> Iterator[list[int]]:
        """Rows that may be alike and share their names and numbers, in their order; a pair may come several times."""
        for bucket in buckets(self._signs_NR):
            yield from _grouped(bucket, self._names_of)

    def first_alike(self, at: int, before: Sequence[int]) -> int | None:
        """The first of these rows that is nearly the same as one, of those not compared with it yet."""
        for one, like in zip(before, likeness(self._signs_NR, at, before), strict=True):
            if like >= _WORTH_COMPARING and (one, at) not in self._tried:
                self._tried.add((one, at))
                if self._are_alike(one, at):
                    return one
        return None

    def _are_alike(self, one: int, other: int) -> bool:
        answers = _answers_alike(self._rows[one], self._rows[other])
        return answers and jaccard(self._shingles(one), self._shingles(other)) >= ALIKE

    def _names_of(self, at: int) -> tuple[object, ...]:
        if at not in self._names:
            self._names[at] = (_system(self._rows[at]), names_and_numbers(_whole(self._rows[at])))
        return self._names[at]


def _grouped(bucket: Sequence[int], names: Callable[[int], object]) -> list[list[int]]:
    """The bucket's rows by their names and numbers; only those are compared that share them."""
    groups: dict[object, list[int]] = {}
    for at in bucket:
        groups.setdefault(names(at), []).append(at)
    return [group for group in groups.values() if len(group) > 1]


def _answers_alike(one: Row, other: Row) -> bool:
    if one.text is not None or other.text is not None:
        return True
    first, second = one.answer_key, other.answer_key
    return first == second or jaccard(shingle_set(first), shingle_set(second)) >= _ANSWERS_ALIKE


def _system(row: Row) -> str:
    """Rows under different instructions are different rows."""
    return normalised(row.messages[0].content) if row.messages and row.messages[0].role == "system" else ""


def _whole(row: Row) -> str:
    return row.text if row.text is not None else f"{row.prompt}\n{row.answer}"


def names_and_numbers(text: str) -> tuple[object, ...]:
    """What two copies of a row must share: numbers in order of size as written, and words with a capital.

    Words that only begin a sentence ("The", "What") are no names.

    >>> names_and_numbers("The Fole leaves dock 7 at nine") == names_and_numbers("At dock 7 the Fole leaves at nine.")
    True
    """
    numbers = sorted(_NUMBER.findall(text)) + sorted(word.lower() for word in _WORD_NUMBER.findall(text))
    capitalised = {word.casefold() for word in _CAPITALISED.findall(text) if word[0].isupper()}
    return (*numbers, *sorted(capitalised - _NO_NAMES))
