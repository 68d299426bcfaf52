"""The wire format of protocol buffers, as much as scalar logs need: no schema, no dependency.

A message is a sequence of (tag, value); tag = field number * 8 + wire type (0 varint, 1 eight bytes, 2 length and
bytes, 5 four bytes). Source: "Encoding", Protocol Buffers documentation, 2024.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5

Field = tuple[int, int, int | bytes]
"""(field number, wire type, value): an int for a varint, the raw bytes for the others."""


def fields(message: bytes) -> Iterator[Field]:
    """The fields of one message. Raises ValueError where it is cut off or no message.

    >>> list(fields(bytes([0x10, 0x96, 0x01, 0x0A, 0x02, 0x68, 0x69])))
    [(2, 0, 150), (1, 2, b'hi')]
    """
    at, end = 0, len(message)
    while at < end:
        tag, at = varint(message, at)
        kind = tag & 7
        value: int | bytes
        if kind == VARINT:
            value, at = varint(message, at)
        else:
            length, at = _length(message, at, kind)
            value = message[at : at + length]
            at += length
            if at > end:
                raise ValueError("a field goes beyond its message")
        yield tag >> 3, kind, value


def _length(message: bytes, at: int, kind: int) -> tuple[int, int]:
    if kind == BYTES:
        return varint(message, at)
    if kind in (EIGHT, FOUR):
        return (8 if kind == EIGHT else 4), at
    raise ValueError(f"unknown wire type {kind}")


def varint(message: bytes, at: int) -> tuple[int, int]:
    """(the number at ``at``, where the next field starts). Raises ValueError."""
    result = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
    raise ValueError("a number is cut off")


def signed(value: int) -> int:
    """An int64 from its varint (two's complement)."""
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value


def float32(raw: bytes) -> float:
    """A number of four bytes."""
    return float(struct.unpack("<f", raw)[0])


def float64(raw: bytes) -> float:
    """A number of eight bytes."""
    return float(struct.unpack("<d", raw)[0])
