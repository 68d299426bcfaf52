"""Reads a file of rows: any format, any shape, every broken record named and the rest kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tunewright.data.faults import Fault, make_fault
from tunewright.data.formats import Record, parse
from tunewright.data.row_faults import row_faults
from tunewright.data.rows import Row
from tunewright.data.shapes import SHAPES, Shape, shape_of
from tunewright.data.values import BadRecord
from tunewright.schema.errors import DataError


@dataclass(frozen=True)
class RowFile:
    """A file as read.

    format: "jsonl", "json", "csv", "parquet" or "text"; shape: a name of ``shapes.SHAPES``, empty when every record
    is broken; rows: the records that could be read, in order; faults: broken_row, wrong_roles, empty_answer,
    and encoding for those broken by characters that are no text;
    sha256: of the file's bytes; last_number: the highest row number, broken records included.
    """

    path: Path
    format: str
    shape: str
    rows: tuple[Row, ...]
    faults: tuple[Fault, ...]
    sha256: str
    last_number: int


def read_rows(path: Path) -> RowFile:
    """All rows of a file, numbered by line (JSONL) or record (a CSV header is no record; text by paragraph).

    The shape is that of the first record whose columns fit one; a record that does not fit it, or holds anything
    but text where text belongs, is a ``broken_row``, and so is a line that is not JSON.
    Raises DataError when the file is missing, a folder, empty, not decodable, or of no known shape.
    """
    content = _content(path)
    kind, records = parse(path, content)
    if not records:
        raise DataError(f"{path}: no rows in it", hint="one row per line, for example: " + _EXAMPLE)
    shape = _shape(path, records)
    rows, broken, odd = _rows(records, shape)
    return RowFile(
        path=path,
        format=kind,
        shape=shape.name if shape else "",
        rows=rows,
        faults=(*make_fault("broken_row", broken), *make_fault("encoding", odd), *row_faults(rows)),
        sha256=hashlib.sha256(content).hexdigest(),
        last_number=records[-1].number,
    )


_EXAMPLE = '{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}'


def _content(path: Path) -> bytes:
    if path.is_dir():
        raise DataError(f"{path}: a folder, expected a file of rows")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if not path.is_file():
        raise DataError(f"{path}: not a regular file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if not content or content.isspace():
        raise DataError(f"{path}: the file is empty", hint="one row per line, for example: " + _EXAMPLE)
    return content


def _shape(path: Path, records: list[Record]) -> Shape | None:
    """The file's shape: that of the first record that has one; None when no record could be read at all."""
    readable = [record.value for record in records if record.value is not None]
    shape = next((found for value in readable if (found := shape_of(value.keys()))), None)
    if shape is not None or not readable:
        return shape
    found_columns = ", ".join(str(name)[:40] for name in list(readable[0])[:12]) or "none"
    expected = "; ".join(shape.expected for shape in SHAPES)
    hint = "preference pairs train a different objective (DPO)" if "chosen" in readable[0] else ""
    raise DataError(f"{path}: found columns {found_columns}; expected one of: {expected}", hint=hint)


def _rows(records: list[Record], shape: Shape | None) -> tuple[tuple[Row, ...], dict[int, str], dict[int, str]]:
    """The rows, the broken records with their reasons, and those of them broken by odd characters."""
    rows: list[Row] = []
    broken: dict[int, str] = {}
    odd: dict[int, str] = {}
    for record in records:
        if record.value is None or shape is None:
            broken[record.number] = record.broken
            odd |= {record.number: record.broken} if record.odd else {}
            continue
        try:
            rows.append(shape.row(record.number, record.value))
        except BadRecord as reason:
            broken[record.number] = str(reason)
            odd |= {record.number: str(reason)} if reason.odd else {}
    return tuple(rows), broken, odd
