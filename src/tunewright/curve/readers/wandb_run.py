"""W&B's offline run files (``run-ID.wandb``): a LevelDB log of protocol buffers, read without W&B.

Blocks of 32 KiB hold pieces: checksum (4 bytes), length (2), type (1 whole, 2 first, 3 middle, 4 last), data. A record
has history (2: items with key, value), config (5) or the run (17, with its config). The Trainer's steps are in
``train/global_step``; W&B's own ``_step`` counts calls. Older versions write values as JSON text.
Source: wandb 0.31.0, proto/wandb_internal.proto; LevelDB documentation, "Log Format".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

from tunewright.curve.beside import as_recipe
from tunewright.curve.collect import Collector, Columns
from tunewright.curve.json_text import parse, read_bytes
from tunewright.curve.wire import fields, float64, signed
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError

SUFFIX = ".wandb"
HEAD = b":W&B"
HEAD_BYTES, BLOCK, PIECE_HEAD = 7, 32768, 7
WHOLE, FIRST, LAST = 1, 2, 4


def matches(path: Path) -> bool:
    """A run-ID.wandb file, or the folder of such a run."""
    return bool(_files(path)) if path.is_dir() else path.suffix == SUFFIX and path.is_file()


def read(path: Path, columns: Columns | None = None) -> list[Curve]:
    """The curve of an offline run. Raises DataError."""
    file = _files(path)[-1] if path.is_dir() else path
    content = read_bytes(file)
    if not content.startswith(HEAD):
        raise DataError(f"{file}: not a W&B run file (it starts otherwise)")
    collected = Collector(columns)
    config: dict[str, Any] = {}
    for record in _records(content, collected.notes):
        try:
            row, settings = _row(record)
        except ValueError:
            collected.notes.append("a damaged record is left out")
            continue
        config.update(settings)
        if row:
            collected.add(row)
    return [collected.curve("wandb", file, config=as_recipe(config))]


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"run-*{SUFFIX}"))


def _records(content: bytes, notes: list[str]) -> Iterator[bytes]:
    at, parts = HEAD_BYTES, b""
    while at + PIECE_HEAD <= len(content):
        left = BLOCK - at % BLOCK
        if left < PIECE_HEAD:  # too little room for a piece: the rest of a block is padding
            at += left
            continue
        check, length, kind = struct.unpack_from("<IHB", content, at)
        piece = content[at + PIECE_HEAD : at + PIECE_HEAD + length]
        if crc32(content[at + 6 : at + PIECE_HEAD + length]) != check or len(piece) < length:
            notes.append("the end of the file is cut off or damaged")
            return
        parts = piece if kind in (WHOLE, FIRST) else parts + piece
        if kind in (WHOLE, LAST):
            yield parts
        at += PIECE_HEAD + length


def _row(record: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """(one logged row, settings) of a record; mostly one of them is empty."""
    row: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for number, _, value in fields(record):
        if not isinstance(value, bytes):
            continue
        if number == 2:
            row.update(_items(value, 1))
        elif number == 5:
            settings.update(_items(value, 1))
        elif number == 17:
            for inner, _, part in fields(value):
                if inner == 4 and isinstance(part, bytes):
                    settings.update(_items(part, 1))
    return row, settings


def _items(message: bytes, number: int) -> Iterator[tuple[str, Any]]:
    for field, _, value in fields(message):
        if field == number and isinstance(value, bytes):
            yield _item(value)


def _item(message: bytes) -> tuple[str, Any]:
    names: list[str] = []
    found: Any = None
    for field, _, value in fields(message):
        if field in (1, 2) and isinstance(value, bytes):
            names.append(value.decode("utf-8", "replace"))
        elif field == 5 and isinstance(value, int):
            found = signed((value >> 1) ^ -(value & 1))  # sint64: the sign is the lowest bit
        elif field == 6 and isinstance(value, bytes):
            found = float64(value) if len(value) == 8 else None
        elif field == 7 and isinstance(value, bytes):
            found = value.decode("utf-8", "replace")
        elif field in (8, 16) and isinstance(value, bytes):
            found = parse(value)
    return ".".join(names), found
