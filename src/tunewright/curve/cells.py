"""How tables are typed: which sign parts the columns, numbers with a decimal comma, rows that name epochs only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from tunewright.curve.names import place, to_float

_DECIMAL_COMMA = re.compile(r"(?<![\d,.])(\d+),(\d+)(?![\d,.])")


def delimiter_of(header: str) -> str:
    """The sign between the columns: a comma, a semicolon or a tab, whichever the header has most of.

    >>> delimiter_of("step;loss"), delimiter_of("loss")
    (';', ',')
    """
    return max(",;\t", key=header.count)


def with_point(cell: str, delimiter: str) -> str:
    """The cell with decimal points. Where the comma parts no columns it is the decimal comma of a spreadsheet.

    >>> with_point("1,25e-4", ";"), with_point("0,4-0,6", ";"), with_point("1,25", ",")
    ('1.25e-4', '0.4-0.6', '1,25')
    """
    return cell if delimiter == "," else _DECIMAL_COMMA.sub(r"\1.\2", cell)


def by_epoch(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The rows, numbered as steps where each has an epoch of its own and none a step; else as they are.

    Rows of a later epoch come after training, whether or not their training loss was filled in.

    >>> by_epoch([{"epoch": "1", "val_loss": "2"}, {"epoch": "2", "loss": "1"}])[0]["step"]
    1
    """
    named = {metric[0]: key for row in rows for key in row if (metric := place(key)) is not None}
    epochs = [to_float(row.get(named["epoch"])) for row in rows] if "epoch" in named else [None]
    known = [epoch for epoch in epochs if epoch is not None]
    rise = len(known) == len(epochs) and all(later > before for before, later in pairwise(known))
    if "step" in named or not rise or not known or known[0] <= 0:
        return rows
    return [{**row, "step": number} for number, row in enumerate(rows, start=1)]
