"""Text as the words a scorer compares: numbers whole, spelled-out numbers as digits, clauses marked.

"112" is one word and so never holds "12"; "3.5" never holds "3"; "-12" is not "12"; "one hundred and twelve" is "112".
Scripts written without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) count one character as one word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_TEXT = 20_000
"""Characters of an answer that are looked at: far beyond any answer, so that a runaway one cannot stall a scorer."""

_SMALL = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
"""
_UNITS = {name: value for value, name in enumerate(_SMALL.split())}
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(
    rf"(?<![^\s(=\"'])-(?=\d)\d+(?:[.,:]\d+)*[^\W_{_UNSPACED}]*"  # a number below zero
    rf"|[{_UNSPACED}]"
    rf"|\d+(?:[.,:]\d+)+[^\W_{_UNSPACED}]*"  # 3.5, 7:30
    rf"|[^\W_{_UNSPACED}]+(?:'[^\W_{_UNSPACED}]+)*"  # o'clock is one word
)
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_SHORT = tuple(
    (re.compile(short), long)
    for short, long in (
        (r"\b(it|that|this|there|here|he|she|what|who|where|which)'s\b", r"\1 is"),
        (r"\bi'm\b", "i am"),
        (r"'s\b", ""),  # Mira's is Mira
        (r"'re\b", " are"),
        (r"'ve\b", " have"),
        (r"'ll\b", " will"),
        (r"'d\b", " would"),
    )
)
_STOPS = frozenset('.!?;,:()[]\n\u2013\u2014"')
_SENTENCE_STOPS = frozenset(".!?\n")


@dataclass(frozen=True)
class Word:
    """One word. ``gap``: what stands between it and the word before; ``glued``: that is a hyphen, slash or the like
    without a space, so both are parts of one longer word; ``spelled``: a number that was written in letters."""

    text: str
    gap: str
    glued: bool = False
    spelled: bool = False

    @property
    def is_number(self) -> bool:
        return self.text.lstrip("-")[:1].isdigit()

    @property
    def opens_clause(self) -> bool:
        return any(mark in _STOPS for mark in self.gap)

    @property
    def opens_sentence(self) -> bool:
        return any(mark in _SENTENCE_STOPS for mark in self.gap)


def plain_text(text: str) -> str:
    """NFKC, casefold, one kind of apostrophe and minus, short forms of "not" written out, no thousands commas.

    >>> plain_text("He can’t pay 1,200")
    'he can not pay 1200'
    """
    folded = unicodedata.normalize("NFKC", text[:LONGEST_TEXT]).casefold()
    folded = re.sub("[\u2018\u2019\u02bc]", "'", folded).replace("\u2212", "-")
    folded = re.sub(r"\bcannot\b", "can not", folded).replace("won't", "will not").replace("can't", "can not")
    folded = re.sub(r"n't\b", " not", folded)
    for short, long in _SHORT:
        folded = short.sub(long, folded)
    folded = re.sub(r"\b(is|are|was|were|do|does|did|has|have|ca|wo|could|would|should)nt\b", r"\1 not", folded)
    return _THOUSANDS.sub(lambda found: found.group().replace(",", ""), folded)


def words(text: str) -> tuple[Word, ...]:
    """The words of ``text`` in order.

    >>> [word.text for word in words("Mira's boat: twenty-one, not 3.5!")]
    ['mira', 'boat', '21', 'not', '3.5']
    """
    folded = plain_text(text)
    found: list[Word] = []
    end = 0
    for match in _WORD.finditer(folded):
        gap = folded[end : match.start()]
        glued = bool(found) and bool(re.fullmatch(r"[-/'_\u2010\u2011.:]", gap))
        found.append(Word(match.group(), gap, glued))
        end = match.end()
    return _numbers_joined(found)


def texts(of: Sequence[Word]) -> tuple[str, ...]:
    """Only the words themselves."""
    return tuple(word.text for word in of)


def _numbers_joined(found: Sequence[Word]) -> tuple[Word, ...]:
    """Runs such as "two hundred and five" as one number; "seven two" stays two numbers."""
    joined: list[Word] = []
    at = 0
    while at < len(found):
        value, length = _spelled(found, at)
        if length:
            joined.append(Word(str(value), found[at].gap, found[at].glued, spelled=True))
        else:
            joined.append(found[at])
        at += max(length, 1)
    return tuple(joined)


def _spelled(found: Sequence[Word], start: int) -> tuple[int, int]:
    """(value, number of words) of the spelled-out number that starts at ``start``; (0, 0) when none does."""
    total = current = length = 0
    room = 0  # the next plain part must be below this: 10 after "twenty", 100 after "hundred"
    for at in range(start, len(found)):
        text, spaced = found[at].text, found[at].gap.strip() in ("", "-")
        if length and not spaced:
            break
        if text in _SCALES and length:
            if text == "hundred":
                current *= 100
            else:
                total, current = total + current * _SCALES[text], 0
            room, length = (100 if text == "hundred" else 1000), at - start + 1
            continue
        if text == "and" and length and found[at - 1].text in _SCALES:
            continue  # counted only when a number follows
        part = _UNITS.get(text, _TENS.get(text))
        if part is None or (length and not 0 < part < room):
            break
        current, room, length = current + part, (10 if text in _TENS else 0), at - start + 1
    return total + current, length
