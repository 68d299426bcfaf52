"""A document as Markdown: the model card of a run, with front matter for model hubs.

Every factual field is filled from the run's records; what only a person can know is listed at the end as open,
not mixed into the prose.
"""

from __future__ import annotations

import json
import re

from tunewright.reporter.document import make_document
from tunewright.reporter.run_view import RunView, View
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
from tunewright.reporter.words import one_line

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?", re.ASCII)
OPEN_FIELDS = (
    "Licence of the adapter (that of the base model and of the data both bind it)",
    "Intended use, and uses to avoid",
    "Language of the data, and who it speaks of",
    "Known limits beyond what the exam above measured",
    "Whom to ask",
)


def render_markdown(view: View, *, curve_image: str = "") -> str:
    """The model card. ``curve_image``: a file beside the card to show as the curve; else it is drawn in characters."""
    document = make_document(view)
    lines = [front_matter(view), f"# {_inline(document.title)}", "", f"**{_inline(document.verdict)}**", ""]
    lines += _block(document.facts, curve_image)
    for section in document.sections:
        lines += ["", f"## {_inline(section.title)}", "", *_section(section, curve_image)]
    return "\n".join([*lines, *_open_fields(document), ""])


def _open_fields(document: Document) -> list[str]:
    """What a person has to fill in, apart from the prose."""
    return ["", "## To be filled in by a person", "", *(f"- TODO: {field}" for field in OPEN_FIELDS)]


def front_matter(view: View) -> str:
    """YAML front matter: library, base model, tags. A base that is no hub name is left out: hubs refuse paths."""
    run = view if isinstance(view, RunView) else (view.best_run.view if view.best_run else None)
    base = _hub_base(run)
    library = "transformers" if run and run.recipe.get("method") == "full" else "peft"
    method = str(run.recipe.get("method") or "lora") if run else "lora"
    tags = [
        "tunewright",
        *([] if method == "full" else ["lora"]),
        *([f"base_model:adapter:{base}"] if base and library == "peft" else []),
    ]
    lines = ["---", f"library_name: {library}", "pipeline_tag: text-generation"]
    lines += [f"base_model: {_yaml(base)}"] if base else []
    lines += ["tags:", *(f"- {_yaml(tag)}" for tag in tags), "# license: TODO", "---", ""]
    return "\n".join(lines)


def _hub_base(run: RunView | None) -> str:
    names = (run.adapter_base, run.model) if run else ()
    return next((name for name in names if "/" in name and HUB_NAME.fullmatch(name)), "")


def _yaml(text: str) -> str:
    return json.dumps(one_line(text), ensure_ascii=False)


def _section(section: Section, curve_image: str) -> list[str]:
    lines: list[str] = []
    for block in section.blocks:
        lines += [*_block(block, curve_image), ""]
    return lines


def _block(block: Block, curve_image: str) -> list[str]:
    if isinstance(block, Paragraph):
        return [_inline(block.text)]
    if isinstance(block, Heading):
        return [f"### {_inline(block.text)}"]
    if isinstance(block, Facts):
        return ["| | |", "|---|---|", *(f"| {_inline(name)} | {_inline(value)} |" for name, value in block.items)]
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Bullets):
        return [f"- {_inline(item)}" for item in block.items]
    if isinstance(block, Code):
        return [f"{_inline(block.label)}:", "", *_fenced(block.text, block.language)]
    if isinstance(block, Example):
        return _example(block)
    if isinstance(block, Chart):
        if curve_image:
            return [f"![{_inline(block.figure.title)}]({curve_image})", "", _inline(block.figure.description)]
        return [*_fenced(render_plot(block.figure, 96), "text"), "", _inline(block.figure.description)]
    return _fold(block, curve_image)


def _fold(fold: Fold, curve_image: str) -> list[str]:
    inside = [line for block in fold.blocks for line in [*_block(block, curve_image), ""]]
    return ["<details>", f"<summary>{_inline(fold.summary)}</summary>", "", *inside, "</details>"]


def _table(table: Table) -> list[str]:
    heads = " | ".join(_inline(column.name) or " " for column in table.columns)
    rule = " | ".join("---:" if column.numeric else "---" for column in table.columns)
    rows = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in table.rows]
    note = ["", _inline(table.note)] if table.note else []
    return [f"{_inline(table.caption)}:", "", f"| {heads} |", f"| {rule} |", *rows, *note]


def _cell(cell: Cell) -> str:
    text = _inline(cell.text)
    return f"{text}<br>{_inline(cell.note)}" if cell.note and text else text or _inline(cell.note)


def _example(example: Example) -> list[str]:
    word = {True: "right", False: "wrong"}
    return [
        f"- asked: {_inline(example.question)}",
        f"  - expected: {_inline(example.expected)}",
        f"  - base ({word[example.base_passed]}): {_inline(example.base)}",
        f"  - tuned ({word[example.tuned_passed]}): {_inline(example.tuned)}",
    ]


def _fenced(text: str, language: str) -> list[str]:
    """A code block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", text.rstrip("\n"), fence]


def _inline(text: str) -> str:
    """A string as text inside Markdown: nothing in it is markup, HTML or a link; line ends become breaks.

    >>> _inline("<b> a_b | [x](y)")
    '&lt;b&gt; a\\\\_b \\\\| \\\\[x\\\\](y)'
    """
    escaped = re.sub(r"([\\`*_\[\]|~])", r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = re.sub(r"^(\s*)([#+-]|\d+[.)])(?=\s)", r"\1\\\2", escaped)
    return "<br>".join(line.strip() for line in escaped.split("\n"))
