"""Any JSONL log: one JSON object a line, its keys under the names trainers commonly use (curve/names.py)."""

from __future__ import annotations

from pathlib import Path

from tunewright.curve.collect import Collector, Columns
from tunewright.curve.json_text import parse, read_rows
from tunewright.curve.names import flat, names_loss
from tunewright.schema.curve import Curve

SUFFIXES = (".jsonl", ".ndjson")
LOOKED_AT = 50
"""Lines looked at to tell a log from a data set; progress rows without a loss may come first."""


def matches(path: Path) -> bool:
    """A .jsonl file whose first lines hold a loss under a known name."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    with open(path, "rb") as file:
        lines = [file.readline(65536) for _ in range(LOOKED_AT)]
    return any(_has_loss(line) for line in lines)


def _has_loss(line: bytes) -> bool:
    try:
        value = parse(line.removeprefix(b"\xef\xbb\xbf")) if line.strip() else None
    except ValueError:
        return False
    return isinstance(value, dict) and names_loss(flat(value))


def read(path: Path, columns: Columns | None = None) -> list[Curve]:
    """The curve of the file. Raises DataError when no line has a loss or too many lines are broken."""
    collected = Collector(columns)
    for rows in read_rows(path):
        nested = any(isinstance(value, dict) for row in rows[:LOOKED_AT] for value in row.values())
        collected.add_all([flat(row) for row in rows] if nested else rows)
    return [collected.curve("jsonl", path)]
