"""Which tokens a stretch of a text holds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from tunewright.data.render import Span


@dataclass(frozen=True, slots=True)
class Offsets:
    """Where a text's tokens lie; ``of(token)``: the token's [start, end) stretch of characters.

    A function rather than a list: a mask needs a few dozen of a row's hundreds, and to ask a tokenizer for a list of
    them all takes longer than for the ids.
    """

    tokens: int
    of: Callable[[int], Span]

    def span(self, text: str, span: Span) -> slice:
        """The tokens that lie wholly inside a [start, end) span of characters.

        Byte-level tokenizers leave a leading space out of a token's offsets; a token that swallowed the prompt's last
        space still straddles the boundary.

        >>> offsets = Offsets(3, [(0, 3), (4, 6), (6, 9)].__getitem__)
        >>> offsets.span("ask me now", (3, 9)), offsets.span("ask me now", (4, 9))
        (slice(1, 3, None), slice(2, 3, None))
        """
        start, end = span
        first = self._from(start)
        while first < self.tokens and self.of(first)[1] <= start:  # only spaces, and they lie before the start
            first += 1
        if start and text[start - 1] == " " and 0 < first < self.tokens and self.of(first - 1)[1] < start:
            first += 1
        return slice(first, self.end(end, first))

    def end(self, end: int, first: int = 0) -> int:
        """One past the last token that ends at or before this character, at least ``first``."""
        stop = max(first, self._from(end))
        while stop > first and self.of(stop - 1)[1] > end:
            stop -= 1
        return stop

    def _from(self, start: int) -> int:
        """The first token that begins at this character or after it."""
        return bisect_left(range(self.tokens), (start, 0), key=self.of)
