"""A document as plain text for a terminal: verdict, runs, exam; narrower terminals wrap, none is overrun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunewright.reporter.lines import hanging, wrap
from tunewright.reporter.tree import (
    Block,
    Bullets,
    Cell,
    Chart,
    Code,
    Document,
    Example,
    Facts,
    Fold,
    Heading,
    Paragraph,
    Section,
    Table,
)
from tunewright.reporter.words import columns_of

if TYPE_CHECKING:
    from tunewright.reporter.run_view import View

_ANSI = {"good": "32", "warn": "33", "bad": "31", "quiet": "2", "": "1"}
NARROWEST = 30
GAP = "  "


def render_text(view: View, width: int = 80, *, colour: bool = False, brief: bool = True) -> str:
    """The report of a run or tuning as text. ``brief`` leaves out settings, record and what is folded away."""
    from tunewright.reporter.document import make_document  # a plain table needs no curves

    return document_text(make_document(view), width, colour=colour, brief=brief)


def document_text(document: Document, width: int = 80, *, colour: bool = False, brief: bool = True) -> str:
    """A document as text of at most ``width`` columns (never below 30), ending with a newline."""
    writer = _Writer(max(width, NARROWEST), colour, brief)
    head = [writer.styled(document.title, ""), *writer.wrapped(document.verdict, document.tone), ""]
    parts = ["\n".join([*head, *writer.block(document.facts)])]
    parts += [writer.section(section) for section in document.sections if section.brief or not brief]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def table_text(table: Table, width: int = 80, *, colour: bool = False) -> str:
    """One table as text, without a final newline."""
    return "\n".join(_Writer(max(width, NARROWEST), colour, True).table(table))


class _Writer:
    def __init__(self, width: int, colour: bool, brief: bool) -> None:
        self.width, self.colour, self.brief = width, colour, brief

    def styled(self, text: str, tone: str) -> str:
        return f"\x1b[{_ANSI[tone]}m{text}\x1b[0m" if self.colour and text else text

    def wrapped(self, text: str, tone: str = "quiet") -> list[str]:
        """Wrapped lines; coloured when a tone other than quiet is given."""
        lines = [line for part in text.split("\n") for line in wrap(part, self.width)]
        return [self.styled(line, tone) for line in lines] if tone not in ("", "quiet") else lines

    def section(self, section: Section) -> str:
        blocks = ["\n".join(self.block(block)) for block in section.blocks]
        title = self.styled(section.title, "")
        return "\n\n".join([f"{title}\n{'─' * columns_of(section.title)}", *(block for block in blocks if block)])

    def block(self, block: Block) -> list[str]:
        """One block as lines; none for what a brief text leaves out."""
        if isinstance(block, Paragraph):
            return self.wrapped(block.text, block.tone)
        if isinstance(block, Heading):
            return [self.styled(block.text, "")]
        if isinstance(block, Facts):
            widest = max((columns_of(name) for name, _ in block.items), default=0)
            return [line for name, value in block.items for line in self._fact(name, value, widest)]
        if isinstance(block, Table):
            return self.table(block)
        if isinstance(block, Bullets):
            return [line for item in block.items for line in hanging("- ", item, self.width)]
        if isinstance(block, Chart):
            from tunewright.reporter.textplot import render_plot

            return render_plot(block.figure, self.width).split("\n")
        if self.brief:
            return []
        return self._long(block)

    def _long(self, block: Code | Example | Fold) -> list[str]:
        if isinstance(block, Code):
            return [f"{block.label}:", *block.text.rstrip("\n").split("\n")]
        if isinstance(block, Example):
            marks = {True: "right", False: "wrong"}
            pairs = (
                ("asked:    ", block.question),
                ("expected: ", block.expected),
                ("base:     ", f"({marks[block.base_passed]}) {block.base}"),
                ("tuned:    ", f"({marks[block.tuned_passed]}) {block.tuned}"),
            )
            return [line for head, text in pairs for line in hanging(head, text, self.width)]
        inside = [line for inner in block.blocks for line in ["", *self.block(inner)]]
        return [f"{block.summary}:", *inside]

    def _fact(self, name: str, value: str, widest: int) -> list[str]:
        pad = " " * (widest - columns_of(name))
        return hanging(f"{name}{pad}{GAP}", value, self.width)

    def table(self, table: Table) -> list[str]:
        """A table with as many columns as it has, each as wide as it can be; text columns wrap."""
        texts = [[_cell_text(cell) for cell in row] for row in table.rows]
        heads = [column.name for column in table.columns]
        widths = column_widths([heads, *texts], self.width)
        numeric = [column.numeric for column in table.columns]
        lines = [self.styled(line, "quiet") for line in row_lines(heads, widths, numeric)]
        lines.append("─" * min(self.width, sum(widths) + len(GAP) * (len(widths) - 1)))
        for row, cells in zip(texts, table.rows, strict=True):
            lines += [self._toned(line, cells) for line in row_lines(row, widths, numeric)]
        return [*lines, *(self.wrapped(table.note) if table.note else [])]

    def _toned(self, line: str, cells: tuple[Cell, ...]) -> str:
        for cell in cells if self.colour else ():
            if cell.tone in ("good", "warn", "bad") and cell.text in line:
                line = line.replace(cell.text, self.styled(cell.text, cell.tone), 1)
        return line


def _cell_text(cell: Cell) -> str:
    return f"{cell.text}\n{cell.note}" if cell.note else cell.text


def column_widths(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Widths that fit ``width`` with gaps: the widest column gives way first, none below 4.

    >>> column_widths([["run", "why"], ["run-1", "a reason of many words"]], 20)
    [5, 13]
    """
    widths = [
        max((columns_of(line) for cell in column for line in cell.split("\n")), default=0)
        for column in zip(*rows, strict=True)
    ]
    while sum(widths) + len(GAP) * (len(widths) - 1) > width and max(widths) > 4:
        widths[widths.index(max(widths))] -= 1
    return widths


def row_lines(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> list[str]:
    """One table row as text lines, cells wrapped to their widths."""
    wrapped = [
        [line for part in cell.split("\n") for line in wrap(part, w)] for cell, w in zip(cells, widths, strict=True)
    ]
    lines = []
    for index in range(max(map(len, wrapped), default=0)):
        parts = []
        for column, column_width, right in zip(wrapped, widths, numeric, strict=True):
            text = column[index] if index < len(column) else ""
            pad = " " * (column_width - columns_of(text))
            parts.append(pad + text if right else text + pad)
        lines.append(GAP.join(parts).rstrip())
    return lines
