"""Values of a record's columns: text that can be trained on, or a reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class BadRecord(ValueError):
    """A record whose columns are there but whose values cannot be meant; the text says why.

    odd: because of characters that no text holds.
    """

    def __init__(self, why: str, *, odd: bool = False) -> None:
        super().__init__(why)
        self.odd = odd


def kind_of(value: Any) -> str:
    """The kind of a JSON value in words, for a sentence."""
    names = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "an object")


def sound_text(fields: Mapping[str, Any], name: str) -> str:
    """The text under a name. Raises BadRecord when it is missing, no text, or holds characters that no text holds."""
    if name not in fields:
        raise BadRecord(f"no {name!r}")
    value = fields[name]
    if not isinstance(value, str):
        raise BadRecord(f"{name!r} is {kind_of(value)}, expected text")
    if "\x00" in value:
        raise BadRecord(f"{name!r} contains a NUL character", odd=True)
    try:
        value.encode()
    except UnicodeEncodeError:
        why = f"{name!r} contains half of a surrogate pair, which no text file can hold"
        raise BadRecord(why, odd=True) from None
    return value
