r"""What a trainer printed: rows such as ``{'loss': 1.2, 'learning_rate': 2e-05, 'epoch': 0.1}`` in captured output.

Newer Trainers print numbers as texts ("{'loss': '1.2'"). The rows carry no step. With the progress bar in the same
file the bar drawn after a row tells it ("12/395"), because printing a row redraws the bar. Without a bar the closing
row tells the number of steps, see :mod:`tunewright.curve.readers.reckoned`; else rows are counted, which is said.
Colour codes, carriage returns and any other text are passed over.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from tunewright.curve.banner import with_stated
from tunewright.curve.collect import Collector, Columns
from tunewright.curve.json_text import read_text
from tunewright.curve.names import columns_of, to_float
from tunewright.curve.printouts import BAR, LOOKED_AT, SUFFIXES, with_failure, without_colours
from tunewright.curve.readers.reckoned import Closings, Rows, by_closing, is_train
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError

MOST_ROW = 4000
"""Letters of a printed row; longer braces are something else."""

_ROW = re.compile(rf"\{{[^{{}}]{{0,{MOST_ROW}}}\}}")
_PAIR = re.compile(r"""['"]([^'"]{1,100})['"]\s*:\s*(?:'([^']*)'|"([^"]*)"|([^,'"{}]+))""")
_LOSS_ROW = re.compile(rb"""\{[^{}]{0,400}['"](?:eval_|train/|eval/)?loss['"]\s*:""")

Bars = list[tuple[int, int]]
"""(step, total) of progress bars in the order drawn"""


def matches(path: Path) -> bool:
    """A text file whose first or last part has a printed row with a loss."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    return has_printed_rows(path)


def has_printed_rows(path: Path) -> bool:
    """Whether printed rows are at the start or the end of a file of any name."""
    with open(path, "rb") as file:
        head = file.read(LOOKED_AT)
        file.seek(max(0, path.stat().st_size - LOOKED_AT))
        return bool(_LOSS_ROW.search((head + b"\n" + file.read(LOOKED_AT)).replace(b"\x00", b"")))


def read(path: Path, columns: Columns | None = None) -> list[Curve]:
    """The curve of the printed rows. Raises DataError when there are none."""
    text = read_text(path)
    rows, bars, closings = scan(text, columns)
    if not rows:
        raise DataError(f"{path}: no printed row with a loss in it (such as {{'loss': 1.2, 'epoch': 0.1}})")
    collected = Collector(columns)
    total = _number_rows(rows, bars, closings, collected.notes)
    for row in rows:
        collected.add(row)
    return [with_failure(with_stated(collected.curve("printed", path, total_steps=total), text), text)]


def scan(text: str, columns: Columns | None = None) -> tuple[Rows, list[Bars], Closings]:
    """(the rows, the bars drawn after each, the Trainer's closing rows)."""
    text = without_colours(text)
    rows: Rows = []
    bars: list[Bars] = []
    closings: list[tuple[int, dict[str, Any]]] = []
    ends = [found for found in _ROW.finditer(text) if "'" in found.group() or '"' in found.group()]
    for place, found in enumerate(ends):
        row = {key: a or b or bare.strip() for key, a, b, bare in _PAIR.findall(found.group())}
        if "train_runtime" in row:
            closings.append((len(rows), row))
        elif _has_metric(row, columns):
            rows.append(row)
            until = ends[place + 1].start() if place + 1 < len(ends) else len(text)
            bars.append([(int(n), int(total)) for n, total in BAR.findall(text[found.end() : until])])
    return rows, bars, closings


def _has_metric(row: dict[str, Any], columns: Columns | None) -> bool:
    places = columns_of(frozenset(row))
    names = [*places.get("loss", ()), *places.get("eval_loss", ()), *(columns or {}).values()]
    return any(to_float(row.get(name)) is not None for name in names)


def _number_rows(rows: Rows, bars: list[Bars], closings: Closings, notes: list[str]) -> int | None:
    """Give every row a step where it can be told; returns the total of steps when known."""
    if any("step" in columns_of(frozenset(row)) for row in rows):
        return None
    total = _bar_total(rows, bars)
    if total is not None:
        _by_bar(rows, bars, total)
        notes.append("steps are those of the progress bar")
        return total
    every, total = by_closing(rows, closings)
    if every is None:
        notes.append("no steps in the output: printed rows are counted, a row may stand for several steps")
        return None
    notes.append(f"steps are reckoned from the closing row: {total} steps, one row every {every}")
    return total


def _bar_total(rows: Rows, bars: list[Bars]) -> int | None:
    """The length of the training bar: the total most often drawn first after a training row."""
    firsts = Counter(drawn[0][1] for row, drawn in zip(rows, bars, strict=True) if drawn and is_train(row))
    best = firsts.most_common(1)
    trained = sum(is_train(row) for row in rows)
    return best[0][0] if best and best[0][1] >= 0.5 * trained else None


def _by_bar(rows: Rows, bars: list[Bars], total: int) -> None:
    """The bar after a row tells its step; a row without one (the file was cut, or two rows of a step) has the last."""
    step: int | None = None
    for row, drawn in zip(rows, bars, strict=True):
        own = [n for n, of in drawn if of == total]
        step = own[0] if own else step
        row["step"] = step if step is not None else 0
