"""A data set: training, validation and test rows as a recipe names them, with the facts plans are made from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunewright.data.faults import Fault, Part, merged
from tunewright.data.read import RowFile, read_rows
from tunewright.data.rows import Row
from tunewright.data.sources import open_source
from tunewright.data.split import draw_order, split
from tunewright.data.tokens import Encoded
from tunewright.schema.errors import DataError
from tunewright.schema.facts import DataFacts


@dataclass(frozen=True)
class Dataset:
    """Rows by what they are for.

    train: in order; a mixture repeats or leaves out rows by their source's weight; val: held out of the data, or of
    a file of their own (then ``held_out`` is False); test: of a file of their own; file_rows: the rows of the data as
    read, before splitting and weighing; format: of the (first) data file; shape: of its records; faults: of single
    rows; sha256: of the data file, or of the hashes of a mixture's files.
    """

    train: tuple[Row, ...]
    val: tuple[Row, ...]
    test: tuple[Row, ...]
    file_rows: tuple[Row, ...]
    held_out: bool
    format: str
    shape: str
    faults: tuple[Fault, ...]
    sha256: str


def load_dataset(values: Mapping[str, Any]) -> Dataset:
    """The rows that a recipe's ``data, val, test, val_size, seed`` name.

    Row numbers of a mixture go on from file to file: the second file's first line follows the first file's last.
    Raises DataError for unusable files, and when two parts are the same file.
    """
    sources = _sources(values["data"])
    files = [read_rows(path) for path, _ in sources]
    held = {part: _held_file(values.get(part), part, files) for part in ("val", "test")}
    _refuse_same(held["val"], held["test"], "test", "val")
    rows, faults, weights = _numbered(files, [weight for _, weight in sources])
    val_file, test_file = held["val"], held["test"]
    seed = int(values.get("seed", 0))
    train, val = (rows, val_file.rows) if val_file else split(rows, float(values.get("val_size", 0.1)), seed)
    return Dataset(
        train=_weighted(train, weights, seed),
        val=val,
        test=test_file.rows if test_file else (),
        file_rows=rows,
        held_out=val_file is None,
        format=files[0].format,
        shape=files[0].shape,
        faults=(*faults, *_faults_of(val_file, "validation"), *_faults_of(test_file, "test")),
        sha256=_hash(files),
    )


def facts(
    data: Dataset, train: Encoded, val: Encoded | None = None, *, max_length: int, stage: str = "sft"
) -> DataFacts:
    """What a plan needs to know; length_max is 0 when no row could be encoded."""
    return DataFacts(
        rows=len(train.lengths),
        val_rows=len(val.lengths) if val else 0,
        tokens=train.tokens,
        supervised_tokens=train.supervised_tokens,
        length_max=max(train.lengths, default=0),
        max_length=max_length,
        distinct_prompts=len({row.key for row in data.train}),
        stage=stage,
        sha256=data.sha256,
    )


def _sources(data: Any) -> list[tuple[Path, float]]:
    """(path, weight) of every source: one name, or the parts of a mixture."""
    if isinstance(data, str):
        return [(open_source(data), 1.0)]
    parts = [part if isinstance(part, Mapping) else {"path": part.path, "weight": part.weight} for part in data]
    if not parts:
        raise DataError("data names no file")
    return [(open_source(part["path"]), float(part.get("weight", 1.0))) for part in parts]


def _held_file(name: str | None, part: str, files: Sequence[RowFile]) -> RowFile | None:
    if name is None:
        return None
    file = read_rows(open_source(name))
    for trained in files:
        _refuse_same(file, trained, part, "data")
    return file


def _refuse_same(file: RowFile | None, other: RowFile | None, part: str, other_part: str) -> None:
    """The same file by path or by content: its loss would say nothing about unseen rows."""
    if file and other and (file.path.resolve() == other.path.resolve() or file.sha256 == other.sha256):
        raise DataError(
            f"{file.path}: {part} is the same file as {other_part}: its loss would say nothing",
            hint="leave --val out to hold rows out of the data",
        )


def _numbered(
    files: Sequence[RowFile], file_weights: Sequence[float]
) -> tuple[tuple[Row, ...], tuple[Fault, ...], dict[int, float]]:
    """All rows and faults under numbers that go on from file to file, and each row's weight."""
    rows: list[Row] = []
    faults: list[Fault] = []
    weights: dict[int, float] = {}
    offset = 0
    for file, weight in zip(files, file_weights, strict=True):
        moved = file.rows if offset == 0 else [replace(row, number=row.number + offset) for row in file.rows]
        rows += moved
        weights |= {row.number: weight for row in moved}
        faults += [fault.shifted(offset) for fault in file.faults]
        offset += file.last_number
    return tuple(rows), merged(faults), weights


def _weighted(rows: Sequence[Row], weights: Mapping[int, float], seed: int) -> tuple[Row, ...]:
    """Each row as often as its weight says; of a broken weight's last part, a share of the rows drawn by hash.

    With weight 2.5 every row is there twice, and half of them a third time.
    """
    if all(weight == 1 for weight in weights.values()):
        return tuple(rows)
    drawn: list[Row] = []
    for weight in sorted(set(weights.values())):
        group = [row for row in rows if weights[row.number] == weight]
        extra = round((weight - int(weight)) * len(group))
        order = sorted(group, key=lambda row: draw_order(f"{row.number}:{row.key}", seed))
        drawn += group * int(weight) + order[:extra]
    return tuple(sorted(drawn, key=lambda row: row.number))


def _faults_of(file: RowFile | None, part: Part) -> tuple[Fault, ...]:
    return tuple(fault.of(part) for fault in file.faults) if file else ()


def _hash(files: Sequence[RowFile]) -> str:
    if len(files) == 1:
        return files[0].sha256
    return hashlib.sha256("\n".join(file.sha256 for file in files).encode()).hexdigest()
