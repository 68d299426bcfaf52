"""TensorBoard event files, every point of them (TensorBoard keeps a sample of 10,000 a tag), without TensorBoard.

Records: length (8 bytes), its checksum (4), data, checksum of the data (4). Data: an ``Event`` message with wall time
(1), step (2) and summary (5), whose values have a tag (1) and a ``simple_value`` (2) or a tensor (8). Several files of
a folder are one log: they are ordered by wall time, the later point of a step counts.
Source: event.proto, summary.proto and tensor.proto of TensorBoard 2.21.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from tunewright.curve.collect import Collector, Columns
from tunewright.curve.crc import intact, masked_crc_of
from tunewright.curve.json_text import read_bytes
from tunewright.curve.wire import BYTES, EIGHT, FOUR, fields, float32, float64, signed, varint
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError

MARK = "tfevents"
LOOKED_AT = 2**20
MOST_SCALAR_BYTES = 4096
"""Events beyond this are graphs, images or texts."""

Scalar = tuple[float, int, str, float]
"""(wall time, step, tag, value)"""


def matches(path: Path) -> bool:
    """An event file that speaks of a loss, or a folder with one."""
    files = _files(path) if path.is_dir() else [path]
    return any(MARK in file.name and file.is_file() and _speaks_of_loss(file) for file in files)


def read(path: Path, columns: Columns | None = None) -> list[Curve]:
    """The curve of one event file, or of all in a folder. Raises DataError."""
    files = _files(path) if path.is_dir() else [path]
    collected = Collector(columns)
    scalars: list[Scalar] = []
    for file in files:
        found, note = read_scalars(file)
        scalars += found
        collected.notes += [f"{file.name}: {note}"] if note else []
    if not scalars:
        raise DataError(f"{path}: no scalar in it ({'; '.join(collected.notes) or 'only texts, images or graphs'})")
    scalars.sort(key=lambda scalar: scalar[0])
    by_tag: dict[str, tuple[list[int], list[int], list[float]]] = {}
    for order, (_, step, tag, value) in enumerate(scalars):
        if step >= 0:
            rows, steps, values = by_tag.setdefault(tag, ([], [], []))
            rows.append(order)
            steps.append(step)
            values.append(value)
    collected.add_series(by_tag)
    return [collected.curve("tensorboard", path)]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(f"*{MARK}*") if path.is_file())


def _speaks_of_loss(file: Path) -> bool:
    with open(file, "rb") as stream:
        return b"loss" in stream.read(LOOKED_AT).lower()


def read_scalars(file: Path) -> tuple[list[Scalar], str]:
    """All scalars of one file in its order, and a note on what was damaged ("" if nothing). Raises DataError."""
    content = read_bytes(file)
    starts, lengths, note = _records(content)
    small = [i for i, length in enumerate(lengths) if length <= MOST_SCALAR_BYTES]
    good = intact(content, [starts[i] for i in small], [lengths[i] for i in small])
    scalars: list[Scalar] = []
    damaged = int((~good).sum())
    for i, is_good in zip(small, good.tolist(), strict=True):
        if is_good:
            try:
                scalars += _event(content[starts[i] : starts[i] + lengths[i]])
            except ValueError:
                damaged += 1
    if damaged:
        note = f"{damaged} damaged records are left out" + (f"; {note}" if note else "")
    if not starts and content:
        raise DataError(f"{file}: not an event file of TensorBoard ({note})")
    return scalars, note


def _records(content: bytes) -> tuple[list[int], list[int], str]:
    """Where the data of each record starts, its length, and a note when the file ends before its last record."""
    starts: list[int] = []
    lengths: list[int] = []
    at, end = 0, len(content)
    while at < end:
        head = content[at : at + 12]
        if len(head) < 12:
            return starts, lengths, "the last record is cut off"
        length, check = struct.unpack("<QI", head)
        if masked_crc_of(head[:8]) != check:
            return starts, lengths, f"damaged at byte {at}: what follows is left out"
        if at + 16 + length > end:
            return starts, lengths, "the last record is cut off"
        starts.append(at + 12)
        lengths.append(length)
        at += 16 + length
    return starts, lengths, ""


def _event(message: bytes) -> list[Scalar]:
    wall, step, found = 0.0, 0, []
    for number, kind, value in fields(message):
        if number == 1 and kind == EIGHT and isinstance(value, bytes):
            wall = float64(value)
        elif number == 2 and isinstance(value, int):
            step = signed(value)
        elif number == 5 and kind == BYTES and isinstance(value, bytes):
            found += [_scalar(inner) for n, _, inner in fields(value) if n == 1 and isinstance(inner, bytes)]
    return [(wall, step, *one) for one in found if one is not None]


def _scalar(message: bytes) -> tuple[str, float] | None:
    tag, number = "", None
    for field, kind, value in fields(message):
        if field == 1 and isinstance(value, bytes):
            tag = value.decode("utf-8", "replace")
        elif field == 2 and kind == FOUR and isinstance(value, bytes):
            number = float32(value)
        elif field == 8 and isinstance(value, bytes):
            number = _tensor(value)
    return None if number is None else (tag, number)


_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}
_VALUES = {5: "<f4", 6: "<f8"}


def _tensor(message: bytes) -> float | None:
    """The number in a tensor of one element; None for any other tensor."""
    kind = 0
    for field, wire, value in fields(message):
        if field == 1 and isinstance(value, int):
            kind = value
        elif field == 4 and isinstance(value, bytes) and kind in _TYPES:  # tensor_content
            return _only(value, _TYPES[kind])
        elif field in _VALUES and isinstance(value, bytes) and wire in (BYTES, FOUR, EIGHT):  # packed or single
            return _only(value, _VALUES[field])
        elif field in (7, 10):
            return _whole(value)
    return None


def _whole(value: int | bytes) -> float | None:
    """One whole number, as it is or packed."""
    if isinstance(value, int):
        return float(signed(value))
    number, end = varint(value, 0)
    return float(signed(number)) if end == len(value) else None


def _only(raw: bytes, form: str) -> float | None:
    return float(np.frombuffer(raw, form)[0]) if len(raw) == np.dtype(form).itemsize else None
