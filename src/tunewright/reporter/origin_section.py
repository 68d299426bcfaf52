"""Where a run came from: its parent, what was changed and why, what was promised, what came; and what people noted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunewright.reporter import load, typed
from tunewright.reporter.curve_section import change_text
from tunewright.reporter.run_view import RunView
from tunewright.reporter.tree import Block, Bullets, Cell, Facts, Paragraph, Section, Table, table
from tunewright.reporter.words import figure, moment, one_line, safe, sentence, signed
from tunewright.schema.prescription import Range


def origin_section(view: RunView) -> Section | None:
    """What led to this run; None for one that was not made from another."""
    changes = typed.as_changes(view.about.get("changed"))
    parent = load.text(view.about.get("parent"))
    if not parent and not changes:
        return None
    blocks: list[Block] = []
    if parent:
        why = "" if changes else one_line(view.about.get("why") or "").rstrip(".")
        because = f" because {why}" if why else ""
        blocks.append(Paragraph(f"It was made from {one_line(Path(parent).name, 80)}{because}."))
    if changes:
        rows: list[tuple[Cell | str, ...]] = [
            (change_text(one), Cell(sentence(one.why), note=one_line(" · ".join(filter(None, (one.rule, one.source))))))
            for one in changes
        ]
        blocks.append(table("What was changed", "change|why", rows))
    promise = promise_table(view)
    return Section("origin", "What led to this run", (*blocks, *([promise] if promise else [])), brief=True)


def promise_table(view: RunView) -> Table | None:
    """What the rule behind the run promised, and what came; None when none did."""
    promise, score = load.mapping(view.prediction.get("prescribed")), load.mapping(view.prediction.get("score"))
    if not promise:
        return None
    expected, before = typed.as_range(promise.get("predicted")), load.number(promise.get("before"))
    rows: list[tuple[Cell | str, ...]] = [
        ("validation loss", _span(expected), Cell(figure(view.eval_loss), note=_beside(before, score))),
        ("the symptom", "gone", _word(score.get("symptom_gone"), "gone", "still there") or "not judged"),
        ("in all", "helps", _word(score.get("hit"), "helped", "did not help") or "not judged"),
    ]
    note = one_line(promise.get("unlike") or "")
    caption = f"What {one_line(promise.get('rule') or 'the rule', 80)} promised, and what came"
    return table(
        caption, "of this run|promised #|came #", rows, note=f"The losses cannot be compared: {note}." if note else ""
    )


def _beside(before: float | None, score: Mapping[str, Any]) -> str:
    """Whether the loss came inside its range, and how far it is from the parent's."""
    gain = load.number(score.get("gain"))
    step = f"{signed(-gain)} against its parent's {figure(before)}" if gain is not None and before is not None else ""
    return ", ".join(part for part in (_word(score.get("inside"), "inside", "outside"), step) if part)


def _span(expected: Range | None) -> str:
    if expected is None:
        return "no figure"
    return (
        f"{figure(expected.low)} to {figure(expected.high)}" if expected.low < expected.high else figure(expected.low)
    )


def _word(answer: object, yes: str, no: str) -> str:
    return "" if answer is None else yes if answer else no


def notes_section(view: RunView) -> Section | None:
    """What people wrote on the run; None when nobody did."""
    blocks: list[Block] = []
    if view.tags:
        blocks.append(Facts((("Tags", one_line(", ".join(view.tags))),)))
    if view.notes:
        blocks.append(
            Bullets(tuple(f"{moment(at)}: {safe(text)}" if at is not None else safe(text) for at, text in view.notes))
        )
    return Section("notes", "Notes", tuple(blocks), brief=True) if blocks else None
