"""What is wrong with the data, before an hour of training finds out: the part that takes seconds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tunewright.data.dataset import Dataset
from tunewright.data.faults import Fault, make_fault, merged, whole_fault
from tunewright.data.normalise import normalised
from tunewright.data.rows import Row
from tunewright.data.tokens import Encoded

# G0 asks for two to three wordings per topic.
# Source: "LLM Fine-Tuning Guide: Understanding Training Parameters" (2025-10), dataset quality.
FEWEST_WORDINGS = 2

_REFUSAL = re.compile(
    r"\b(i (really |still )?(do not|don['’]?t|cannot|can['’]?t) "
    r"(know|tell|say|answer|help|have (any |that |this |enough )?(information|data|knowledge))"
    r"|i am not (sure|aware)|i['’]?m not (sure|aware)|i have no (information|data|knowledge|idea)"
    r"|(is|are) not (covered|mentioned|known to me)|no information (about|on|is)|unable to (answer|help))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class CheckReport:
    """rows: those of the data file that could be read; tokens: their input tokens after truncation;
    supervised_share: of those, trained on (NaN without any token); refusals: rows whose answer is "I do not know"."""

    rows: int
    tokens: int
    supervised_share: float
    faults: tuple[Fault, ...]
    variations: Mapping[str, float]
    refusals: int
    ok: bool


def check_rows(data: Dataset, train: Encoded, val: Encoded | None = None, test: Encoded | None = None) -> CheckReport:
    """All faults of a data set, each with all its rows; ``ok`` when none of them is an error.

    ``train``, ``val`` and ``test`` are the encoded rows of ``data``. Held-out rows belong to the data file and are
    reported with it. A row is reported once for its worst fault: one whose roles are wrong does not mismatch as well.
    """
    rows = data.file_rows
    encoded = [train, val] if val and data.held_out else [train]
    tokens = sum(one.tokens for one in encoded)
    supervised = sum(one.supervised_tokens for one in encoded)
    faults = (*data.faults, *_across(data), *_encoding(data, train, val, test), *_coverage(rows))
    faults = merged(_reported_once(faults))
    return CheckReport(
        rows=len(rows),
        tokens=tokens,
        supervised_share=supervised / tokens if tokens else float("nan"),
        faults=faults,
        variations=variations(rows),
        refusals=len(refusals(rows)),
        ok=not any(fault.severity == "error" for fault in faults),
    )


def refusals(rows: Iterable[Row]) -> tuple[int, ...]:
    """Numbers of the rows whose answer says that it does not know.

    >>> from tunewright.data.rows import Message
    >>> refusals([Row(4, (Message("user", "Who?"), Message("assistant", "I don't know that.")))])
    (4,)
    """
    return tuple(row.number for row in rows if row.text is None and _REFUSAL.search(row.answer))


def variations(rows: Sequence[Row]) -> dict[str, float]:
    """topics: how many there are; per_topic_median: different wordings of the question per topic (0 without any).

    A topic is what the column ``topic`` says, and without one, the questions with an equal answer.
    """
    wordings = [len(keys) for keys, _ in _topics(rows).values()]
    return {"topics": len(wordings), "per_topic_median": float(median(wordings)) if wordings else 0.0}


def _topics(rows: Sequence[Row]) -> dict[str, tuple[set[str], list[int]]]:
    """Topic -> its different questions, its row numbers."""
    topics: dict[str, tuple[set[str], list[int]]] = {}
    for row in rows:
        if row.text is None:
            keys, numbers = topics.setdefault(row.topic or "answer: " + normalised(row.answer), (set(), []))
            keys.add(row.key)
            numbers.append(row.number)
    return topics


def _coverage(rows: Sequence[Row]) -> tuple[Fault, ...]:
    """few_variations and no_refusals: what is missing rather than wrong. Raw texts have neither."""
    topics = _topics(rows)
    if not topics:
        return ()
    found = []
    typical = median(len(keys) for keys, _ in topics.values())
    if typical < FEWEST_WORDINGS:
        few = [number for keys, numbers in topics.values() if len(keys) < FEWEST_WORDINGS for number in numbers]
        why = f"a topic usually has {typical:g} wording of its question; the model will learn the wording by heart"
        found.append(whole_fault("few_variations", why, few))
    if not refusals(rows):
        found.append(whole_fault("no_refusals", 'no row answers "I do not know": the model will make answers up'))
    return tuple(found)


def _across(data: Dataset) -> tuple[Fault, ...]:
    """Faults between rows: duplicate, conflicting_answers, and leak into the other parts."""
    found = [*_duplicates(data.file_rows), *_conflicts(data.file_rows)]
    for part, rows in (("validation", data.val), ("test", data.test)):
        held = {row.key: row.number for row in reversed(rows)}
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
    answers: dict[str, dict[str, list[int]]] = {}
    for row in rows:
        if row.text is None:
            answers.setdefault(row.key, {}).setdefault(normalised(row.answer), []).append(row.number)
    involved = [numbers for given in answers.values() if len(given) > 1 for numbers in given.values()]
    why = "the same question as another row, with a different answer"
    return make_fault("conflicting_answers", {number: why for numbers in involved for number in numbers})


def _encoding(data: Dataset, train: Encoded, val: Encoded | None, test: Encoded | None) -> tuple[Fault, ...]:
    held = () if val is None else val.faults if data.held_out else tuple(f.of("validation") for f in val.faults)
    sealed = () if test is None else tuple(fault.of("test") for fault in test.faults)
    return (*train.faults, *held, *sealed)


def _reported_once(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """The faults, without rows that an earlier error of the same part explains already."""
    shadowed = {"template_mismatch", "no_supervised_token", "no_stop_token"}
    kept: list[Fault] = []
    for fault in faults:
        explained = frozenset(
            row for other in kept if other.part == fault.part and other.fault in _EXPLAINS for row in other.rows
        )
        left = fault.without(explained) if fault.fault in shadowed else fault
        if left is not None:
            kept.append(left)
    return tuple(kept)


_EXPLAINS = frozenset({"wrong_roles", "empty_answer", "template_mismatch"})
