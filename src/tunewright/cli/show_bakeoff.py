"""A bake-off as text: the candidates beside each other, and which one to tune."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewright.cli.show import width
from tunewright.reporter.lines import hanging
from tunewright.reporter.text import document_text
from tunewright.reporter.tree import Cell, Document, Facts, Section, table
from tunewright.reporter.words import figure, one_line, percent, plural
from tunewright.schema.jsonio import number

MEASURED = "model|bits per byte #|exam|memory GiB #|tokens/s #"
KNOWN = "model|parameters #|architecture|context #|licence"


def bakeoff_text(answer: Mapping[str, Any]) -> str:
    """Fewest bits per byte first; then the recommendation and its margin of error."""
    ranked = sorted(answer["models"], key=lambda one: _order(_scored(one)))
    note = (
        f"Bits per byte of the answers of {plural(answer['rows'], 'row')}: fewer are better, whatever the tokenizer. "
        f"Exam: share of {plural(answer['questions'], 'question')} answered right, with its 95 % interval."
    )
    when = "After the same number of tokens of tuning" if answer["tuned"] else "Before any tuning"
    shown = (
        table(when, MEASURED, [_measured(one) for one in ranked], note=note),
        table("The candidates", KNOWN, [_known(one) for one in ranked]),
    )
    document = Document("", "bakeoff", "", "", Facts(()), (Section("models", when, shown, brief=True),))
    lines = [document_text(document, width()).strip(), ""]
    lines += hanging("recommended: ", f"{one_line(answer['recommended'])}. {one_line(answer['why'])}", width())
    if answer["cannot_tell_apart"] and not answer["tuned"]:
        lines += hanging("next: ", "bakeoff --tune tells more: a base that starts alike may learn better", width())
    if answer["left_out"]:
        lines += hanging("note: ", f"{plural(answer['left_out'], 'row')} did not fit every candidate", width())
    return "\n".join(lines)


def _scored(one: Mapping[str, Any]) -> Mapping[str, Any]:
    return one["tuned"] or one


def _order(scored: Mapping[str, Any]) -> tuple[bool, float]:
    value = number(scored["bits_per_byte"])
    return value != value, value  # a NaN last


def _measured(one: Mapping[str, Any]) -> tuple[Cell | str, ...]:
    scored = _scored(one)
    exam = scored["exam"]
    interval = f"{percent(exam['rate'])} ({100 * exam['low']:.0f}-{100 * exam['high']:.0f})" if exam["n"] else "none"
    return (
        one_line(one["model"], 60),
        figure(number(scored["bits_per_byte"])),
        interval,
        f"{one['peak_GiB']:.2f}",
        figure(round(one["tokens_per_s"])),
    )


def _known(one: Mapping[str, Any]) -> tuple[Cell | str, ...]:
    return (
        one_line(one["model"], 60),
        f"{one['parameters']:,}",
        one_line(one["architecture"], 30),
        f"{one['context']:,}",
        one_line(one["licence"] or "not said", 30),
    )
