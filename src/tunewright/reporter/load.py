"""Files of a run as the shared types, forgiving: what is damaged is said and left out, never fatal.

A report is often made of a run that was killed, or of a folder that was copied by hand; refusing to show the
rest because one file is cut off would help nobody.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import orjson

from tunewright.schema import jsonio
from tunewright.schema.exam import PARTS, Answer, ExamResult, Reading, Score, Skill
from tunewright.schema.finding import Abstention, Diagnosis, Finding, GuideReading, Health, Mark, Severity, Source
from tunewright.schema.prescription import Change, Prescription, Range

T = TypeVar("T", bound=str)


class Problems:
    """Collects what could not be read, one sentence each."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def json_object(folder: Path, name: str, problems: Problems) -> dict[str, Any]:
    """One JSON file of a folder as a dict; empty when it is missing, and when it is damaged, which is noted."""
    try:
        value = orjson.loads((folder / name).read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, orjson.JSONDecodeError) as error:
        problems.note(f"{name} cannot be read ({_reason(error)}); what it holds is left out.")
        return {}
    if not isinstance(value, dict):
        problems.note(f"{name} holds no JSON object; it is left out.")
        return {}
    return value


def text_file(folder: Path, name: str, problems: Problems) -> str:
    """One text file of a folder; empty when missing; bytes that are no UTF-8 are replaced, which is noted."""
    try:
        data = (folder / name).read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        problems.note(f"{name} cannot be read ({_reason(error)}); it is left out.")
        return ""
    text = data.decode("utf-8", errors="replace")
    if "\N{REPLACEMENT CHARACTER}" in text:
        problems.note(f"{name} is not all UTF-8; the bytes that are not are shown as \N{REPLACEMENT CHARACTER}.")
    return text


def json_lines(folder: Path, name: str, problems: Problems, *, having: str = "") -> list[dict[str, Any]]:
    """The JSON objects of a file, one a line; broken lines are left out, and counted unless it is only the last.

    ``having``: only objects with this key are kept; a log of millions of lines is checked without being held.
    """
    lines = text_file(folder, name, problems).split("\n")
    objects: list[dict[str, Any]] = []
    broken: list[int] = []
    for number, line in enumerate(lines, start=1):
        try:
            value = orjson.loads(line) if line.strip() else None
        except orjson.JSONDecodeError:
            broken += [number] if number < len(lines) else []
            continue
        if isinstance(value, dict) and (not having or having in value):
            objects.append(value)
    if broken:
        problems.note(f"{name}: {len(broken)} broken lines left out, the first is line {broken[0]}.")
    return objects


def yaml_object(text: str, name: str, problems: Problems) -> dict[str, Any]:
    """YAML text as a dict; empty when it is none, which is noted."""
    if not text.strip():
        return {}
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        value = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        problems.note(f"{name} is not YAML ({_reason(error)}); it is shown as text only.")
        return {}
    return {str(key): _as_json(item) for key, item in value.items()} if isinstance(value, dict) else {}


def _as_json(value: Any) -> Any:
    """YAML knows dates, sets and more; what JSON does not know becomes its text."""
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return (str(error).splitlines() or [type(error).__name__])[0]


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; everything else in it is passed over."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def texts(value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def text(value: Any) -> str:
    return "" if value is None else str(value)


def number(value: Any) -> float | None:
    """A JSON number (non-finite strings included) or None.

    >>> number("NaN"), number(3), number("three"), number(True)
    (nan, 3.0, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return jsonio.number(value)
    except (ValueError, OverflowError):
        return None


def count(value: Any) -> int | None:
    """A whole number of at most 15 digits, or None."""
    found = number(value)
    return int(found) if found is not None and math.isfinite(found) and abs(found) < 1e15 else None


def one_of(value: Any, choices: Sequence[T], otherwise: T) -> T:
    return next((choice for choice in choices if choice == value), otherwise)


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
