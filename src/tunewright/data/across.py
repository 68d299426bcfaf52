"""Faults between rows: the same row twice, two answers to one question, a question on both sides of the split."""

from __future__ import annotations

from collections.abc import Sequence

from tunewright.data.dataset import Dataset
from tunewright.data.faults import Fault, make_fault
from tunewright.data.rows import Row


def faults_across(data: Dataset) -> tuple[Fault, ...]:
    """duplicate, conflicting_answers, and leak into the validation and test rows."""
    found = [*_duplicates(data.file_rows), *_conflicts(data.file_rows)]
    for part, rows in (("validation", data.val), ("test", data.test)):
        held = {row.key for row in rows}
        shared = {row.number: f"also asked in the {part} rows" for row in data.train if row.key in held}
        found += make_fault("leak", shared)
    return tuple(found)


def _duplicates(rows: Sequence[Row]) -> tuple[Fault, ...]:
    first: dict[tuple[str, str, str], int] = {}
    later: dict[int, str] = {}
    for row in rows:
        # The answer alone does not do: earlier turns may differ while the last one is the same.
        origin = first.setdefault((row.prompt, row.answer, row.text or ""), row.number)
        if origin != row.number:
            later[row.number] = "the same prompt and answer as an earlier row"
    return make_fault("duplicate", later)


def _conflicts(rows: Sequence[Row]) -> tuple[Fault, ...]:
    asked: dict[str, list[Row]] = {}
    for row in rows:
        if row.text is None and row.answer.strip():  # an empty answer is a fault of its own
            asked.setdefault(row.key, []).append(row)
    why = "the same question as another row, with a different answer"
    found: dict[int, str] = {}
    for same in asked.values():
        if len(same) > 1 and len({row.answer_key for row in same}) > 1:
            found |= {row.number: why for row in same}
    return make_fault("conflicting_answers", found)
