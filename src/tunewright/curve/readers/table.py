"""Any CSV or TSV log with a header: Lightning's metrics.csv, exports of W&B and TensorBoard, hand-made tables."""

from __future__ import annotations

import csv
from pathlib import Path

from tunewright.curve.collect import Collector
from tunewright.curve.json_text import read_text
from tunewright.curve.names import known
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError

SUFFIXES = (".csv", ".tsv")


def matches(path: Path) -> bool:
    """A .csv or .tsv file whose header names a loss."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        header = file.readline(65536)
    return _names_loss(_split(header, _delimiter(header)))


def read(path: Path) -> Curve:
    """The curve of the table. Raises DataError when the header names no loss or the table is malformed."""
    text = read_text(path)
    if not text.strip():
        raise DataError(f"{path}: empty, expected a header line such as step,loss")
    lines = [line for line in text.splitlines() if line.strip()]
    first = lines[0]
    header = _split(first, _delimiter(first))
    if not _names_loss(header):
        shown = ", ".join(_printable(name) for name in header[:8])
        raise DataError(f"{path}: no column is a loss (found: {shown}; expected loss, train_loss, eval_loss, ...)")
    collected = Collector()
    try:
        for row in csv.DictReader(lines[1:], fieldnames=header, delimiter=_delimiter(first)):
            collected.add({key: value.strip() for key, value in row.items() if key and value})
    except csv.Error as error:
        raise DataError(f"{path}: not a readable table: {error}") from None
    return collected.curve("csv", path)


def _printable(name: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in name[:30])


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _split(header: str, delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([header.strip("\r\n")], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _names_loss(header: list[str]) -> bool:
    return not known(dict.fromkeys(header, "0")).keys().isdisjoint({"loss", "eval_loss"})
