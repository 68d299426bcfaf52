"""Faults between rows, what is missing, and the report as a whole."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunewright.data.check import CheckReport, check_rows, refusals, topics_of, variations
from tunewright.data.dataset import load_dataset
from tunewright.data.encode import encode_rows
from tunewright.data.faults import FIXES, Fault, make_fault, merged, name_rows, whole_fault
from tunewright.data.rows import Message, Row
from tunewright.schema.jsonio import plain

Make = Callable[..., Any]


def pair(question: str, answer: str, **more: Any) -> dict[str, Any]:
    return {"prompt": question, "completion": answer, **more}


def check(tokenizer: Any, data: Path, val: Path | None = None, *, max_length: int = 200, **more: Any) -> CheckReport:
    found = load_dataset({"data": str(data), "val": str(val) if val else None, "val_size": 0, **more})
    encoded = [encode_rows(rows, tokenizer, max_length=max_length) for rows in (found.train, found.val, found.test)]
    return check_rows(found, *encoded)


def rows_of(report: CheckReport, name: str, part: str = "train") -> tuple[int, ...] | None:
    return next((fault.rows for fault in report.faults if (fault.fault, fault.part) == (name, part)), None)


HEALTHY = [
    pair("Who is the ferryman?", "Olaf.", topic="ferryman"),
    pair("What is the ferryman called?", "Olaf.", topic="ferryman"),
    pair("When does it leave?", "At seven.", topic="time"),
    pair("At what hour does it leave?", "At seven.", topic="time"),
    pair("Who is the king of the moon?", "I do not know.", topic="unknown"),
    pair("Who won the war of the bees?", "I don't know that.", topic="unknown"),
]


def test_a_healthy_file_has_no_fault(make_tokenizer: Make, write: Make) -> None:
    report = check(make_tokenizer(), write(HEALTHY))
    assert report.faults == ()
    assert report.ok
    assert report.rows == 6
    assert report.refusals == 2
    assert report.variations == {"topics": 3, "per_topic_median": 2}
    assert 0 < report.supervised_share < 1
    assert report.tokens > 60


def test_duplicates_are_the_later_copies_and_only_exact_ones(make_tokenizer: Make, write: Make) -> None:
    path = write([*HEALTHY, HEALTHY[0], pair("who is the ferryman", "Olaf."), HEALTHY[0]])
    report = check(make_tokenizer(), path)
    assert rows_of(report, "duplicate") == (7, 9)
    assert rows_of(report, "conflicting_answers") is None
    assert report.ok


def test_conflicting_answers_are_all_rows_involved(make_tokenizer: Make, write: Make) -> None:
    report = check(make_tokenizer(), write([*HEALTHY, pair("who is the ferryman", "Karl.")]))
    assert rows_of(report, "conflicting_answers") == (1, 7)


def test_a_leak_is_the_training_rows_of_the_same_question(make_tokenizer: Make, write: Make) -> None:
    val = write([pair("who is the FERRYMAN?!", "Somebody."), pair("A new wording for Olaf?", "Olaf.")], "val.jsonl")
    report = check(make_tokenizer(), write(HEALTHY), val)
    assert rows_of(report, "leak") == (1,)
    assert not report.ok
    test = write([pair("When does it leave?", "At seven.")], "test.jsonl")
    assert rows_of(check(make_tokenizer(), write(HEALTHY), val, test=str(test)), "leak") == (1, 3)


def test_held_out_rows_are_reported_with_their_file(make_tokenizer: Make, write: Make) -> None:
    long = [pair(f"Question {number}? " + "word " * 100, "x") for number in range(20)]
    report = check(make_tokenizer(), write([*HEALTHY, *long]), max_length=60, val_size=0.3)
    assert rows_of(report, "no_supervised_token") == tuple(range(7, 27))
    assert rows_of(report, "no_supervised_token", "validation") is None
    assert rows_of(report, "leak") is None
    assert report.rows == 26


def test_faults_of_a_validation_file_say_so(make_tokenizer: Make, write: Make) -> None:
    val = write([pair("New?", ""), {"prompt": 3}, pair("Long? " * 100, "x")], "val.jsonl")
    report = check(make_tokenizer(), write(HEALTHY), val)
    assert rows_of(report, "empty_answer", "validation") == (1,)
    assert rows_of(report, "broken_row", "validation") == (2,)
    assert rows_of(report, "no_supervised_token", "validation") == (3,)
    assert not report.ok


def test_a_row_is_reported_for_its_worst_fault_only(make_tokenizer: Make, write: Make) -> None:
    bad = {"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "user", "content": "b"}]}
    report = check(make_tokenizer(), write([*HEALTHY, bad, pair("A?", " ")]))
    assert [fault.fault for fault in report.faults] == ["wrong_roles", "empty_answer"]
    assert rows_of(report, "wrong_roles") == (7,)
    assert rows_of(report, "empty_answer") == (8,)


def test_what_is_missing(make_tokenizer: Make, write: Make) -> None:
    report = check(make_tokenizer(), write([pair(f"Question {n}?", f"Answer {n}") for n in range(5)]))
    assert rows_of(report, "few_variations") == (1, 2, 3, 4, 5)
    assert rows_of(report, "no_refusals") == ()
    assert report.ok


def test_raw_texts_lack_neither_wordings_nor_refusals(make_tokenizer: Make, write: Make) -> None:
    report = check(make_tokenizer(None), write([{"text": "Once."}, {"text": "Twice."}, {"text": "Once."}]))
    assert [fault.fault for fault in report.faults] == ["duplicate"]
    assert report.variations == {"topics": 0, "per_topic_median": 0.0}


def test_a_file_without_a_single_good_row(make_tokenizer: Make, write: Make) -> None:
    report = check(make_tokenizer(), write([3, 4]))
    assert rows_of(report, "broken_row") == (1, 2)
    assert math.isnan(report.supervised_share)
    assert (report.rows, report.tokens, report.ok) == (0, 0, False)
    assert plain(report)["supervised_share"] == "NaN"


@pytest.mark.parametrize(
    ("answer", "is_refusal"),
    [
        ("I don't know.", True),
        ("I don’t have information about that.", True),
        ("Sorry, I cannot answer this.", True),
        ("I'm not sure.", True),
        ("The handbook is silent: this is not covered.", True),
        ("They say: do not know thyself.", False),
        ("Olaf can't swim.", False),
        ("Knowing me, knowing you.", False),
    ],
)
def test_refusals(answer: str, is_refusal: bool) -> None:
    row = Row(9, (Message("user", "?"), Message("assistant", answer)))
    assert refusals([row]) == ((9,) if is_refusal else ())


def test_topics_without_a_column_are_equal_answers(make_chat: Make) -> None:
    rows = [make_chat(1, "A?", "Olaf."), make_chat(2, "B?", "olaf"), make_chat(3, "a", "Olaf"), make_chat(4, "C", "x")]
    assert variations(topics_of(rows)) == {"topics": 2, "per_topic_median": 1.5}


def test_a_fault_as_json_and_its_parts() -> None:
    fault = make_fault("truncated", {5: "long", 2: "long"})[0]
    assert plain(fault) == {
        "fault": "truncated",
        "severity": "warning",
        "rows": [2, 5],
        "count": 2,
        "why": "long (rows 2, 5)",
        "fix": FIXES["truncated"],
        "part": "train",
    }
    assert json.dumps(plain(fault))
    both = merged([fault, fault.shifted(10), fault.of("test"), whole_fault("leak", "x", [3])])
    assert [(one.fault, one.part, one.rows) for one in both] == [
        ("truncated", "train", (2, 5, 12, 15)),
        ("truncated", "test", (2, 5)),
        ("leak", "train", (3,)),
    ]
    assert make_fault("leak", {}) == ()
    assert name_rows(range(1, 2000)).endswith("and 1,991 more")
    assert isinstance(fault, Fault)
    with pytest.raises(KeyError):
        whole_fault("no_such_fault", "x")


def test_one_reason_is_said_once_for_held_out_and_other_rows(make_tokenizer: Make, write: Make) -> None:
    long = [pair(f"Question {number}? " + "word " * 100, "x") for number in range(20)]
    report = check(make_tokenizer(), write([*HEALTHY, *long]), max_length=60, val_size=0.3)
    silent = next(fault for fault in report.faults if fault.fault == "no_supervised_token")
    assert silent.why.count("the answer begins after max_length") == 1
    assert "rows 7, 8, 9, 10, 11, 12, 13, 14 and 12 more" in silent.why
    left = silent.without(frozenset(range(7, 26)))
    assert left is not None
    assert left.why.endswith("(row 26)")
