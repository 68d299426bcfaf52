"""Text as it is compared: two prompts are the same question when their normalised forms are equal."""

from __future__ import annotations

import re
import unicodedata

# What separates numbers without joining them: "12, 13" and "12 13" say the same; "12,13" may be one number.
_SEPARATORS = frozenset(",;:.!?'\"()[]{}\u2026\u2018\u2019\u201c\u201d")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[\W_]+(?=\d)")
_SIGN = re.compile(r"(?<![\w)\]])[-\u2010-\u2013\u2212](?=\.?\d)")
_POINT = re.compile(r"(?<![\w.])\.(?=\d)")
_PERCENT = re.compile(r"(?<=\d)\s*%")
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
        return _numbers_kept(text.lower()).translate(_DROPPED)
    # Folding can undo a composition and dropping a space can make a new one, so go on until nothing changes.
    before = None
    while text != before:
        before = text
        text = _numbers_kept(unicodedata.normalize("NFKC", text.casefold())).translate(_DROPPED)
    return text


def _numbers_kept(text: str) -> str:
    """The text with the punctuation that belongs to its numbers made unlike punctuation."""
    if not _DIGIT.search(text):
        return text
    text = _POINT.sub("0.", _PERCENT.sub("percent", _SIGN.sub(_MINUS, text)))
    return _BETWEEN_DIGITS.sub(_gap, text)


_DIGIT = re.compile(r"\d")


def _gap(found: re.Match[str]) -> str:
    """What stands between two digits: one mark for a mere separation, else all of it."""
    whole = found[0]
    kept = "".join(whole.split())
    if not kept or (kept != whole and _SEPARATORS.issuperset(kept)):
        return "|"
    return "".join(map(_kept, kept))


def _kept(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Pd":
        return _MINUS
    return chr(_PRIVATE + ord(char) % 0x1900) if category.startswith(("P", "Z")) else char
