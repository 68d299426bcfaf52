"""The model card: filled from records alone, kept where a person wrote, and checked line by line."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunewright.app.model_card import card_path, check_card
from tunewright.app.report import report
from tunewright.cli.main import run as command
from tunewright.reporter.card import PERSONAL_HEAD, head_of, render_card
from tunewright.reporter.view import read_view

Maker = Callable[..., Path]
FILLED = f"{PERSONAL_HEAD}\n\nLicensed as the base is. Made for a demonstration; ask the makers.\n"


@pytest.fixture
def run(make_run: Maker) -> Path:
    settings = {"model": "acme/tiny-llama", "data": "hub:acme/rows", "val": "val.jsonl", "method": "lora"}
    return make_run(settings=settings, with_exam=True, result={"eval_loss": 0.2834567, "best_step": 60, "steps": 64})


def filled_in(card: str) -> str:
    """The card as a person would finish it."""
    head, _, _ = card.partition(PERSONAL_HEAD)
    return head.replace("# license: TODO", "license: apache-2.0\nlanguage: en") + FILLED


def test_the_front_matter_is_what_hubs_read(run: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from huggingface_hub import ModelCard

    data = ModelCard(render_card(read_view(run))).data
    assert (data.base_model, data.datasets, data.library_name) == ("acme/tiny-llama", ["acme/rows"], "peft")
    figures = {(one.dataset_name, one.metric_type): one.metric_value for one in data.eval_results}
    assert figures[("val.jsonl", "loss")] == 0.283457
    assert figures[("Exam: the same in other words", "accuracy")] == 0.92
    assert len(figures) == 5


def test_the_card_lies_beside_the_adapter(run: Path, make_run: Maker) -> None:
    assert report(run, format="md") == run / "best" / "README.md" == card_path(run)


def test_a_fresh_card_lacks_only_what_a_person_knows(run: Path) -> None:
    report(run, format="md")
    said = [one.text for one in check_card(run).complaints]
    assert len(said) == 7
    assert sum(text.startswith("still open: TODO") for text in said) == 5
    assert {text.split(" is ")[0] for text in said if " is missing" in text} == {"license", "language"}


def test_a_finished_card_passes_and_stays_finished_when_it_is_made_anew(run: Path) -> None:
    path = report(run, format="md")
    path.write_text(filled_in(path.read_text()))
    assert check_card(run).complaints == ()
    assert command(["report", str(run), "--check"]) == 0
    (run / "exam.json").unlink()
    assert check_card(run).complaints  # the records say something else now
    report(run, format="md")
    assert check_card(run).complaints == ()
    assert head_of(path.read_text())["license"] == "apache-2.0"
    assert FILLED in path.read_text()


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("value: 0.283457", "value: 0.183457", "value is 0.183457, the records say 0.283457"),
        ('base_model: "acme/tiny-llama"', 'base_model: "acme/huge"', "'acme/huge', the records say 'acme/tiny-llama'"),
        ("2.91 → 0.283", "2.91 → 0.1", "the records say"),
        ("## The exam", "## The exams", "the records say"),
    ],
)
def test_a_line_that_contradicts_the_records_is_named(run: Path, before: str, after: str, complaint: str) -> None:
    path = report(run, format="md")
    whole = filled_in(path.read_text())
    assert before in whole
    path.write_text(whole.replace(before, after, 1))
    changed = next(n for n, line in enumerate(path.read_text().split("\n"), 1) if after in line)
    found = check_card(run).complaints
    assert [one.line for one in found] == [changed]
    assert complaint in found[0].text


def test_a_line_that_was_cut_out_is_missed_and_one_that_was_added_is_let_stand(run: Path) -> None:
    path = report(run, format="md")
    whole = filled_in(path.read_text())
    lines = whole.split("\n")
    where = next(n for n, line in enumerate(lines) if line.startswith("**run-x"))
    path.write_text("\n".join([*lines[:where], *lines[where + 1 :]]))
    assert ["lacks a line" in one.text for one in check_card(run).complaints] == [True]
    path.write_text("\n".join([*lines[: where + 1], "", "We like it.", *lines[where + 1 :]]))
    assert check_card(run).complaints == ()


def test_names_that_only_a_person_knows_are_asked_for_and_kept(make_run: Maker) -> None:
    run = make_run(settings={"model": "/models/mine", "data": "/data/rows.jsonl"})
    path = report(run, format="md")
    missing = {one.text.split(" is ")[0] for one in check_card(run).complaints if " is missing" in one.text}
    assert missing == {"license", "language", "base_model", "datasets"}
    names = "base_model: acme/mine\ndatasets:\n- acme/rows\nlicense: mit\nlanguage: [en, de]"
    path.write_text(filled_in(path.read_text()).replace("license: apache-2.0\nlanguage: en", names))
    report(run, format="md")
    assert check_card(run).complaints == ()
    assert head_of(path.read_text())["datasets"] == ["acme/rows"]


@pytest.mark.parametrize("content", [b"", b"# a card", b"---\n[\n---\n", b"\xff\xfe"])
def test_a_card_that_is_none_is_a_complaint_not_a_crash(
    run: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    card_path(run).write_bytes(content)
    code = command(["report", str(run), "--check", "--json"])
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (code, "error" in answer) == ((2, True) if content == b"\xff\xfe" else (1, False))


def test_without_a_card_the_check_says_how_to_write_it(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["report", str(run), "--check"]) == 1
    assert "--format md writes it" in capsys.readouterr().out


def test_the_recorded_licence_of_the_base_is_carried_over(make_run: Maker) -> None:
    run = make_run(base_license="apache-2.0")
    assert head_of(render_card(read_view(run)))["license"] == "apache-2.0"


def test_a_card_goes_elsewhere_and_names_no_place_of_its_maker(run: Path, tuning: Path, tmp_path: Path) -> None:
    (run / "notes.json").write_text(json.dumps({"notes": [{"t": 1.0, "text": "for us alone"}], "tags": ["x"]}))
    assert "for us alone" not in render_card(read_view(run))
    for folder in (run, tuning):
        assert str(folder.parent) not in render_card(read_view(folder))
    path = report(run, format="md")
    path.write_text(filled_in(path.read_text()))
    moved = run.rename(tmp_path / "moved")
    assert {one.line for one in check_card(moved).complaints} <= {
        number
        for number, line in enumerate(card_path(moved).read_text().split("\n"), 1)
        if "run-x" in line  # its name is another now
    }
