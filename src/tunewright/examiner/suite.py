"""Exam suites: questions with what counts as a right answer, read from a file, drafted from rows, or bundled.

A suite is a JSONL file, one question a line:
{"question": "...", "answers": ["..."] or "regex": "..." or "scorer": "refusal", "part": "exact"}
Instead of "question" a line may have "messages" (turns with role and content, the last one the user's).
"scorer" may also say how "answers" are compared (contains, equals, sentence); "skill" groups general questions.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, cast, get_args

from tunewright.data.normalise import normalised
from tunewright.data.rows import Message, Row
from tunewright.examiner.draft import questions_of
from tunewright.examiner.expression import fault_of
from tunewright.examiner.question import SCORER_NAMES, Question
from tunewright.examiner.refusal import is_refusal
from tunewright.record.files import write_whole
from tunewright.schema.errors import DataError
from tunewright.schema.exam import PARTS, Part

_KEYS = frozenset({"question", "messages", "answers", "regex", "scorer", "part", "skill"})
_SHOWN_FAULTS = 20

__all__ = [
    "SCORER_NAMES",
    "Question",
    "bundled_skills",
    "draft_suite",
    "outside_questions",
    "read_suite",
    "save_suite",
]


def read_suite(path: Path) -> tuple[Question, ...]:
    """The questions of a suite file, in order; empty lines are skipped.

    Raises DataError naming every faulty line: not JSON, unknown keys or parts, nothing asked, nothing to score by.
    """
    questions, faults = [], []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        found = _line_question(line)
        if isinstance(found, Question):
            questions.append(found)
        else:
            faults.append(f"{path}, line {number}: {found}")
    if faults:
        more = [f"... and {len(faults) - _SHOWN_FAULTS} more faulty lines"] if len(faults) > _SHOWN_FAULTS else []
        raise DataError(
            "\n".join([*faults[:_SHOWN_FAULTS], *more]), hint="see the form of a suite: tunewright exam --help"
        )
    if not questions:
        raise DataError(
            f"{path}: holds no question", hint="draft a suite from your rows: tunewright exam RUN --draft OUT"
        )
    return tuple(questions)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_bytes().decode("utf-8-sig").split("\n")
    except FileNotFoundError:
        raise DataError(f"{path}: no such suite", hint="draft one: tunewright exam RUN --draft OUT") from None
    except IsADirectoryError:
        raise DataError(f"{path}: a folder; expected a JSONL file") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _line_question(line: str) -> Question | str:
    """The question of a line, or what is wrong with the line."""
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        return f"not JSON: {error}"
    if not isinstance(value, dict):
        return "expected an object with question, part and one of answers, regex, scorer"
    if unknown := sorted(set(value) - _KEYS):
        return f"unknown key {unknown[0]!r}; expected some of {', '.join(sorted(_KEYS))}"
    return _asked_fault(value) or _scoring_fault(value) or _part_fault(value) or _made(value)


def _asked_fault(value: Mapping[str, Any]) -> str | None:
    if "messages" in value:
        turns = value["messages"]
        if "question" in value:
            return "has both question and messages; expected one of them"
        if not isinstance(turns, list) or not turns or not all(_is_turn(turn) for turn in turns):
            return "messages: expected a list of turns with role (system, user, assistant) and content"
        if turns[-1]["role"] != "user" or not turns[-1]["content"].strip():
            return "messages: the last turn must be a user's question"
        return None
    if "question" not in value:
        return "no question"
    if not isinstance(value["question"], str) or not value["question"].strip():
        return "the question is empty; expected a text"
    return None


def _is_turn(turn: object) -> bool:
    return (
        isinstance(turn, dict)
        and turn.get("role") in ("system", "user", "assistant")
        and isinstance(turn.get("content"), str)
    )


def _scoring_fault(value: Mapping[str, Any]) -> str | None:
    scorer, pattern = value.get("scorer"), value.get("regex")
    if all(value.get(key) is None for key in ("answers", "regex", "scorer")):
        return "nothing to score by: expected answers, regex or scorer"
    if value.get("answers") is not None and not _answers(value):
        return "answers: expected a text or a list of texts, none of them empty"
    if pattern is not None and not isinstance(pattern, str):
        return "regex: expected a text"
    if pattern is not None and value.get("answers") is not None:
        return "has both answers and regex; expected one of them"
    if scorer is not None and scorer not in SCORER_NAMES:
        return f"unknown scorer {scorer!r}; expected one of {', '.join(SCORER_NAMES)}"
    if scorer in ("contains", "equals", "sentence") and value.get("answers") is None:
        return f"scorer {scorer} needs answers"
    if (scorer == "regex") != (pattern is not None) and (scorer == "regex" or scorer is not None):
        return "scorer regex needs a regex" if scorer == "regex" else f"has a regex but the scorer {scorer}"
    if pattern is not None and (fault := fault_of(pattern)):
        return f"regex: {fault}"
    return None


def _part_fault(value: Mapping[str, Any]) -> str | None:
    if value.get("part") not in get_args(Part):
        given = f"unknown part {value['part']!r}" if "part" in value else "no part"
        return f"{given}; expected one of {', '.join(PARTS)}"
    if value.get("skill") is not None and (not isinstance(value["skill"], str) or not value["skill"].strip()):
        return "skill: expected a name"
    return None


def _answers(value: Mapping[str, Any]) -> tuple[str, ...]:
    """The answers as texts (a number counts as its digits), or empty when the field is not usable."""
    given = value["answers"] if isinstance(value["answers"], list) else [value["answers"]]
    plain = [item for item in given if isinstance(item, (str, int, float)) and not isinstance(item, bool)]
    texts = tuple(str(item) for item in plain)
    # An answer of punctuation only would hold no word to look for.
    usable = len(plain) == len(given) and all(normalised(text) for text in texts)
    return texts if usable else ()


def _made(value: Mapping[str, Any]) -> Question:
    turns = tuple(Message(turn["role"], turn["content"]) for turn in value.get("messages", ()))
    answers = _answers(value) if value.get("answers") is not None else ()
    return Question(
        question=turns[-1].content if turns else value["question"],
        answers=answers,
        regex=value.get("regex"),
        scorer=value.get("scorer") or _default_scorer(answers, value.get("regex")),
        part=value["part"],
        skill=value.get("skill"),
        messages=turns,
    )


def _default_scorer(answers: Sequence[str], pattern: str | None) -> str:
    if pattern is not None:
        return "regex"
    return "refusal" if all(is_refusal(answer) for answer in answers) else "contains"


def draft_suite(train_rows: Sequence[Row], val_rows: Sequence[Row], *, limit: int, seed: int) -> tuple[Question, ...]:
    """A suite made from rows: at most ``limit`` questions in each part (in each skill of the general part).

    exact: trained rows; variation: held-out rows whose prompt is not trained; out_of_domain: held-out rows whose
    answer refuses; general: the bundled skills. Rows without a question (plain text) are left out. How answers are
    scored: :mod:`tunewright.examiner.draft`. The same rows, limit and seed give the same suite.
    """
    trained = {row.key for row in train_rows}
    held_out = [row for row in val_rows if row.key not in trained]
    drawn = random.Random(f"suite {seed}")
    known = (*train_rows, *val_rows)
    exact = questions_of(train_rows, "exact", known, refusing=False)
    variation = questions_of(held_out, "variation", known, refusing=False)
    outside = questions_of(held_out, "out_of_domain", known, refusing=True)
    skills: dict[str | None, list[Question]] = {}
    for question in bundled_skills():
        skills.setdefault(question.skill, []).append(question)
    groups = [exact, variation, outside, *(skills[name] for name in sorted(skills, key=str))]
    return tuple(question for group in groups for question in _sample(group, limit, drawn))


def outside_questions(rows: Sequence[Row], known: Sequence[Row], *, limit: int, seed: int) -> tuple[Question, ...]:
    """At most ``limit`` questions of another domain, to be refused: the prompts of rows that are none of ``known``.

    Raises DataError when the rows hold no question that is not known.
    """
    trained = {row.key for row in known}
    asked: dict[str, Question] = {}
    for row in rows:
        turns = row.messages[: row.last_answer]
        if turns and turns[-1].content.strip() and row.key not in trained:
            alone = len(turns) == 1 and turns[0].role == "user"
            question = Question(turns[-1].content, scorer="refusal", part="out_of_domain")
            asked.setdefault(row.key, question if alone else replace(question, messages=turns))
    if not asked:
        raise DataError("the rows from outside hold no question that is not in the run's own data")
    return tuple(_sample(list(asked.values()), limit, random.Random(f"outside {seed}")))


def _sample(questions: Sequence[Question], limit: int, drawn: random.Random) -> list[Question]:
    """At most ``limit`` of them, kept in their order."""
    chosen = sorted(drawn.sample(range(len(questions)), min(limit, len(questions))))
    return [questions[at] for at in chosen]


def bundled_skills() -> tuple[Question, ...]:
    """The skill questions that come with the package, each with its file's name as skill. Empty if none are there."""
    folder = resources.files("tunewright") / "bundled" / "general" / "skills"
    if not folder.is_dir():
        return ()
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".jsonl")), key=lambda file: file.name)
    return tuple(
        question if question.skill else replace(question, skill=file.name.removesuffix(".jsonl"))
        for file in files
        for question in read_suite(Path(str(file)))
    )


def save_suite(questions: Sequence[Question], path: Path) -> None:
    """Write questions as a suite file that :func:`read_suite` reads back equal."""
    lines = (json.dumps(_line(question), ensure_ascii=False) for question in questions)
    write_whole(path, "".join(f"{line}\n" for line in lines))


def _line(question: Question) -> dict[str, object]:
    turns = [{"role": turn.role, "content": turn.content} for turn in question.messages]
    asked: dict[str, object] = {"messages": turns} if turns else {"question": question.question}
    given: dict[str, object] = {"answers": list(question.answers), "regex": question.regex, "scorer": question.scorer}
    given |= {"part": cast(str, question.part), "skill": question.skill}
    return asked | {key: value for key, value in given.items() if value not in (None, [])}
