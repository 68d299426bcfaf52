"""Any CSV or TSV log with a header: Lightning's metrics.csv, exports of W&B and TensorBoard, hand-made tables.

A W&B chart of several runs has a column "RUN - train/loss" for each: every run is a curve of its own.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from tunewright.curve.cells import by_epoch, delimiter_of, with_point
from tunewright.curve.collect import Collector, Columns, nothing_yet
from tunewright.curve.json_text import read_text
from tunewright.curve.names import names_loss, place
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError

SUFFIXES = (".csv", ".tsv")
RUN_MARK = " - "
MOST_RUNS = 200
BOUNDS = ("__MIN", "__MAX")


def matches(path: Path) -> bool:
    """A .csv or .tsv file whose header names a loss."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        header = file.readline(65536)
    return names_loss(_split(header, delimiter_of(header)))


def read(path: Path, columns: Columns | None = None) -> list[Curve]:
    """The curve of the table, or of each run in it. Raises DataError when no column is a loss or it is malformed."""
    text = read_text(path)
    if not text.strip():
        raise DataError(f"{path}: empty, expected a header line such as step,loss")
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) == 1:
        raise nothing_yet(path, "a header and no rows yet")
    delimiter = delimiter_of(lines[0])
    header = _split(lines[0], delimiter)
    runs = _runs(header)
    gathered = {run: Collector(columns) for run in runs or [""]}
    for row in by_epoch(list(_rows(path, lines, header, delimiter))):
        for run, collected in gathered.items():
            collected.add({key: value for key, value in row.items() if _belongs(key, run)} if run else row)
    kind = "wandb_csv" if runs else "csv"
    several = len(gathered) > 1
    return [one.curve(kind, f"{path}#{run}" if several else path, appended=False) for run, one in gathered.items()]


def _rows(path: Path, lines: list[str], header: list[str], delimiter: str) -> Iterator[dict[str, str]]:
    try:
        for cells in csv.reader(lines[1:], delimiter=delimiter):
            row = {key: value.strip() for key, value in zip(header, cells, strict=False) if key and value.strip()}
            yield {key: with_point(value, delimiter) for key, value in row.items() if not key.endswith(BOUNDS)}
    except csv.Error as error:
        raise DataError(f"{path}: not a readable table: {error}") from None


def _runs(header: list[str]) -> list[str]:
    """The runs of a W&B export, by the columns that are their training or validation loss."""
    named = [name for name in header if RUN_MARK in name and not name.endswith(BOUNDS)]
    losses = [name.rpartition(RUN_MARK)[0] for name in named if (place(name) or ("",))[0] in ("loss", "eval_loss")]
    return list(dict.fromkeys(losses))[:MOST_RUNS]


def _belongs(column: str, run: str) -> bool:
    return RUN_MARK not in column or column.rpartition(RUN_MARK)[0] == run


def _split(header: str, delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([header.strip("\r\n")], delimiter=delimiter), [])]
    except csv.Error:
        return []
