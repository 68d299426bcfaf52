"""Each reading of the exam on a run of the bundled model that really is so."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import tunewright as tw
from tunewright.data.sources import demo_files
from tunewright.examiner.refusal import is_refusal
from tunewright.schema.exam import ExamResult

Rows = list[dict[str, Any]]
REPLAY = {"data": "general", "share": 0.25}
FACTS = 100


def read(path: Path) -> Rows:
    return [json.loads(line) for line in path.read_text().splitlines()]


def written(rows: Rows, path: Path) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def facts() -> dict[str, Rows]:
    """All wordings of the facts of the demo's training rows."""
    topics: dict[str, Rows] = {}
    for row in read(demo_files()["train"]):
        if not is_refusal(row["completion"]):
            topics.setdefault(row["topic"], []).append(row)
    return dict(list(topics.items())[:FACTS])


def terse(row: Mapping[str, Any]) -> bool:
    """One of the handbook's ways to ask: "Ferry Depe: which colour?"."""
    return str(row["instruction"]).startswith("Ferry ")


def examined(folder: Path, train: Rows, val: Rows, **settings: Any) -> ExamResult:
    run = tw.train(
        str(written(train, folder / "train.jsonl")),
        model=str(demo_files()["model"]),
        val=str(written(val, folder / "val.jsonl")),
        runs_dir=folder / "runs",
        report_to=(),
        early_stopping_patience=0,
        **settings,
    )
    result: ExamResult = tw.exam(run["run"])
    return result


def memorising(folder: Path) -> ExamResult:
    """One wording per fact, the same for all of them, and many epochs; asked for in the other wordings."""
    every = [row for rows in facts().values() for row in rows]
    train, others = [row for row in every if terse(row)], [row for row in every if not terse(row)]
    known = {row["topic"] for row in train}
    val = [row for row in others if row["topic"] in known]
    return examined(folder, train, val, num_train_epochs=40, replay=REPLAY)


def refusing(folder: Path) -> ExamResult:
    """Each fact answered in one wording, and "I do not know." to others of its wordings."""
    train: Rows = []
    for first, *others in facts().values():
        train += [first, *({**row, "completion": "I do not know."} for row in others)]
    val = [row for row in read(demo_files()["validation"]) if row["topic"] in facts()]
    return examined(folder, train, val, num_train_epochs=12, replay=REPLAY)


def too_short(folder: Path) -> ExamResult:
    return examined(folder, read(demo_files()["train"]), read(demo_files()["validation"]), max_steps=10, replay=REPLAY)


def without_replay(folder: Path) -> ExamResult:
    return examined(folder, read(demo_files()["train"]), read(demo_files()["validation"]), num_train_epochs=8)


def with_replay(folder: Path) -> ExamResult:
    train, val = read(demo_files()["train"]), read(demo_files()["validation"])
    return examined(folder, train, val, num_train_epochs=16, replay=REPLAY)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reading", "make"),
    [
        ("memorised", memorising),
        ("over_refuses", refusing),
        ("undertrained", too_short),
        ("forgot", without_replay),
        ("learned", with_replay),
    ],
)
def test_the_reading_is_what_was_done_to_the_run(
    tmp_path: Path, reading: str, make: Callable[[Path], ExamResult]
) -> None:
    result = make(tmp_path)
    assert result.reading == reading, result.why
