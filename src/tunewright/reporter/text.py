"""A document as plain text for a terminal: verdict, runs, exam; narrower terminals wrap, none is overrun."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewright.reporter import load
from tunewright.reporter.document import make_document
from tunewright.reporter.lines import hanging, wrap
from tunewright.reporter.run_view import View
from tunewright.reporter.textplot import render_plot
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
    table,
)
from tunewright.reporter.verdicts import HEALTH_TONE
from tunewright.reporter.words import columns_of, duration, figure, moment, one_line, setting, signed

_ANSI = {"good": "32", "warn": "33", "bad": "31", "quiet": "2", "": "1"}
NARROWEST = 30
GAP = "  "


def render_text(view: View, width: int = 80, *, colour: bool = False, brief: bool = True) -> str:
    """The report of a run or tuning as text. ``brief`` leaves out settings, record and what is folded away."""
    return document_text(make_document(view), width, colour=colour, brief=brief)


def document_text(document: Document, width: int = 80, *, colour: bool = False, brief: bool = True) -> str:
    """A document as text of at most ``width`` columns (never below 30), ending with a newline."""
    writer = _Writer(max(width, NARROWEST), colour, brief)
    head = [writer.styled(document.title, ""), *writer.wrapped(document.verdict, document.tone), ""]
    parts = ["\n".join([*head, *writer.block(document.facts)])]
    parts += [writer.section(section) for section in document.sections if section.brief or not brief]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


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


def runs_table(runs: Sequence[Mapping[str, Any]], width: int = 80, *, colour: bool = False) -> str:
    """The lines of ``runs ls`` as a table: mappings with name (or run), status, model, eval_loss, health, started.

    >>> print(runs_table([{"run": "/runs/a", "status": "finished", "eval_loss": 0.3}]).splitlines()[0].rstrip())
    run  status    model  validation loss  curve  started
    """
    if not runs:
        return "No runs yet.\n"
    rows: list[tuple[Cell | str, ...]] = []
    for run in runs:
        health = one_line(run.get("health") or "", 20)
        loss = load.number(run.get("eval_loss"))
        rows.append(
            (
                one_line(run.get("name") or Path(str(run.get("run", ""))).name, 120),
                one_line(run.get("status") or "unknown", 20),
                Path(one_line(run.get("model") or "", 200)).name,
                figure(loss) if loss is not None else "",
                Cell(health, tone=HEALTH_TONE.get(health, "")),
                moment(run["started"]) if run.get("started") is not None else "",
            )
        )
    shown = table("Runs", "run|status|model|validation loss #|curve|started", rows)
    return "\n".join(_Writer(max(width, NARROWEST), colour, True).table(shown)) + "\n"


def rules_table(rules: Sequence[Mapping[str, Any]], width: int = 80, *, colour: bool = False) -> str:
    """The lines of ``runs rules`` as a table; rates stand with their 95 % interval, "none judged" where there are none.

    ``rules``: mappings with rule, used, hits and inside (each n, passed, rate, low, high) and mean_absolute_error.
    """
    rows: list[tuple[Cell | str, ...]] = []
    for one in rules:
        error = load.number(one.get("mean_absolute_error"))
        rows.append(
            (
                one_line(one["rule"]),
                figure(load.count(one["used"])),
                _rate(one["hits"], "none judged"),
                _rate(one["inside"], "none predicted"),
                figure(error) if error is not None else "",
            )
        )
    shown = table("Rules", "rule|used #|helped|loss came inside its range|mean error #", rows)
    return "\n".join(_Writer(max(width, NARROWEST), colour, True).table(shown)) + "\n"


def _rate(score: Mapping[str, Any], none: str) -> str:
    if not score["n"]:
        return none
    shares = (f"{100 * score[key]:.0f}" for key in ("low", "high"))
    return f"{score['passed']} of {score['n']} ({'-'.join(shares)} %)"


_RESULTS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "eval_loss": ("validation loss", lambda value: figure(load.number(value))),
    "base_eval_loss": ("of the base", lambda value: figure(load.number(value))),
    "forgetting": ("forgetting", lambda value: signed(load.number(value))),
    "health": ("curve", one_line),
    "steps": ("steps", lambda value: figure(load.count(value))),
    "tokens": ("training tokens", lambda value: figure(load.count(load.mapping(value).get("train")))),
    "seconds": ("time", lambda value: duration(load.number(value))),
}


def compare(answer: Mapping[str, Any], width: int = 80, *, colour: bool = False) -> str:
    """``runs compare`` as text: only the settings that differ, then how each run ended.

    ``answer``: {"runs": paths, "differences": [{"key", "values"}], "results": [{...} per run]}.
    """
    names = [Path(str(run)).name for run in answer["runs"]]
    columns = "|".join(["setting", *(name.replace("|", "/") for name in names)])
    writer = _Writer(max(width, NARROWEST), colour, True)
    settings: list[tuple[Cell | str, ...]] = [
        (one_line(one["key"]), *(setting(value) for value in one["values"])) for one in answer["differences"]
    ]
    same = "All settings are the same."
    results: list[tuple[Cell | str, ...]] = []
    for key, (label, show) in _RESULTS.items():
        values = [load.mapping(result).get(key) for result in answer["results"]]
        if any(value is not None for value in values):
            results.append((label, *("" if value is None else show(value) for value in values)))
    parts = ["\n".join(writer.table(table("Differences", columns, settings))) if settings else same]
    if results:
        parts.append("\n".join(writer.table(table("Results", columns.replace("setting", "result", 1), results))))
    return "\n\n".join(parts) + "\n"
