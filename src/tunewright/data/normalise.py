"""Text as it is compared: two prompts are the same question when their normalised forms are equal."""

from __future__ import annotations

import re
import unicodedata

# What separates numbers without joining them: "12, 13" and "12 13" say the same; "12,13" may be one number.
_SEPARATORS = frozenset(",;:.!?'\"()[]{}\u2026\u2018\u2019\u201c\u201d")
# Each begins with the character it is about and looks back from there, which is several times as fast as to look back
# from every place of a text.
_BETWEEN_DIGITS = re.compile(r"(\d)([\W_]+)(?=\d)")
_SIGN = re.compile(r"[-\u2010-\u2013\u2212](?<![\w)\]].)(?=\.?\d)")
_POINT = re.compile(r"\.(?<![\w.].)(?=\d)")
_PERCENT = re.compile(r"(\d)\s*%")
_NOT_ASCII = re.compile(r"([^\x00-\x7f]+)")
_MINUS = "\u2212"
# Punctuation that is kept becomes a character of the private use area, which no later pass takes for punctuation.
_PRIVATE = 0xE000


class _Dropped(dict[int, str | None]):
    """A ``str.translate`` table that decides per character, once: punctuation and white space go."""

    def __missing__(self, code: int) -> str | None:
        char = chr(code)
        gone = char.isspace() or unicodedata.category(char).startswith(("P", "Z"))
        self[code] = None if gone else char
        return self[code]


_DROPPED = _Dropped()


def normalised(text: str) -> str:
    """NFKC, casefolded, without punctuation (Unicode categories P*) and white space. Idempotent.

    Symbols (``+``, ``=``, ``$``: categories S*) stay: they carry meaning. So does what makes a number another number:
    a sign, a decimal point, per cent, and whatever stands between two digits. An empty text stays empty.
    Source of the form: Unicode Standard Annex 15, NFKC with casefolding (Unicode 16, 2024-09).

    >>> normalised("Who is  THE ferryman, Ｏlaf?")
    'whoistheferrymanolaf'
    >>> normalised("What is 12-3?") == normalised("What is 1-23?"), normalised("12, 3") == normalised("12 3")
    (False, True)
    """
    if text.isascii():  # most rows; one pass is enough there
        kept = _numbers_kept(text.lower())
        if kept.isascii():
            return kept.translate(_DROPPED)
        # only punctuation of numbers is not ASCII now, and it stays; translate is ten times as fast without it
        return "".join([part.translate(_DROPPED) if part.isascii() else part for part in _NOT_ASCII.split(kept)])
    # Folding can undo a composition and dropping a space can make a new one, so go on until nothing changes.
    before = None
    while text != before:
        before = text
        text = _numbers_kept(unicodedata.normalize("NFKC", text.casefold())).translate(_DROPPED)
    return text


def _numbers_kept(text: str) -> str:
    """The text with the punctuation that belongs to its numbers made unlike punctuation."""
    if not _has_digit(text):
        return text
    text = _SIGN.sub(_MINUS, text)
    if "%" in text:
        text = _PERCENT.sub(r"\1percent", text)
    return _BETWEEN_DIGITS.sub(_gap, _POINT.sub("0.", text))


_DIGIT = re.compile(r"\d")


def _has_digit(text: str) -> bool:
    # looking for ten characters one after the other is several times as fast as for a class of characters
    return any(map(text.__contains__, "0123456789")) if text.isascii() else bool(_DIGIT.search(text))


def _gap(found: re.Match[str]) -> str:
    """A digit and what stands between it and the next: one mark for a mere separation, else all of it."""
    digit, whole = found.groups()
    kept = "".join(whole.split())
    if not kept or (kept != whole and _SEPARATORS.issuperset(kept)):
        return digit + "|"
    return digit + "".join(map(_kept, kept))


def _kept(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Pd":
        return _MINUS
    return chr(_PRIVATE + ord(char) % 0x1900) if category.startswith(("P", "Z")) else char
