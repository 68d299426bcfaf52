"""Tables of text, aligned for a terminal and valid Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table with padded columns; the first column is left-aligned, the others right. No final newline.

    >>> print(table(["who", "ms"], [["ours", 9], ["theirs", 10]]))
    | who    | ms |
    |--------|---:|
    | ours   |  9 |
    | theirs | 10 |
    """
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = [_line(row, widths) for row in cells]
    rule = "|".join("-" * (width + 2) if first else "-" * (width + 1) + ":" for first, width in _marked(widths))
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell.ljust(width) if first else cell.rjust(width)
        for cell, (first, width) in zip(row, _marked(widths), strict=True)
    )
    return f"| {' | '.join(padded)} |"


def _marked(widths: Sequence[int]) -> list[tuple[bool, int]]:
    return [(column == 0, width) for column, width in enumerate(widths)]
