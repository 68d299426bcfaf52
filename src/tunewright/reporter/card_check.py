"""Whether a model card says what the records say, and whether anything is still to be filled in."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from tunewright.reporter.card import (
    head_of,
    hub_base,
    hub_datasets,
    kept_run,
    personal_part,
    render_card,
)
from tunewright.reporter.run_view import View
from tunewright.reporter.words import one_line

_OPEN = re.compile(r"\bTODO\b|\[More Information Needed\]", re.IGNORECASE)
LONGEST_QUOTE = 90


@dataclass(frozen=True)
class Complaint:
    """What is wrong with the card at a 1-based line; 0 for the card as a whole."""

    line: int
    text: str


def check_card(card: str, view: View) -> list[Complaint]:
    """Everything wrong with a card, in the order of its lines; empty when it can be published.

    Missing front matter, fields only a person can fill that are still open, and every line that says something else
    than the records, or lacks what they say. Lines a person added are let stand.
    """
    return sorted([*_head(card, view), *_open(card), *_against_records(card, view)], key=lambda one: one.line)


def _head(card: str, view: View) -> list[Complaint]:
    head = head_of(card)
    if not head:
        return [Complaint(1, "no front matter that can be read: hubs show the card without base model and licence")]
    complaints = []
    if not head.get("license"):
        why = "the base model's licence and the data's both bind what was made from them"
        complaints.append(Complaint(_line_of(card, "license"), f"license is missing: {why}"))
    run = kept_run(view)
    if not head.get("language"):
        complaints.append(Complaint(_line_of(card, "language"), "language is missing, e.g. language: en"))
    if not hub_base(run) and not head.get("base_model"):
        base = one_line(PurePath(run.model).name, LONGEST_QUOTE) if run else "the base"
        complaints.append(
            Complaint(1, f"base_model is missing: {base} is a folder; give its hub name, e.g. OWNER/NAME")
        )
    if not hub_datasets(run) and "datasets" not in head:
        complaints.append(
            Complaint(1, "datasets is missing: the data is a local file; give its hub name, or datasets: []")
        )
    return complaints


def _line_of(card: str, key: str, value: str = "") -> int:
    """The line that names a key, as a comment too, with this value; the first line otherwise."""
    named = re.compile(rf"(# )?[\s-]*{re.escape(key)}:")
    lines = card.split("\n")
    return next((number for number, line in enumerate(lines, 1) if named.match(line) and value in line), 1)


def _open(card: str) -> list[Complaint]:
    """Places still marked as open, but for the commented licence, which is complained of by name."""
    return [
        Complaint(number, f"still open: {one_line(line.lstrip('- '), LONGEST_QUOTE)}")
        for number, line in enumerate(card.split("\n"), 1)
        if _OPEN.search(line) and not line.startswith("# license:")
    ]


def _against_records(card: str, view: View) -> list[Complaint]:
    """What the records contradict, found by making the card anew beside it."""
    expected = render_card(view, personal=personal_part(card))
    return [*_head_against(card, expected), *_body_against(card, expected)]


def _head_against(card: str, expected: str) -> list[Complaint]:
    """Values of the front matter that differ from the recorded ones; how YAML writes them does not matter."""
    found, recorded = dict(_leaves(head_of(card))), dict(_leaves(head_of(expected)))
    complaints = []
    for path, value in recorded.items() if found else ():
        if found.get(path) != value:
            said = f"{path[-1]} is {found[path]!r}" if path in found else f"{path[0]} lacks {path[-1]}"
            line = _line_of(card, path[-1], str(found.get(path, "")))
            complaints.append(Complaint(line, f"{said}, the records say {value!r}"))
    return complaints


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every plain value of nested front matter with the way to it; lists count their items."""
    if isinstance(value, dict):
        items: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list):
        items = enumerate(value, 1)
    else:
        yield path, value
        return
    for key, inner in items:
        yield from _leaves(inner, (*path, str(key)))


def _body_against(card: str, expected: str) -> list[Complaint]:
    """Lines of the card that say something else than the records, or lack what they say."""
    before, found = _body(card)
    _, recorded = _body(expected)
    complaints = []
    for what, start, end, first, last in difflib.SequenceMatcher(None, found, recorded, autojunk=False).get_opcodes():
        if what in ("equal", "delete"):
            continue  # what a person added stands
        said = [line for line in found[start:end] if line.strip()]
        for place, record in enumerate(line for line in recorded[first:last] if line.strip()):
            instead = f"says {_quote(said[place])}, " if place < len(said) else "lacks a line: "
            complaints.append(Complaint(before + start + place + 1, f"{instead}the records say {_quote(record)}"))
    return complaints


def _body(card: str) -> tuple[int, list[str]]:
    """How many lines the front matter takes, and the lines after it."""
    lines = card.split("\n")
    closed = next((number for number, line in enumerate(lines[1:], 2) if line == "---"), 0)
    start = closed if lines[0] == "---" else 0
    return start, lines[start:]


def _quote(line: str) -> str:
    return f'"{one_line(line, LONGEST_QUOTE)}"'
