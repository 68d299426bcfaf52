"""Runs typed by hand: a CSV of a few numbers each becomes verdicts and the next recipe.

Columns: rows, epochs, learning_rate, steps (may be left empty), final_loss (a number or a range such as 0.4-0.6); more
are kept as they are. The guide's own three runs are the worked example.

Source: "LLM Fine-Tuning Guide: Understanding Training Parameters" (2025-10), "Three Training Runs Compared".
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tunewright.curve.cells import delimiter_of, with_point
from tunewright.prescribe.guide.bands import Band, bands_of
from tunewright.prescribe.steps_check import StepsCheck, check_steps
from tunewright.prescribe.values import show
from tunewright.schema.errors import DataError

COLUMNS = ("rows", "epochs", "learning_rate", "steps", "final_loss")
_NUMBER = r"\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})(?:\s*(?:-|\u2010|\u2011|\u2012|\u2013|\u2014|\bto\b)\s*({_NUMBER}))?")
_HINT = "tunewright next --table runs.csv, with the columns " + ",".join(COLUMNS)


@dataclass(frozen=True)
class TypedRun:
    """One line of the table. ``loss_low`` = ``loss_high`` when a single final loss was typed; nats per token.

    steps: None where the cell was left empty.
    """

    line: int
    rows: int
    epochs: float
    learning_rate: float
    steps: int | None
    loss_low: float
    loss_high: float
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def loss_text(self) -> str:
        low, high = show(self.loss_low), show(self.loss_high)
        return low if low == high else f"{low}-{high}"


@dataclass(frozen=True)
class Verdict:
    """A typed run by the guide's bands. ``word``: okay, overfit, underfit, barely learned or sweet spot;
    ``straddles``: the typed range enters more than one band."""

    run: TypedRun
    word: str
    bands: tuple[Band, ...]
    straddles: bool
    text: str
    steps: StepsCheck


def read_table(path: Path) -> tuple[TypedRun, ...]:
    """The runs of a CSV file, top to bottom.

    Raises DataError naming the line and the column: a missing column, a value that is no number, a negative one; and
    for a file that cannot be read or has no runs. Blank lines are skipped; a byte-order mark, spaces and
    a spreadsheet's semicolons with decimal commas are fine.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise DataError(f"{path}: cannot be read: {reason}", hint=_HINT) from None
    delimiter = delimiter_of(text.lstrip().partition("\n")[0])
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    try:
        lines = [(reader.line_num, [with_point(cell.strip(), delimiter) for cell in row]) for row in reader]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not CSV: {error}", hint=_HINT) from None
    lines = [(number, row) for number, row in lines if any(row)]
    if not lines:
        raise DataError(f"{path}: empty; expected a header and one run a line", hint=_HINT)
    header = [name.lower() for name in lines[0][1]]
    _check_header(path, lines[0][0], header)
    if len(lines) == 1:
        raise DataError(f"{path}: a header but no runs", hint=_HINT)
    return tuple(_run(path, number, header, row) for number, row in lines[1:])


def _check_header(path: Path, line: int, header: list[str]) -> None:
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        found = ", ".join(header)
        raise DataError(f"{path}, line {line}: no column {', '.join(missing)}; found {found}", hint=_HINT)
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise DataError(f"{path}, line {line}: column {', '.join(twice)} appears twice", hint=_HINT)


def _run(path: Path, line: int, header: list[str], row: list[str]) -> TypedRun:
    if len(row) != len(header):
        raise DataError(f"{path}, line {line}: {len(row)} values, but {len(header)} columns in the header", hint=_HINT)
    cells = dict(zip(header, row, strict=True))
    low, high = _loss(path, line, cells["final_loss"])
    return TypedRun(
        line=line,
        rows=_whole(path, line, "rows", cells["rows"]),
        epochs=_positive(path, line, "epochs", cells["epochs"]),
        learning_rate=_positive(path, line, "learning_rate", cells["learning_rate"]),
        steps=_whole(path, line, "steps", cells["steps"]) if cells["steps"] else None,
        loss_low=low,
        loss_high=high,
        extra={name: value for name, value in cells.items() if name not in COLUMNS and name},
    )


def _fault(path: Path, line: int, column: str, value: str, expected: str) -> DataError:
    return DataError(f"{path}, line {line}, column {column}: {value!r}: expected {expected}", hint=_HINT)


def _positive(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value <= 0:
        raise _fault(path, line, column, text, "a number above 0")
    return value


def _whole(path: Path, line: int, column: str, text: str) -> int:
    value = _positive(path, line, column, text)
    if value != int(value):
        raise _fault(path, line, column, text, "a whole number above 0")
    return int(value)


def _loss(path: Path, line: int, text: str) -> tuple[float, float]:
    match = _RANGE.fullmatch(text)
    expected = "a final loss such as 0.45, or a range such as 0.4-0.6"
    if match is None:
        raise _fault(path, line, "final_loss", text, expected)
    low = float(match[1])
    high = low if match[2] is None else float(match[2])
    if not math.isfinite(high) or not math.isfinite(low):
        raise _fault(path, line, "final_loss", text, expected)
    if high < low:
        raise _fault(path, line, "final_loss", text, "the lower end of the range first")
    return low, high


def judge(run: TypedRun) -> Verdict:
    """The run by the guide's bands; a range that enters several bands says so, and is "okay" if one is the target.

    >>> judge(TypedRun(2, 625, 5, 1e-4, 395, 0.4, 0.6)).word
    'okay'
    """
    bands = bands_of(run.loss_low, run.loss_high)
    names = [band.name for band in bands]
    straddles = len(bands) > 1
    if not straddles:
        word, text = names[0], f"final loss {run.loss_text}: {names[0]} ({bands[0].text()})"
    else:
        word = "okay" if any(band.is_target for band in bands) else names[-1]
        text = f"final loss {run.loss_text} straddles {' and '.join(names)}: {word}"
    return Verdict(run, word, bands, straddles, text, check_steps(run.rows, run.epochs, run.steps))
