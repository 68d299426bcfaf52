"""A report's document as data for the page, which builds it from text nodes: the board and the report say the same."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from tunewright.board.charts import numbers
from tunewright.reporter.figure import Figure, Line
from tunewright.reporter.tree import Block, Chart, Document, Fold, Section


def document_json(document: Document, *, figures: bool = True) -> dict[str, Any]:
    """The whole document; each block says its ``kind``, in lower case. ``figures``: False leaves charts' lines out."""
    return {
        "title": document.title,
        "kind": document.kind,
        "verdict": document.verdict,
        "tone": document.tone,
        "facts": block_json(document.facts, figures),
        "sections": [section_json(section, figures) for section in document.sections],
    }


def section_json(section: Section, figures: bool = True) -> dict[str, Any]:
    blocks = [block_json(block, figures) for block in section.blocks]
    return {"key": section.key, "title": section.title, "blocks": blocks}


def block_json(block: Block, figures: bool = True) -> dict[str, Any]:
    """One block; a chart's figure as lines of numbers, a fold's blocks inside it."""
    kind = type(block).__name__.lower()
    if isinstance(block, Chart):
        drawn = figure_json(block.figure) if figures else None
        return {"kind": kind, "figure": drawn, "table": block_json(block.table)}
    if isinstance(block, Fold):
        inside = [block_json(one, figures) for one in block.blocks]
        return {"kind": kind, "summary": block.summary, "blocks": inside}
    return {"kind": kind, **{one.name: getattr(block, one.name) for one in fields(block)}}


def figure_json(figure: Figure) -> dict[str, Any]:
    """A figure in the form of :func:`tunewright.board.charts.charts_json`."""
    panels = [
        {
            "key": f"panel{place}",
            "title": panel.title,
            "from_zero": panel.from_zero,
            "levels": [{"y": level.y, "label": level.label} for level in panel.levels],
            "lines": [_line_json(f"line{at}", line) for at, line in enumerate(panel.lines)],
        }
        for place, panel in enumerate(figure.panels)
    ]
    return {
        "title": figure.title,
        "description": figure.description,
        "axis": {"kind": "step", "title": figure.x_title},
        "panels": panels,
        "note": figure.note,
    }


def _line_json(key: str, line: Line) -> dict[str, Any]:
    return {
        "key": key,
        "name": line.name,
        "look": line.look,
        "dots": line.dots,
        "x": numbers(line.x),
        "y": numbers(line.y),
        "repeats": line.repeats,
        "points": line.points,
        "drawn": line.drawn,
        "not_finite": line.not_finite,
        "lost": [],
        "last": "",
    }
