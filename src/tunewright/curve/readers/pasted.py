"""A table inside a text: copied from a notebook, where the Trainer and Unsloth draw one, or a model card's.

::

    Step    Training Loss    Validation Loss        | Training Loss | Epoch | Step | Validation Loss |
    50      0.912000         1.021000               |:-------------:|:-----:|:----:|:---------------:|
    100     No log           0.984000               | 1.42          | 1.0   | 79   | 1.31            |

The columns are parted by tabs, bars, or spaces; the text around the table is passed over, but for what it states of
the run (:mod:`tunewright.curve.banner`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tunewright.curve.banner import with_stated
from tunewright.curve.cells import by_epoch
from tunewright.curve.collect import Collector, Columns
from tunewright.curve.json_text import read_text
from tunewright.curve.names import names_loss, place, to_float
from tunewright.curve.printouts import head_of
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError

SUFFIXES = (".txt", ".log", ".out", ".md")
LONGEST_LINE = 400
"""Letters of a line of a table; a longer one is prose."""
FEWEST = 2
"""Rows below a header that tell a table from a sentence with these words."""

NO_LOG = "No log"
"""What the Trainer's notebook table shows before the first training loss is logged."""
_PARTED = re.compile(r"[ ]*[\t|\u2502\u2503][ ]*|[ ]{2,}")
_COMMA, _SEMICOLON = re.compile(","), re.compile(";")
_RULE = re.compile(r"[\s|:=+\u2500-\u257f-]+")


def matches(path: Path) -> bool:
    """A text whose first part has a table with a loss."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    return has_table(head_of(path))


def has_table(text: str) -> bool:
    """Whether the text has a header with a loss and rows of numbers below it."""
    return any(number >= FEWEST for number, _ in enumerate(rows_of(text), start=1))


def read(path: Path, columns: Columns | None = None) -> list[Curve]:
    """The curve of the table. Raises DataError when there is none."""
    text = read_text(path)
    rows = by_epoch(list(rows_of(text)))
    if not rows:
        raise DataError(f"{path}: no table with a loss in it (a header such as Step, Training Loss, then rows)")
    collected = Collector(columns)
    for row in rows:
        collected.add(row)
    return [with_stated(collected.curve("pasted", path), text)]


def rows_of(text: str) -> Iterator[dict[str, str]]:
    r"""The rows of the tables in a text; a cell without a number ("No log") is left out of its row.

    >>> list(rows_of("[2/2 00:01]\nStep\tTraining Loss\tValidation Loss\n1\tNo log\t2.5\n2\t1.5\t2.0\ndone"))
    [{'Step': '1', 'Validation Loss': '2.5'}, {'Step': '2', 'Training Loss': '1.5', 'Validation Loss': '2.0'}]
    """
    header: list[str] = []
    sign = _PARTED
    for line in text.splitlines():
        if len(line) > LONGEST_LINE or not line.strip() or _RULE.fullmatch(line):
            continue  # the rule under a header ends no table, nor does an empty line
        if begun := _header(line):
            header, sign = begun
            continue
        cells = _cells(line, sign)[-len(header) :] if header else []  # pandas puts a number of its own before each row
        row = {name: cell for name, cell in zip(header, cells, strict=False) if to_float(cell) is not None}
        if row and len(cells) == len(header):
            yield row
        else:
            header = []


def _header(line: str) -> tuple[list[str], re.Pattern[str]] | None:
    """The column names and what parts them; None for a line that is no header: that names a loss and has no number."""
    for sign in (_PARTED, _COMMA, _SEMICOLON):
        names = _parted(line, sign)
        if len(names) > 1 and names_loss(names) and not any(to_float(name) is not None for name in names):
            return names, sign
    names = _words(line.strip())
    return (names, _PARTED) if len(names) > 1 and names_loss(names) else None


def _parted(line: str, sign: re.Pattern[str]) -> list[str]:
    return [cell.strip(" *`") for cell in sign.split(line.strip().strip("|\u2502\u2503").strip())]


def _words(line: str) -> list[str]:
    """Names with one space between them: two words are one name where that is a known one ("Training Loss")."""
    names: list[str] = []
    for word in line.split():
        pair = f"{names[-1]} {word}" if names else ""
        if pair and place(pair) is not None and place(names[-1]) is None:
            names[-1] = pair
        else:
            names.append(word)
    return names if all(place(name) is not None for name in names) else []


def _cells(line: str, sign: re.Pattern[str]) -> list[str]:
    """The cells of a row, parted as its header is; by single spaces where nothing else parts them."""
    cells = _parted(line, sign)
    return cells if len(cells) > 1 else line.replace(NO_LOG, "-").split()
