"""A document as Markdown: text that nothing in the data can turn into markup."""

from __future__ import annotations

import re

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
)


def document_markdown(document: Document, *, curve_image: str = "") -> list[str]:
    """The lines of a document. ``curve_image``: a file to show as the curve; else it is drawn in characters."""
    lines = [f"# {inline(document.title)}", "", f"**{inline(document.verdict)}**", ""]
    lines += _block(document.facts, curve_image)
    for section in document.sections:
        lines += ["", f"## {inline(section.title)}", "", *_section(section, curve_image)]
    return lines


def _section(section: Section, curve_image: str) -> list[str]:
    lines: list[str] = []
    for block in section.blocks:
        lines += [*_block(block, curve_image), ""]
    return lines


def _block(block: Block, curve_image: str) -> list[str]:
    if isinstance(block, Paragraph):
        return [inline(block.text)]
    if isinstance(block, Heading):
        return [f"### {inline(block.text)}"]
    if isinstance(block, Facts):
        return ["| | |", "|---|---|", *(f"| {inline(name)} | {inline(value)} |" for name, value in block.items)]
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Bullets):
        return [f"- {inline(item)}" for item in block.items]
    if isinstance(block, Code):
        return [f"{inline(block.label)}:", "", *_fenced(block.text, block.language)]
    if isinstance(block, Example):
        return _example(block)
    if isinstance(block, Chart):
        if curve_image:
            return [f"![{inline(block.figure.title)}]({curve_image})", "", inline(block.figure.description)]
        return [*_fenced(render_plot(block.figure, 96), "text"), "", inline(block.figure.description)]
    return _fold(block, curve_image)


def _fold(fold: Fold, curve_image: str) -> list[str]:
    inside = [line for block in fold.blocks for line in [*_block(block, curve_image), ""]]
    return ["<details>", f"<summary>{inline(fold.summary)}</summary>", "", *inside, "</details>"]


def _table(table: Table) -> list[str]:
    heads = " | ".join(inline(column.name) or " " for column in table.columns)
    rule = " | ".join("---:" if column.numeric else "---" for column in table.columns)
    rows = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in table.rows]
    note = ["", inline(table.note)] if table.note else []
    return [f"{inline(table.caption)}:", "", f"| {heads} |", f"| {rule} |", *rows, *note]


def _cell(cell: Cell) -> str:
    text = inline(cell.text)
    return f"{text}<br>{inline(cell.note)}" if cell.note and text else text or inline(cell.note)


def _example(example: Example) -> list[str]:
    word = {True: "right", False: "wrong"}
    return [
        f"- asked: {inline(example.question)}",
        f"  - expected: {inline(example.expected)}",
        f"  - base ({word[example.base_passed]}): {inline(example.base)}",
        f"  - tuned ({word[example.tuned_passed]}): {inline(example.tuned)}",
    ]


def _fenced(text: str, language: str) -> list[str]:
    """A code block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", text.rstrip("\n"), fence]


def inline(text: str) -> str:
    """A string as text inside Markdown: nothing in it is markup, HTML or a link; line ends become breaks.

    >>> inline("<b> a_b | [x](y)")
    '&lt;b&gt; a\\\\_b \\\\| \\\\[x\\\\](y)'
    """
    escaped = re.sub(r"([\\`*_\[\]|~])", r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = re.sub(r"^(\s*)([#+-]|\d+[.)])(?=\s)", r"\1\\\2", escaped)
    return "<br>".join(line.strip() for line in escaped.split("\n"))
