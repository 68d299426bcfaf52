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
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError

SUFFIXES = (".txt", ".log", ".out", ".md")
LOOKED_AT = 2**18
LONGEST_LINE = 400
"""Letters of a line of a table; a longer one is prose."""
FEWEST = 2
"""Rows below a header that tell a table from a sentence with these words."""

NO_LOG = "No log"
"""What the Trainer's notebook table shows before the first training loss is logged."""
_PARTED = re.compile(r"[ ]*[\t|\u2502\u2503][ ]*|[ ]{2,}")
_RULE = re.compile(r"[\s|:=+\u2500-\u257f-]+")


def matches(path: Path) -> bool:
    """A text whose first part has a table with a loss."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    with open(path, "rb") as file:
        return has_table(file.read(LOOKED_AT).replace(b"\x00", b"").decode("utf-8", "replace"))


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
    for line in text.splitlines():
        if len(line) > LONGEST_LINE or not line.strip() or _RULE.fullmatch(line):
            continue  # the rule under a header ends no table, nor does an empty line
        names = _header(line)
        cells = _cells(line) if header and not names else []
        if names:
            header = names
        elif header and len(cells) == len(header):
            row = {name: cell for name, cell in zip(header, cells, strict=True) if to_float(cell) is not None}
            header = header if row else []
            yield from (row,) if row else ()
        else:
            header = []


def _header(line: str) -> list[str]:
    """The column names, or nothing for a line that is no header: it names a loss and holds no number."""
    names = _parted(line)
    names = _words(names[0]) if len(names) == 1 else names
    numbers = any(to_float(name) is not None for name in names)
    return names if len(names) > 1 and not numbers and names_loss(names) else []


def _parted(line: str) -> list[str]:
    return [cell.strip(" *`") for cell in _PARTED.split(line.strip().strip("|\u2502\u2503").strip())]


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


def _cells(line: str) -> list[str]:
    """The cells of a row, parted as in a header; by single spaces where nothing else parts them."""
    cells = _parted(line)
    return cells if len(cells) > 1 else line.replace(NO_LOG, "-").split()
