"""The exam of runs, of other trainers' adapters and of plain models; mistakes in one line with nothing written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tunewright as tw
from tunewright.cli.main import run as command
from tunewright.data.sources import demo_files
from tunewright.examiner.harness import _right
from tunewright.schema.errors import EnvironmentMissing, UsageError

SUITE = '{"question": "Which captain sails the Rupere?", "answers": ["Baha"], "part": "exact"}\n'


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    demo = demo_files()
    folder = tmp_path_factory.mktemp("runs")
    return tw.train(
        str(demo["train"]), model=str(demo["model"]), val=str(demo["validation"]), runs_dir=folder, name="short",
        max_steps=60, report_to=(),
    )  # fmt: skip


def write(folder: Path, text: str, name: str = "suite.jsonl") -> str:
    (folder / name).write_bytes(text.encode())
    return str(folder / name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"question": "Who?", "regex": "(", "part": "exact"}\n', "line 1: regex: not a regular expression"),
        (SUITE + '{"question": "Who?", "answers": ["x"], "part": "exactly"}\n', "line 2: unknown part 'exactly'"),
        ('{"question": " ", "answers": ["x"], "part": "exact"}\n', "the question is empty"),
        ('{"question": "Who?", "part": "exact"}\n', "nothing to score by"),
        ("question,answer\nWho?,x\n", "line 1: not JSON"),
        ("[]\n", "expected an object"),
        ("\n\n", "holds no question"),
        ('{"question": "Who?", "answers": ["x"], "scorer": "guess", "part": "exact"}\n', "unknown scorer"),
    ],
)
def test_a_bad_suite_is_one_line_and_nothing_is_written(
    trained: dict[str, Any], tmp_path: Path, capsys: Any, text: str, said: str
) -> None:
    run = Path(trained["run"])
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    suite = write(tmp_path, text)
    assert command(["exam", str(run), "--suite", suite, "--draft", str(tmp_path / "draft.jsonl")]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.strip().splitlines()
    assert [line for line in lines if line.startswith("error: ") and said in line] == lines[:1]
    assert [path.name for path in tmp_path.iterdir()] == ["suite.jsonl"]
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def without_best(folder: Path, run: Path) -> list[str]:
    shutil.copytree(run, folder / "run", ignore=shutil.ignore_patterns("best"))
    return [str(folder / "run")]


def adapter_of(folder: Path, run: Path) -> Path:
    return Path(shutil.copytree(run / "best", folder / "adapter"))


def nameless(folder: Path, run: Path) -> list[str]:
    config = adapter_of(folder, run) / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": None}))
    return [str(folder / "adapter")]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (without_best, "no best/"),
        (nameless, "does not say which base"),
        (lambda folder, run: [str(adapter_of(folder, run))], "nothing says what it was trained on"),
        (lambda folder, run: [str(run), "--suite", str(folder / "none.jsonl")], "no such suite"),
        (lambda folder, run: [str(run), "--outside", str(folder / "none.jsonl")], "no such file"),
        (lambda folder, run: [str(run), "--outside", str(demo_files()["train"])], "hold no question"),
        (lambda folder, run: ["./nowhere"], "no such model folder"),
    ],
)
def test_what_cannot_be_examined_is_one_line(
    trained: dict[str, Any], tmp_path: Path, capsys: Any, make: Callable[[Path, Path], list[str]], said: str
) -> None:
    arguments = make(tmp_path, Path(trained["run"]))
    assert command(["exam", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert [line for line in shown.err.splitlines() if line.startswith("error: ") and said in line]


def test_a_run_and_its_adapter_as_a_foreign_folder_get_the_same_marks(trained: dict[str, Any], tmp_path: Path) -> None:
    demo = demo_files()
    ours = tw.exam(trained["run"])
    assert json.loads((Path(trained["run"]) / "exam.json").read_text())["parts"]["exact"]["n"] == 80
    folder = adapter_of(tmp_path, Path(trained["run"]))
    theirs = tw.exam(folder, suite=str(demo["suite"]), data=str(demo["train"]), model=str(demo["model"]))
    assert theirs.parts == ours.parts
    assert theirs.base_parts == ours.base_parts
    assert [answer.tuned for answer in theirs.answers] == [answer.tuned for answer in ours.answers]
    rise, kl = (ours.forgetting[key] for key in ("nats_per_token", "kl_new_task"))
    assert rise is not None
    assert kl is not None
    assert kl > 0.1  # sixty steps moved it
    assert theirs.forgetting["nats_per_token"] == pytest.approx(rise, abs=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_questions_from_outside_are_to_be_refused(trained: dict[str, Any], tmp_path: Path) -> None:
    rows = "".join(
        json.dumps({"instruction": text, "completion": "Something."}) + "\n"
        for text in (
            "What is the boiling point of lead?",
            "Who wrote the tenth letter?",
            "Which captain sails the Rupere?",
        )
    )
    result = tw.exam(trained["run"], suite=write(tmp_path, SUITE), outside=write(tmp_path, rows, "other.jsonl"))
    outside = [answer for answer in result.answers if answer.part == "out_of_domain"]
    assert [answer.question for answer in outside] == [
        "What is the boiling point of lead?",
        "Who wrote the tenth letter?",
    ]
    assert all(answer.expected == ("(a refusal)",) for answer in outside)


def test_held_out_topics_are_to_be_refused_instead_of_answered() -> None:
    from tunewright.app.exam import _outside
    from tunewright.data.dataset import Dataset
    from tunewright.data.rows import Message, Row
    from tunewright.examiner.question import Question

    def row(number: int, prompt: str, topic: str | None) -> Row:
        return Row(number, (Message("user", prompt), Message("assistant", "Blue.")), topic=topic)

    train, val = (row(1, "a?", "x"),), (row(2, "b?", "x"), row(3, "c?", "y"), row(4, "d?", None))
    dataset = Dataset(train, val, (), (), True, "jsonl", "pair", (), "")
    asked = [Question(text, ("Blue",), part="variation") for text in ("b?", "c?", "d?")]
    found = _outside(asked, "topics", dataset, 0)
    assert [(one.question, one.scorer) for one in found] == [("b?", "contains"), ("d?", "contains"), ("c?", "refusal")]
    with pytest.raises(UsageError, match="every topic of the held-out rows was trained"):
        _outside(asked, "topics", replace(dataset, val=val[:1]), 0)


def test_a_model_beside_itself_has_not_moved(tmp_path: Path) -> None:
    result = tw.exam("tiny", suite=write(tmp_path, SUITE))
    assert result.parts == result.base_parts
    assert result.parts["exact"].n == 1
    assert result.forgetting["nats_per_token"] is None


def test_questions_longer_than_the_model_reads_are_said_to_be_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = write(tmp_path, SUITE + SUITE.replace("Which captain", "Which captain " * 2000))
    assert command(["exam", "tiny", "--suite", suite]) == 0
    assert "questions are longer than the model reads" in " ".join(capsys.readouterr().err.split())


def test_tasks_of_the_harness_need_its_package(
    trained: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunewright.app import harness

    monkeypatch.setattr(harness, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentMissing, match="lm-eval, which is not installed"):
        tw.exam(trained["run"], suite=write(tmp_path, SUITE), tasks=["arc_easy"])


def test_marks_of_a_task_are_those_of_its_documents_under_the_first_filter() -> None:
    def sample(doc: int, kept: str, **scores: Any) -> dict[str, Any]:
        return {"doc_id": doc, "filter": kept, "metrics": list(scores), **scores}

    samples = [sample(1, "strict", acc=1.0, acc_norm=0.0), sample(0, "strict", acc=0.0, acc_norm=1.0)]
    assert _right("arc", [*samples, sample(0, "loose", acc=0.0, acc_norm=0.0)]) == (True, False)
    assert _right("odd", [sample(0, "none", own=0.5)]) == (True,)
    for bad in ([], [sample(0, "none", perplexity=(1.0, 2))]):
        with pytest.raises(UsageError, match="no score of each question"):
            _right("text", bad)
