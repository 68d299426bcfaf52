"""How tables are typed: which sign parts the columns, and numbers with a decimal comma."""

from __future__ import annotations

import re

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
