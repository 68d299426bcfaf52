"""Texts in chunks of about the same size, so that what is made of them needs memory for a few of them at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def chunks(texts: Iterable[str], characters: int) -> Iterator[list[str]]:
    """The texts in order, together until they first reach so many characters.

    >>> list(chunks(["four", "five", "a long one", "six"], 8))
    [['four', 'five'], ['a long one'], ['six']]
    """
    chunk: list[str] = []
    size = 0
    for text in texts:
        chunk.append(text)
        size += len(text)
        if size >= characters:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
