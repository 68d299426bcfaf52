"""File formats: bytes in, numbered records out. A record that cannot be read says why; the others go on."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from tunewright.data.shapes import shape_of
from tunewright.data.values import kind_of
from tunewright.schema.errors import DataError, EnvironmentMissing

_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
# What decoding with "surrogateescape" makes of a byte that is not UTF-8.
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
# csv keeps this limit per process, and refuses fields above 128 KiB by default: long documents are longer.
_FIELD_LIMIT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Record:
    """``value``: the record's columns, or None when it is broken, and then ``broken`` says why; ``odd``: because it
    holds bytes or halves of characters that are no text."""

    number: int
    value: Mapping[str, Any] | None
    broken: str = ""
    odd: bool = False


def parse(path: Path, content: bytes) -> tuple[str, list[Record]]:
    """The format's name and the file's records, by the file name's ending.

    Raises DataError for an unknown ending and for content that is not of that format as a whole.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(READERS)
        raise DataError(f"{path}: unknown kind of file {path.suffix!r}; known are {known}")
    if content.startswith(_UTF16_BOMS) and path.suffix.lower() != ".parquet":
        raise DataError(f"{path}: UTF-16 text, expected UTF-8", hint=f"iconv -f UTF-16 -t UTF-8 {path} > NEW")
    return reader(path, content)


def _json_lines(path: Path, content: bytes) -> tuple[str, list[Record]]:
    # one line after the other, as all of them would be the file once more
    lines = (line.removesuffix(b"\n") for line in io.BytesIO(content.removeprefix(_UTF8_BOM)))
    records = [_json_line(number, line) for number, line in enumerate(lines, 1) if line and not line.isspace()]
    if content.removeprefix(_UTF8_BOM).lstrip()[:1] in (b"[", b"{") and records[0].value is None:
        # a whole document under the name of lines: a list, or objects over many lines
        with suppress(orjson.JSONDecodeError, DataError):
            return "json", _json_records(path, orjson.loads(content.removeprefix(_UTF8_BOM)))
        if joined := _joined(content):
            return "json", joined
    return "jsonl", records


def _joined(content: bytes) -> list[Record]:
    """The objects of a file that holds one right after the other, over as many lines as each takes; nothing where it
    holds anything else."""
    with suppress(ValueError, RecursionError):
        text, place, found, decoder = content.decode("utf-8-sig").strip(), 0, [], json.JSONDecoder()
        while place < len(text):
            value, place = decoder.raw_decode(text, place)
            found.append(value)
            while place < len(text) and text[place].isspace():
                place += 1
        return [_record(number, value) for number, value in enumerate(found, 1)]
    return []


def _json_line(number: int, line: bytes) -> Record:
    try:
        return _record(number, orjson.loads(line))
    except orjson.JSONDecodeError as error:
        odd = "UTF-8" in error.msg or "surrogate" in error.msg
        return Record(number, None, f"not JSON: {_short(error)}", odd)


def _record(number: int, value: Any) -> Record:
    if isinstance(value, dict):
        return Record(number, value)
    return Record(number, None, f"expected an object with named fields, found {kind_of(value)}")


def _short(error: orjson.JSONDecodeError) -> str:
    # The position differs from line to line; the kind of mistake is what groups the rows.
    return error.msg.split(":")[0]


def _json(path: Path, content: bytes) -> tuple[str, list[Record]]:
    try:
        whole = orjson.loads(content.removeprefix(_UTF8_BOM))
    except orjson.JSONDecodeError as error:
        name, records = _json_lines(path, content)  # many files named .json hold one object a line
        if any(record.value for record in records):
            return name, records
        line = content.count(b"\n", 0, error.pos) + 1
        hint = f"python -m json.tool {path}"
        raise DataError(f"{path}, line {line}: not JSON: {error.msg}; expected a list of objects", hint=hint) from None
    return "json", _json_records(path, whole)


def _json_records(path: Path, whole: Any) -> list[Record]:
    if isinstance(whole, dict):
        whole = _inner_list(whole)
    if not isinstance(whole, list):
        raise DataError(f'{path}: expected a list of objects or {{"data": [...]}}, found {kind_of(whole)}')
    return [_record(number, value) for number, value in enumerate(whole, 1)]


