"""A document as one self-contained HTML page: nothing is loaded, nothing runs.

The page has no script at all, and its content policy forbids any: whatever a data set, a model name or an
answer contains stays text. Every string is escaped here, at the moment it is written.
"""

from __future__ import annotations

import html
from importlib import resources
from itertools import count

from tunewright.reporter.document import make_document
from tunewright.reporter.run_view import View
from tunewright.reporter.svg import render_svg
from tunewright.reporter.tree import (
    Bar,
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

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
GENERATOR = '<meta name="generator" content="Tunewright">'
"""The mark of a page that Tunewright wrote."""
LONGEST_WORD = 28


def render_html(view: View) -> str:
    """The report of a run or tuning as one HTML page, to be opened from a file; well below 2 MB."""
    return page(make_document(view))


def page(document: Document) -> str:
    """A document as a page."""
    writer = _Writer()
    sections = "".join(writer.section(section) for section in document.sections)
    links = "".join(f'<li><a href="#{esc(s.key)}">{esc(s.title)}</a></li>' for s in document.sections)
    kind = {"run": "Report of a run", "tuning": "Report of a tuning"}.get(document.kind, document.kind)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="color-scheme" content="light dark">
{GENERATOR}
<title>{esc(document.title)} · {esc(kind)}</title>
<style>
{stylesheet()}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<header>
<p class="kind">{esc(kind)}</p>
<h1 dir="auto">{esc(document.title)}</h1>
<p class="verdict{_tone(document.tone)}">{esc(document.verdict)}</p>
{writer.block(document.facts)}
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main id="main">
{sections}</main>
<footer><p>Made by Tunewright from the files of its folder. This page loads nothing and runs no script.</p></footer>
</body>
</html>
"""


def stylesheet() -> str:
    """The page's styles: colours of both modes, page, chart."""
    folder = resources.files(__package__)
    return "".join(
        folder.joinpath(name).read_text(encoding="utf-8") for name in ("colours.css", "page.css", "chart.css")
    )


def esc(text: str) -> str:
    """A string for HTML text or a quoted attribute."""
    return html.escape(text)


def _tone(tone: str) -> str:
    return f" {tone}" if tone else ""


class _Writer:
    """Writes blocks; holds only the number that makes the next chart's ids unique."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def section(self, section: Section) -> str:
        inside = "\n".join(self.block(block) for block in section.blocks)
        key = esc(section.key)
        title = f'<h2 id="{key}-h">{esc(section.title)}</h2>'
        return f'<section id="{key}" aria-labelledby="{key}-h">\n{title}\n{inside}\n</section>\n'

    def block(self, block: Block) -> str:
        """One block, by its kind."""
        if isinstance(block, Paragraph):
            return f'<p class="{block.tone}">{esc(block.text)}</p>' if block.tone else f"<p>{esc(block.text)}</p>"
        if isinstance(block, Heading):
            return f"<h3>{esc(block.text)}</h3>"
        if isinstance(block, Facts):
            return _facts(block)
        if isinstance(block, Table):
            return _table(block)
        if isinstance(block, Bullets):
            tag = "ol" if block.ordered else "ul"
            return f"<{tag}>{''.join(f'<li>{esc(item)}</li>' for item in block.items)}</{tag}>"
        if isinstance(block, Code):
            return _code(block)
        if isinstance(block, Example):
            return _example(block)
        if isinstance(block, Chart):
            return self._chart(block)
        return self._fold(block)

    def _fold(self, fold: Fold) -> str:
        inside = "\n".join(self.block(block) for block in fold.blocks)
        return f"<details><summary>{esc(fold.summary)}</summary>\n{inside}\n</details>"

    def _chart(self, chart: Chart) -> str:
        svg = render_svg(chart.figure, key=f"chart{next(self._numbers)}")
        note = f"{esc(chart.figure.note)}" if chart.figure.note else ""
        caption = f"<figcaption>{note}</figcaption>" if note else ""
        label = esc(f"{chart.figure.title}, scrolls sideways on narrow screens")
        return (
            f'<figure><div class="scroll" tabindex="0" role="group" aria-label="{label}">{svg}</div>{caption}'
            f"<details><summary>The numbers behind this chart</summary>{_table(chart.table)}</details></figure>"
        )


def _facts(facts: Facts) -> str:
    pairs = "".join(f'<div><dt>{esc(name)}</dt><dd dir="auto">{esc(value)}</dd></div>' for name, value in facts.items)
    if facts.big:
        return f'<dl class="big">{pairs}</dl>'
    flat = "".join(f'<dt>{esc(name)}</dt><dd dir="auto">{esc(value)}</dd>' for name, value in facts.items)
    return f"<dl>{flat}</dl>"


def _table(table: Table) -> str:
    heads = "".join(
        f'<th scope="col"{" class=" + chr(34) + "num" + chr(34) if column.numeric else ""}>{esc(column.name)}</th>'
        for column in table.columns
    )
    rows = "".join(_row(table, index, row) for index, row in enumerate(table.rows))
    note = f'<p class="note">{esc(table.note)}</p>' if table.note else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{esc(table.caption)}"><table>'
        f"<caption>{esc(table.caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{note}"
    )


def _row(table: Table, index: int, row: tuple[Cell, ...]) -> str:
    cells = []
    for place, (column, cell) in enumerate(zip(table.columns, row, strict=True)):
        tag, scope = ("th", ' scope="row"') if place == 0 else ("td", "")
        look = "num" if column.numeric else "long" if _has_long_word(cell) else ""
        kind = f' class="{look}"' if look else ""
        cells.append(f"<{tag}{scope}{kind}>{_cell(cell)}</{tag}>")
    strong = ' class="strong"' if index == table.strong_row else ""
    return f"<tr{strong}>{''.join(cells)}</tr>"


def _has_long_word(cell: Cell) -> bool:
    """Whether a word would not fit a narrow column: only then may words be cut anywhere."""
    return any(len(word) > LONGEST_WORD for word in f"{cell.text} {cell.note}".split())


def _cell(cell: Cell) -> str:
    text = esc(cell.text)
    if cell.tone:
        text = f'<span class="mark {cell.tone}">{text}</span>'
    note = f'<span class="sub">{esc(cell.note)}</span>' if cell.note else ""
    return f"{text}{_bar(cell.bar) if cell.bar else ''}{note}"


def _bar(bar: Bar) -> str:
    """A share as a bar with its interval as a whisker; hidden from screen readers, which read the number beside it."""
    rate, low, high = (100 * min(1.0, max(0.0, share)) for share in (bar.rate, bar.low, bar.high))
    span = f"M{low:.1f},6H{high:.1f}M{low:.1f},3V9M{high:.1f},3V9"
    whisker = f'<path d="{span}"/><path class="span" d="{span}"/>' if high > low else ""
    return (
        '<svg class="bar" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="all" y="2" width="100" height="8"/>'
        f'<rect class="rate" y="2" width="{rate:.1f}" height="8"/>{whisker}</svg>'
    )


def _code(code: Code) -> str:
    label = f'<p class="code-label">{esc(code.label)} <span>(one click selects all of it)</span></p>'
    return f'{label}<pre tabindex="0" aria-label="{esc(code.label)}"><code>{esc(code.text)}</code></pre>'


def _example(example: Example) -> str:
    def said(text: str, passed: bool) -> str:
        tone, word = ("good", "right") if passed else ("bad", "wrong")
        return f'<span class="mark {tone}">{word}</span> {esc(text) or "(nothing)"}'

    return (
        f'<div class="example"><p class="question" dir="auto">{esc(example.question)}</p><dl>'
        f'<dt>Expected</dt><dd dir="auto">{esc(example.expected)}</dd>'
        f'<dt>Base</dt><dd dir="auto">{said(example.base, example.base_passed)}</dd>'
        f'<dt>Tuned</dt><dd dir="auto">{said(example.tuned, example.tuned_passed)}</dd></dl></div>'
    )
