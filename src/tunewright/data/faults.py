"""Faults of data: what is wrong, in which rows, why it matters and what to do, in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Severity = Literal["error", "warning"]
Part = Literal["train", "validation", "test"]

ERROR_FAULTS = frozenset(
    {"broken_row", "no_supervised_token", "wrong_roles", "template_mismatch", "leak", "empty_answer"}
)

# What to do, per fault. A fault whose name is not here cannot be made.
FIXES: Mapping[str, str] = {
    "broken_row": "correct these rows, or leave them out: --fix clean.jsonl writes the others",
    "empty_answer": "write the answers, or leave the rows out: --fix clean.jsonl writes the others",
    "wrong_roles": "make each row: an optional system turn, then user and assistant in turn, an answer at the end",
    "duplicate": "keep one copy; to weigh rows more, give the file a weight instead",
    "near_duplicate": "keep the best copy of each, or reword the others so that they say something of their own",
    "leak": "take these rows out of the training file (or the questions out of the validation file)",
    "conflicting_answers": "decide on one answer per question, or make the questions tell the cases apart",
    "no_supervised_token": "raise max_length, shorten the prompts, or leave the rows out",
    "truncated": "raise max_length, or shorten or split the rows",
    "no_stop_token": "use a template that ends answers with the end-of-turn token: --set template=FILE",
    "doubled_bos": "take the begin-of-text token out of the rows, or out of the template",
    "prompt_not_masked": "give prompt and answer as fields of their own (messages), and leave loss_on at assistant",
    "template_mismatch": "use the template the model was made with: --set template=FILE",
    "encoding": "save the file as UTF-8 from its source again, or correct these rows",
    "secret": "take them out or put made-up ones in their place: what is trained on can be asked for",
    "few_variations": "write 2 or 3 wordings of the question for each topic",
    "no_refusals": 'add rows that answer "I do not know" to questions outside the topics (about one in ten)',
}


@dataclass(frozen=True)
class Fault:
    """One kind of fault in one part of the data.

    rows: the numbers of all rows that have it, ascending (empty: the part as a whole); part: which file they are in;
    reasons: row -> its reason, where ``why`` was put together from them.
    """

    fault: str
    severity: Severity
    rows: tuple[int, ...]
    why: str
    fix: str
    part: Part = "train"
    reasons: Mapping[int, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def count(self) -> int:
        """How many rows have it."""
        return len(self.rows)

    def of(self, part: Part) -> Fault:
        """The same fault, found in another part of the data."""
        return replace(self, part=part)

    def shifted(self, offset: int) -> Fault:
        """The same fault with every row number raised: a file that comes second in a mixture."""
        reasons = {row + offset: reason for row, reason in self.reasons.items()}
        rows = tuple(row + offset for row in self.rows)
        return replace(self, rows=rows, why=_sentence(reasons) or self.why, reasons=reasons)

    def without(self, rows: frozenset[int]) -> Fault | None:
        """The same fault without some rows, None when no row is left."""
        left = tuple(row for row in self.rows if row not in rows)
        if not left or len(left) == len(self.rows):
            return self if left else None
        reasons = {row: self.reasons[row] for row in left if row in self.reasons}
        return replace(self, rows=left, why=_sentence(reasons) or self.why, reasons=reasons)

    def joined(self, other: Fault) -> Fault:
        """Both as one: the rows of both, and both reasons where they differ."""
        rows, reasons = tuple(sorted({*self.rows, *other.rows})), {**other.reasons, **self.reasons}
        why = self.why if other.why == self.why else f"{self.why}; {other.why}"
        return replace(self, rows=rows, why=_sentence(reasons) if reasons.keys() == {*rows} else why, reasons=reasons)

    def __json__(self) -> dict[str, Any]:
        return {
            "fault": self.fault,
            "severity": self.severity,
            "rows": self.rows,
            "count": self.count,
            "why": self.why,
            "fix": self.fix,
            "part": self.part,
        }


_MOST_REASONS = 8
"""Different reasons that one sentence names; the rows are always all listed."""


def make_fault(name: str, reasons: Mapping[int, str]) -> tuple[Fault, ...]:
    """The fault of these rows (number -> reason), or nothing when there are no rows.

    Rows with the same reason are named together:

    >>> make_fault("broken_row", {3: "not JSON", 9: "no answer", 5: "not JSON"})[0].why
    'not JSON (rows 3, 5); no answer (row 9)'
    """
    if not reasons:
        return ()
    return (replace(_fault(name, tuple(sorted(reasons)), _sentence(reasons)), reasons=dict(reasons)),)


def _sentence(reasons: Mapping[int, str]) -> str:
    """Each reason with its rows; "" without any."""
    groups: dict[str, list[int]] = {}
    for row in sorted(reasons):
        groups.setdefault(reasons[row], []).append(row)
    named = [f"{reason} ({name_rows(rows)})" for reason, rows in list(groups.items())[:_MOST_REASONS]]
    rest = sum(len(rows) for rows in list(groups.values())[_MOST_REASONS:])
    return "; ".join(named) + (f"; and {rest:,} more rows" if rest else "")


def whole_fault(name: str, why: str, rows: Iterable[int] = ()) -> Fault:
    """A fault whose reason is one for all its rows, or that is of the data as a whole."""
    return _fault(name, tuple(sorted(rows)), why)


def _fault(name: str, rows: tuple[int, ...], why: str) -> Fault:
    return Fault(name, "error" if name in ERROR_FAULTS else "warning", rows, why, FIXES[name])


def merged(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """One fault per kind and part, in the order they first appear."""
    kept: dict[tuple[str, Part], Fault] = {}
    for fault in faults:
        key = (fault.fault, fault.part)
        kept[key] = kept[key].joined(fault) if key in kept else fault
    return tuple(kept.values())


def name_rows(rows: Iterable[int], most: int = 8) -> str:
    """Row numbers for a sentence; ``most`` of them are named.

    >>> name_rows([4]), name_rows(range(1, 12), most=3)
    ('row 4', 'rows 1, 2, 3 and 8 more')
    """
    numbers = list(rows)
    named = ", ".join(str(number) for number in numbers[:most])
    rest = f" and {len(numbers) - most:,} more" if len(numbers) > most else ""
    return ("row " if len(numbers) == 1 else "rows ") + named + rest
