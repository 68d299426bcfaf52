"""A run's JSON as the shared types, forgiving: what is missing or of another kind is None, empty or unknown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args

from tunewright.reporter.load import count, items, mapping, number, one_of, text, texts
from tunewright.schema.exam import PARTS, Answer, ExamResult, Reading, Score, Skill
from tunewright.schema.finding import Abstention, Diagnosis, Finding, GuideReading, Health, Mark, Severity, Source
from tunewright.schema.prescription import Change, Prescription, Range


def as_diagnosis(raw: Mapping[str, Any]) -> Diagnosis | None:
    """The ``diagnose`` JSON as a Diagnosis; None when there is none in it."""
    if not raw:
        return None
    source, guide = mapping(raw.get("source")), mapping(raw.get("guide_reading"))
    return Diagnosis(
        source=Source(
            text(source.get("kind")),
            text(source.get("path")),
            count(source.get("steps")) or 0,
            count(source.get("logged_every")) or 1,
            count(source.get("evals")) or 0,
        ),
        health=one_of(raw.get("health"), get_args(Health), "unknown"),
        guide_reading=GuideReading(
            number(guide.get("final_loss")),
            text(guide.get("interpretation")),
            text(guide.get("target")),
            text(guide.get("tree_advice")),
        ),
        checklist=tuple(_mark(mark) for mark in items(raw.get("checklist"))),
        findings=tuple(_finding(finding) for finding in items(raw.get("findings"))),
        abstained=tuple(
            Abstention(text(a.get("symptom")), text(a.get("because")), number(a.get("minimal_detectable_change")))
            for a in items(raw.get("abstained"))
        ),
    )


def _mark(raw: Mapping[str, Any]) -> Mark:
    ok = raw.get("ok")
    return Mark(text(raw.get("mark")), number(raw.get("value")), ok if isinstance(ok, bool) else None)


def _finding(raw: Mapping[str, Any]) -> Finding:
    ends = raw.get("steps")
    first, last = (count(end) or 0 for end in ends) if isinstance(ends, list) and len(ends) == 2 else (0, 0)
    rows = raw.get("rows")
    return Finding(
        code=text(raw.get("code")),
        symptom=text(raw.get("symptom")),
        severity=one_of(raw.get("severity"), get_args(Severity), "info"),
        steps=(min(first, last), max(first, last)),
        evidence=mapping(raw.get("evidence")),
        why=text(raw.get("why")),
        causes=texts(raw.get("causes")),
        rows=tuple(row for row in rows if isinstance(row, int)) if isinstance(rows, list) else (),
    )


def as_range(raw: Any) -> Range | None:
    """{"middle","low","high"}, or a bare number as a range of no width; None otherwise."""
    known = mapping(raw)
    middle = number(known.get("middle")) if known else number(raw)
    if middle is None:
        return None
    low, high = number(known.get("low")), number(known.get("high"))
    return Range(middle, middle if low is None else low, middle if high is None else high)


def as_changes(raw: Any) -> tuple[Change, ...]:
    """The ``changes`` of a prescription, or the ``changed`` of a tuning's run."""
    return tuple(
        Change(
            key=text(item.get("key")),
            before=item.get("from"),
            after=item.get("to"),
            factor=number(item.get("factor")),
            why=text(item.get("why")),
            rule=text(item.get("rule")),
            source=text(item.get("source")),
            predicted=as_range(item.get("predicted")),
        )
        for item in items(raw)
    )


def as_prescription(raw: Any) -> Prescription | None:
    known = mapping(raw)
    if not known:
        return None
    changes = as_changes(known.get("changes"))
    keep = bool(known.get("keep", not changes))
    return Prescription(keep, changes, text(known.get("why")), texts(known.get("disagreements")))


def as_exam(raw: Any) -> ExamResult | None:
    """The ``exam`` JSON as an ExamResult; None when there is none in it."""
    known = mapping(raw)
    if not mapping(known.get("parts")):
        return None
    return ExamResult(
        parts=_scores(known.get("parts")),
        base_parts=_scores(known.get("base_parts")),
        skills=tuple(_skill(skill) for skill in items(known.get("skills"))),
        copied=number(known.get("copied")),
        reading=one_of(known.get("reading"), get_args(Reading), "undertrained"),
        forgetting={key: number(value) for key, value in mapping(known.get("forgetting")).items()},
        why=text(known.get("why")),
        answers=tuple(_answer(answer) for answer in items(known.get("answers"))),
    )


def _scores(raw: Any) -> dict[str, Score]:
    known = mapping(raw)
    return {part: _score(mapping(known[part])) for part in PARTS if mapping(known.get(part))}


def _score(raw: Mapping[str, Any]) -> Score:
    low, high = number(raw.get("low")), number(raw.get("high"))
    return Score(
        n=count(raw.get("n")) or 0,
        passed=count(raw.get("passed")) or 0,
        rate=number(raw.get("rate")),
        low=0.0 if low is None else low,
        high=1.0 if high is None else high,
    )


def _skill(raw: Mapping[str, Any]) -> Skill:
    base, tuned = number(raw.get("base")), number(raw.get("tuned"))
    unknown = math.nan
    return Skill(
        text(raw.get("name")),
        count(raw.get("n")) or 0,
        unknown if base is None else base,
        unknown if tuned is None else tuned,
    )


def _answer(raw: Mapping[str, Any]) -> Answer:
    return Answer(
        part=text(raw.get("part")),
        question=text(raw.get("question")),
        expected=texts(raw.get("expected")),
        base=text(raw.get("base")),
        tuned=text(raw.get("tuned")),
        base_passed=raw.get("base_passed") is True,
        tuned_passed=raw.get("tuned_passed") is True,
    )
