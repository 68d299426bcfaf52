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
from tunewright.app.describe import describe_run
from tunewright.app.general import General
from tunewright.app.prepare import prepare
from tunewright.app.request import Request
from tunewright.app.run_one import run_one
from tunewright.app.train import load_recipe_base, work_for
from tunewright.app.watch import Silent
from tunewright.curve.read import read_curves
from tunewright.data.dataset import load_dataset
from tunewright.data.sources import demo_files
from tunewright.doctor.diagnose import diagnose
from tunewright.record.run import create_run
from tunewright.schema.errors import DataError
from tunewright.schema.probe import ProbeAnswer

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


# --- wrong answers ----------------------------------------------------------------------------------------------------

ROWS_OF: dict[str, Callable[[], Rows]] = {
    "demo": lambda: demo_rows("train", 240),
    "more demo": lambda: demo_rows("train", 400),
    "records": lambda: records(240, 0),
    "sorting": lambda: sorting(240, 0),
}


def with_wrong(rows: Rows, count: int, seed: int) -> tuple[Rows, set[int]]:
    """The rows with another row's answer in so many of them, and the numbers (from 1) of those."""
    draw = random.Random(seed)
    made, places = list(rows), draw.sample(range(len(rows)), count)
    for at in places:
        others = [row["completion"] for row in rows if row["completion"] != rows[at]["completion"]]
        made[at] = {**rows[at], "completion": draw.choice(others)}
    return made, {at + 1 for at in places}


def answers_of(run: str) -> dict[str, ProbeAnswer]:
    return {one.probe: one for one in tw.next_recipe(run, probe=True)["probes"]}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["more demo", "records"])
def test_rows_with_wrong_answers_are_named_by_their_probe(
    kind: str, tmp_path: Path, put: Callable[[str, Rows], str]
) -> None:
    sound = ROWS_OF[kind]()
    rows, wrong = with_wrong(sound, len(sound) // 8, 1)
    data = put("rows.jsonl", rows)
    answer, alone, _ = run_of(data, tmp_path, val_size=0.2, num_train_epochs=12)
    assert not alone & ACCUSED
    found = answers_of(answer["run"])["rows"]
    trained_on = {row.number for row in load_dataset({"data": data, "val_size": 0.2}).train}
    named = set(found.evidence["rows"])
    assert found.verdict == "fault"
    assert len(named & wrong) >= 0.75 * len(named)
    assert len(named & wrong) >= 0.6 * len(wrong & trained_on)
    assert all(str(row) in found.answer for row in sorted(named)[:5])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["demo", "records", "sorting"])
def test_nothing_of_a_finished_run_on_sound_rows_is_accused(
    kind: str, tmp_path: Path, put: Callable[[str, Rows], str]
) -> None:
    answer, _, said = run_of(put("rows.jsonl", ROWS_OF[kind]()), tmp_path, val_size=0.2, num_train_epochs=8)
    assert not said & ACCUSED
    verdicts = {name: one.verdict for name, one in answers_of(answer["run"]).items()}
    # half of the rows, for half of the time, do not teach this base to sort: then nothing is said of any row
    assert verdicts["rows"] == ("unclear" if kind == "sorting" else "fine")
    assert "fault" not in {verdicts[name] for name in ("template", "validation", "rows")}


@pytest.mark.slow
def test_a_run_says_at_its_end_that_answers_it_could_not_learn_belong_to_no_prompt(
    tmp_path: Path, put: Callable[[str, Rows], str]
) -> None:
    """Its validation rows are split off the same file, and nobody learns those by heart."""
    rows, wrong = with_wrong(demo_rows("train", 480), 60, 3)
    answer, alone, said = run_of(put("rows.jsonl", rows), tmp_path, val_size=0.2, num_train_epochs=8)
    assert "noisy_labels" not in alone
    assert "noisy_labels" in said
    kept = json.loads((Path(answer["run"]) / "probes.json").read_text())
    (finding,) = [one for one in kept["findings"] if one["symptom"] == "noisy_labels"]
    assert len(wrong.intersection(finding["rows"])) >= 0.75 * len(finding["rows"])


@pytest.mark.slow
def test_exchanged_answers_are_among_the_rows_of_the_highest_loss(
    tmp_path: Path, put: Callable[[str, Rows], str]
) -> None:
    rows, wrong = with_wrong(sorting(300, 0), 45, 0)
    answer, _, _ = run_of(put("rows.jsonl", rows), tmp_path, val=put("v.jsonl", sorting(60, 90)), num_train_epochs=8)
    kept = json.loads((Path(answer["run"]) / "probes.json").read_text())
    assert {one["row"] for one in kept["end"]["hard_rows"]["highest"][:6]} <= wrong


# --- what a healthy curve hides ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_wrong_template_is_found_in_a_run_whose_curve_looks_well(
    tmp_path: Path, put: Callable[[str, Rows], str]
) -> None:
    template = tmp_path / "odd.jinja"
    template.write_text(ODD_TEMPLATE, encoding="utf-8")
    answer, alone, said = run_of(
        put("rows.jsonl", demo_rows("train", 240)), tmp_path, template=str(template), num_train_epochs=5
    )
    assert not alone & ACCUSED
    assert "template_mismatch" in said
    (Path(answer["run"]) / "probes.json").unlink()  # as of a run that nobody asked
    found = answers_of(answer["run"])
    assert found["template"].verdict == "fault"
    assert "template mismatch" in found["template"].answer
    assert "rows" not in found  # asked of a set-up that is going to change


def run_in_spite_of_faults(data: str, folder: Path, **settings: Any) -> str:
    """A run that ``train`` refuses to make, as another program would have made it."""
    prepared = prepare(Request(data=data, settings={"model": MODEL, **settings}), refuse_faults=False)
    run = create_run(folder, "leaky", about={})
    describe_run(run, prepared)
    base = load_recipe_base(prepared, Silent())
    run_one(run, prepared.plan, work_for(prepared, General(base, run.path, Silent())), base, Silent())
    return str(run.path)


@pytest.mark.slow
@pytest.mark.parametrize("leaked", [0, 30])
def test_a_leak_is_found_in_a_run_whose_curve_looks_well(
    leaked: int, tmp_path: Path, put: Callable[[str, Rows], str]
) -> None:
    rows, held = demo_rows("train", 240), demo_rows("validation", 60)
    data, val = put("rows.jsonl", rows), put("val.jsonl", [*held[leaked:], *rows[:leaked]])
    if leaked:
        with pytest.raises(DataError, match="leak"):
            tw.train(data, model=MODEL, val=val, runs_dir=tmp_path / "refused")
    run = run_in_spite_of_faults(data, tmp_path, val=val, num_train_epochs=5, report_to=())
    assert "leak" not in {one.symptom for one in diagnose(read_curves(Path(run))[0]).findings}
    found = answers_of(run)["validation"]
    assert found.verdict == ("fault" if leaked else "fine")
    assert found.evidence["leaked"] == list(range(60 - leaked + 1, 61))
    if leaked:
        assert found.evidence["seen_loss"] < found.evidence["unseen_loss"]
        assert "30 of 60 rows" in found.answer


def test_a_base_without_a_chat_template_is_asked_too(tmp_path: Path, put: Callable[[str, Rows], str]) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(MODEL, bare)
    (bare / "chat_template.jinja").unlink()
    answer = tw.check(
        put("rows.jsonl", demo_rows("train", 40)), probe=True, model=str(bare), loss_on="completion", val_size=0
    )
    assert answer["probe"].gain.rows == 40
    assert answer["probe"].template is None
