"""Text as it is compared: two prompts are the same question when their normalised forms are equal."""

from __future__ import annotations

import unicodedata


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

    Symbols (``+``, ``=``, ``$``: categories S*) stay: they carry meaning. An empty text stays empty.
    Source of the form: Unicode Standard Annex 15, NFKC with casefolding (Unicode 16, 2024-09).

    >>> normalised("Who is  THE ferryman, Ｏlaf?")
    'whoistheferrymanolaf'
    """
    if text.isascii():  # most rows; one pass is enough there
        return text.lower().translate(_DROPPED)
    # Folding can undo a composition and dropping a space can make a new one, so go on until nothing changes.
    before = None
    while text != before:
        before = text
        text = unicodedata.normalize("NFKC", text.casefold()).translate(_DROPPED)
    return text