def _inner_list(whole: dict[str, Any]) -> list[Any]:
    """The rows of a document that is one object: its only list of objects; the object itself when that is a row."""
    if isinstance(whole.get("data"), list):
        return list(whole["data"])
    lists = [value for value in whole.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    return [whole] if shape_of(whole) is not None or len(lists) != 1 else list(lists[0])


def _csv(path: Path, content: bytes) -> tuple[str, list[Record]]:
    text = _decoded(path, content)
    header = text.split("\n", 1)[0]
    if not _is_text(header):
        raise _not_utf8(path, content)
    delimiter = max(",;\t", key=header.count)
    csv.field_size_limit(_FIELD_LIMIT)
    # strict: else a quote that is never closed swallows all rows after it without a word
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = list(reader.fieldnames or ())
    except csv.Error as error:
        raise DataError(f"{path}: the header is not CSV: {error}") from None
    twice = next((name for name in columns if name and columns.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: two columns are named {twice[:40]!r}", hint="give each column a name of its own")
    return "csv", _some_text(path, content, list(_csv_records(reader)))


def _csv_records(reader: csv.DictReader[str]) -> Iterator[Record]:
    for number in count(1):
        begun = reader.line_num
        try:
            yield _csv_record(number, next(reader))
        except csv.Error as error:
            lines = reader.line_num - begun
            swallowed = f"; a quote that is never closed takes {lines} lines with it" if lines > 1 else ""
            yield Record(number, None, f"not CSV: {error}{swallowed}")
        except StopIteration:
            return


def _csv_record(number: int, fields: dict[Any, Any]) -> Record:
    if None in fields:
        return Record(number, None, "more fields than the header has; a field with commas needs quotes")
    if None in fields.values():
        return Record(number, None, "fewer fields than the header has")
    if all(name == value for name, value in fields.items()):
        return Record(number, None, "the header once more: two files were joined")
    return _of_text(number, fields)


def _of_text(number: int, fields: Mapping[str, str]) -> Record:
    """The record, broken when it holds bytes that are not UTF-8."""
    if all(map(_is_text, fields.values())):
        return Record(number, fields)
    return Record(number, None, "not UTF-8 text", odd=True)


def _is_text(value: str) -> bool:
    return value.isascii() or not _ESCAPED_BYTE.search(value)


def _text(path: Path, content: bytes) -> tuple[str, list[Record]]:
    paragraphs = re.split(r"\r?\n[ \t]*(?:\r?\n[ \t]*)+", _decoded(path, content).strip())
    texts = (paragraph.strip() for paragraph in paragraphs)
    records = [_of_text(number, {"text": text}) for number, text in enumerate(filter(None, texts), 1)]
    return "text", _some_text(path, content, records)


def _decoded(path: Path, content: bytes) -> str:
    """The content as text; bytes that are not UTF-8 become halves of surrogate pairs, to be found again."""
    return content.decode("utf-8-sig", "surrogateescape")


def _some_text(path: Path, content: bytes, records: list[Record]) -> list[Record]:
    """The records, those that are not UTF-8 with the line of the first such byte.

    Raises DataError when they are all so: then the whole file was written in another encoding.
    """
    odd = [record for record in records if record.odd]
    if odd and len(odd) == len(records):
        raise _not_utf8(path, content)
    where = f"not UTF-8 text (first in line {_bad_byte(content)[0]})" if odd else ""
    return [replace(record, broken=where) if record.odd else record for record in records]


def _bad_byte(content: bytes) -> tuple[int, int]:
    """Line and place of the first byte that is not UTF-8."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return content.count(b"\n", 0, error.start) + 1, error.start
    return 0, 0


def _not_utf8(path: Path, content: bytes) -> DataError:
    line, start = _bad_byte(content)
    return DataError(
        f"{path}, line {line}: not UTF-8 text (byte 0x{content[start]:02x} at {start})",
        hint=f"if it was saved by an older program: iconv -f WINDOWS-1252 -t UTF-8 {path} > NEW",
    )


def _parquet(path: Path, content: bytes) -> tuple[str, list[Record]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise EnvironmentMissing(f"{path}: reading Parquet needs pyarrow", hint="pip install pyarrow") from None
    try:
        values: Iterable[Any] = pq.read_table(pa.BufferReader(content)).to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:  # a damaged page is an OSError there
        first_line = (str(error).splitlines() or ["cannot be read"])[0]
        raise DataError(f"{path}: not a Parquet file: {first_line}") from None
    return "parquet", [_record(number, _without_absent(value)) for number, value in enumerate(values, 1)]


def _without_absent(value: Any, depth: int = 0) -> Any:
    """A record of Parquet without the fields of nested objects that are null: there, every object of a column has all
    fields that any of them has."""
    if isinstance(value, list):
        return [_without_absent(one, depth + 1) for one in value]
    if not isinstance(value, dict):
        return value
    # an answer that is null is an answer without text, not a turn without one
    kept = {name: one for name, one in value.items() if one is not None or depth == 0 or name in ("content", "value")}
    return {name: _without_absent(one, depth + 1) for name, one in kept.items()}


READERS: Mapping[str, Callable[[Path, bytes], tuple[str, list[Record]]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".txt": _text,
}
