"""What the data was, as the check before the run found it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewright.reporter import load
from tunewright.reporter.run_view import RunView
from tunewright.reporter.tree import Block, Cell, Facts, Paragraph, Section, table
from tunewright.reporter.verdicts import SEVERITY_TONE
from tunewright.reporter.words import figure, one_line, percent, plural, sentence, setting

MOST_ROWS_NAMED = 12


def data_section(view: RunView, key: str = "data") -> Section:
    """Rows, lengths and every fault of the data; says so when no check is on record."""
    blocks: list[Block] = [Facts(tuple(item for item in _facts(view) if item[1]))]
    check = view.check
    if not check:
        blocks.append(Paragraph("No check of the data is on record: tunewright check DATA looks at it."))
        return Section(key, "The data", tuple(blocks))
    faults = load.items(check.get("faults"))
    if not faults:
        blocks.append(Paragraph("The check found no fault in the rows.", "good"))
    else:
        rows: list[tuple[Cell | str, ...]] = [_fault(one) for one in faults]
        blocks.append(table("What the check found", "severity|fault|rows|why and what to do", rows))
    return Section(key, "The data", tuple(blocks))


def _facts(view: RunView) -> list[tuple[str, str]]:
    check = view.check
    rows, lengths = load.mapping(view.about.get("rows")), load.mapping(check.get("lengths"))
    return [
        ("File", setting(view.data)),
        ("Rows", " and ".join(_rows(rows))),
        ("Tokens", figure(load.count(check.get("tokens"))) if check else ""),
        ("Trained on", percent(load.number(check.get("supervised_share"))) if check else ""),
        ("Tokens a row", _lengths(lengths)),
        ("Cut at the longest length", percent(load.number(check.get("truncated_share"))) if check else ""),
        ("Rows that say they do not know", figure(load.count(check.get("refusals"))) if check else ""),
    ]


def _rows(rows: Mapping[str, Any]) -> list[str]:
    train, val = load.count(rows.get("train")), load.count(rows.get("val"))
    said = [f"{plural(train, 'row')} to train on"] if train is not None else []
    return said + ([f"{val:,} to validate on"] if val is not None else [])


def _lengths(lengths: Mapping[str, Any]) -> str:
    named = (("median", "median"), ("p90", "90 % up to"), ("p99", "99 % up to"), ("max", "longest"))
    known = [(word, load.count(lengths.get(key))) for key, word in named]
    return ", ".join(f"{word} {figure(count)}" for word, count in known if count is not None)


def _fault(fault: Mapping[str, Any]) -> tuple[Cell | str, ...]:
    severity = load.text(fault.get("severity"))
    part = load.text(fault.get("part"))
    where = f" ({part})" if part not in ("", "train") else ""
    numbers = fault.get("rows")
    rows = [row for row in numbers if isinstance(row, int)] if isinstance(numbers, list) else []
    named = ", ".join(f"{row:,}" for row in rows[:MOST_ROWS_NAMED]) + ("…" if len(rows) > MOST_ROWS_NAMED else "")
    count = load.count(fault.get("count"))
    return (
        Cell(one_line(severity, 20), tone=SEVERITY_TONE.get(severity, "quiet")),
        one_line(load.text(fault.get("fault")).replace("_", " ") + where, 80),
        Cell(figure(count) if count is not None else "", note=named),
        Cell(sentence(fault.get("why") or ""), note=one_line(fault.get("fix") or "")),
    )
