"""Any JSONL log: one JSON object a line, its keys under the names trainers commonly use (curve/names.py)."""

from __future__ import annotations

from pathlib import Path

from tunewright.curve.collect import Collector
from tunewright.curve.json_text import parse, read_lines
from tunewright.curve.names import known
from tunewright.schema.curve import Curve

SUFFIXES = (".jsonl", ".ndjson")
LOOKED_AT = 50
"""Lines looked at to tell a log from a data set; progress rows without a loss may come first."""


def matches(path: Path) -> bool:
    """A .jsonl file whose first lines hold a loss under a known name."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        lines = [file.readline(65536) for _ in range(LOOKED_AT)]
    return any(_has_loss(line) for line in lines)


def _has_loss(line: str) -> bool:
    try:
        value = parse(line) if line.strip() else None
    except ValueError:
        return False
    return isinstance(value, dict) and not known(value).keys().isdisjoint({"loss", "eval_loss"})


def read(path: Path) -> Curve:
    """The curve of the file. Raises DataError when no line has a loss or too many lines are broken."""
    collected = Collector()
    for _, row in read_lines(path):
        collected.add(row)
    return collected.curve("jsonl", path)
