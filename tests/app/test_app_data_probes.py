"""Faults that no curve shows, put into real data and found on the bundled model; sound data is not accused."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tunewright as tw
from tunewright.curve.read import read_curves
from tunewright.data.sources import demo_files
from tunewright.doctor.diagnose import diagnose

Rows = list[dict[str, Any]]
MODEL = str(demo_files()["model"])
ODD_TEMPLATE = (
    "{% for m in messages %}{{ '[' + m.role + ']: ' + m.content + eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '[assistant]: ' }}{% endif %}"
)


def demo_rows(part: str, count: int) -> Rows:
    lines = demo_files()[part].read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[:count]]


def records(count: int, seed: int) -> Rows:
    """A line about somebody, to be given back as JSON."""
    draw = random.Random(seed)

    def name() -> str:
        return "".join(draw.choice("bdfgklmnprst") + draw.choice("aeiou") for _ in range(3)).capitalize()

    people = [(name(), draw.randint(18, 80), draw.choice(("Monday", "Tuesday", "Friday"))) for _ in range(count)]
    return [
        {
            "prompt": f"{who}, aged {age}, came on {day}.",
            "completion": json.dumps({"name": who, "age": age, "day": day}),
        }
        for who, age, day in people
    ]


def sorting(count: int, seed: int) -> Rows:
    """Numbers to be put in order."""
    draw = random.Random(seed)
    lists = [draw.sample(range(10, 99), 4) for _ in range(count)]
    return [
        {"prompt": "Sort " + " ".join(map(str, drawn)), "completion": " ".join(map(str, sorted(drawn)))}
        for drawn in lists
    ]


def shuffled(rows: Rows, seed: int) -> Rows:
    answers = [row["completion"] for row in rows]
    random.Random(seed).shuffle(answers)
    return [{**row, "completion": answer} for row, answer in zip(rows, answers, strict=True)]


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, Rows], str]:
    def write(name: str, rows: Rows) -> str:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    return write


def symptoms(answer: dict[str, Any]) -> set[str]:
    return {finding.symptom for finding in answer["probe"].findings}


def probed(data: str, val: str | None = None, **settings: Any) -> dict[str, Any]:
    return tw.check(data, probe=True, model=MODEL, **({"val": val} if val else {}), **settings)


def test_sound_rows_are_not_accused_and_shuffled_ones_are(put: Callable[[str, Rows], str]) -> None:
    rows, val = demo_rows("train", 240), put("val.jsonl", demo_rows("validation", 60))
    sound = probed(put("sound.jsonl", rows), val)
    assert sound["ok"]
    assert symptoms(sound) == set()
    assert sound["probe"].gain.low > 0.2
    wrong = probed(put("shuffled.jsonl", shuffled(rows, 1)), val)
    assert not wrong["ok"]
    assert "labels_unrelated" in symptoms(wrong)


def test_a_template_of_another_model_is_found(tmp_path: Path, put: Callable[[str, Rows], str]) -> None:
    template = tmp_path / "odd.jinja"
    template.write_text(ODD_TEMPLATE, encoding="utf-8")
    answer = probed(put("rows.jsonl", demo_rows("train", 80)), template=str(template))
    assert symptoms(answer) == {"template_mismatch"}
    assert not answer["ok"]


def test_validation_rows_of_another_kind_are_found(put: Callable[[str, Rows], str]) -> None:
    answer = probed(put("rows.jsonl", demo_rows("train", 120)), put("val.jsonl", sorting(60, 0)))
    assert symptoms(answer) == {"val_shift"}
    assert answer["ok"]  # a warning


def test_raw_texts_have_no_prompts_to_ask_about(put: Callable[[str, Rows], str]) -> None:
    answer = probed(put("texts.jsonl", [{"text": f"Line {n} of a text."} for n in range(40)]))
    assert symptoms(answer) == set()
    assert [one.symptom for one in answer["probe"].abstained] == ["labels_unrelated"]


def run_of(data: str, folder: Path, **settings: Any) -> tuple[dict[str, Any], set[str], set[str]]:
    """A run's answer, what its curve alone shows, and what all of it shows."""
    answer = tw.train(data, model=MODEL, runs_dir=str(folder), **settings)
    curve = read_curves(Path(answer["run"]))[0]
    alone = diagnose(replace(curve, probed=()))
    return answer, *({one.symptom for one in said.findings} for said in (alone, diagnose(curve)))


ACCUSED = {"labels_unrelated", "template_mismatch", "leak", "noisy_labels", "val_shift"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", ["demo", "records", "sorting"])
def test_runs_on_sound_data_are_not_accused(
    kind: str, seed: int, tmp_path: Path, put: Callable[[str, Rows], str]
) -> None:
    make = {"records": records, "sorting": sorting}.get(kind)
    rows, held = (
        (make(240, seed), make(60, 90 + seed)) if make else (demo_rows("train", 240), demo_rows("validation", 60))
    )
    answer, _, said = run_of(
        put("rows.jsonl", rows), tmp_path, val=put("val.jsonl", held), num_train_epochs=5, seed=seed
    )
    assert (Path(answer["run"]) / "probes.json").is_file()
    assert not said & ACCUSED


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["demo", "records", "sorting"])
def test_a_run_on_shuffled_answers_is_found_by_its_probe_alone(
    kind: str, tmp_path: Path, put: Callable[[str, Rows], str]
) -> None:
    make = {"records": records, "sorting": sorting}.get(kind)
    rows, held = (make(240, 0), make(60, 90)) if make else (demo_rows("train", 240), demo_rows("validation", 60))
    data, val = put("rows.jsonl", shuffled(rows, 2)), put("val.jsonl", shuffled(held, 3))
    answer, alone, said = run_of(data, tmp_path, val=val, num_train_epochs=5)
    assert not alone & ACCUSED
    assert "labels_unrelated" in said
    assert answer["health"] == "sick"
    assert json.loads((Path(answer["run"]) / "findings.json").read_text())["health"] == "sick"


@pytest.mark.slow
def test_exchanged_answers_are_among_the_rows_of_the_highest_loss(
    tmp_path: Path, put: Callable[[str, Rows], str]
) -> None:
    rows = sorting(300, 0)
    bad = random.Random(0).sample(range(300), 45)
    for at, other in zip(bad, (*bad[1:], bad[0]), strict=True):
        rows[at] = {**rows[at], "completion": sorting(300, 0)[other]["completion"]}
    answer, _, _ = run_of(put("rows.jsonl", rows), tmp_path, val=put("v.jsonl", sorting(60, 90)), num_train_epochs=8)
    kept = json.loads((Path(answer["run"]) / "probes.json").read_text())
    highest = [one["row"] - 1 for one in kept["end"]["hard_rows"]["highest"]]
    assert all(at in bad for at in highest[:6])


def test_a_base_without_a_chat_template_is_asked_too(tmp_path: Path, put: Callable[[str, Rows], str]) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(MODEL, bare)
    (bare / "chat_template.jinja").unlink()
    answer = tw.check(
        put("rows.jsonl", demo_rows("train", 40)), probe=True, model=str(bare), loss_on="completion", val_size=0
    )
    assert answer["probe"].gain.rows == 40
    assert answer["probe"].template is None
