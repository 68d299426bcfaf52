"""A prescription followed: promised, run, scored, and counted by rule; a plan that learns from the runs before it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests_support import random_model

import tunewright as tw
from tunewright.app.rules import rules
from tunewright.cli.main import run as cli
from tunewright.cli.show import rules_text

# near the planned rate, so that the number of epochs is what is wrong
SHORT = {"num_train_epochs": 2.0, "learning_rate": 1.75e-3, "per_device_train_batch_size": 4, "eval_steps": 2}


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(random_model(tmp_path_factory.mktemp("models") / "llama", "llama"))


def write_rows(path: Path, count: int = 24) -> str:
    rows = [
        {"prompt": f"What is item {n}?", "completion": f"It is {'blue' if n % 2 else 'red'}."} for n in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def read(run: str | Path, name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((Path(run) / name).read_text())
    return value


def prescribed(tmp_path: Path, llama: str) -> tuple[dict[str, Any], Path]:
    """A run stopped while still learning, and the recipe that was prescribed for it."""
    runs = tmp_path / "runs"
    first = tw.train(write_rows(tmp_path / "rows.jsonl"), model=llama, runs_dir=runs, **SHORT)
    recipe = tmp_path / "next.yaml"
    answer = tw.next_recipe(first["run"], out=str(recipe), runs_dir=runs)
    assert [change.key for change in answer["prescription"].changes] == ["num_train_epochs"]
    return first, recipe


def test_a_followed_prescription_is_scored_and_counted(tmp_path: Path, llama: str) -> None:
    first, recipe = prescribed(tmp_path, llama)
    moved = recipe.rename(tmp_path / "mine.yaml")  # another name is no other recipe
    second = tw.train(str(moved), runs_dir=tmp_path / "runs")
    prediction = read(second["run"], "prediction.json")
    promised, score = prediction["promised"]["eval_loss"], prediction["score"]
    assert prediction["prescribed"]["rule"] == "evidence.underfit"
    assert prediction["came"]["eval_loss"] == second["eval_loss"]
    assert score["inside"] == (promised["low"] <= second["eval_loss"] <= promised["high"])
    assert score["error"] == pytest.approx(second["eval_loss"] - promised["middle"])
    assert score["gain"] == pytest.approx(first["eval_loss"] - second["eval_loss"])
    about = read(second["run"], "run.json")
    assert about["parent"] == first["run"]
    assert about["changed"][0]["key"] == "num_train_epochs"
    answer = rules(tmp_path / "runs")
    (line,) = answer["rules"]
    assert (line["rule"], line["used"]) == ("evidence.underfit", 1)
    assert line["hits"]["passed"] == int(score["hit"])
    assert (line["inside"]["n"], line["inside"]["passed"]) == (1, int(score["inside"]))
    assert line["mean_absolute_error"] == pytest.approx(abs(score["error"]))
    assert "evidence.underfit" in rules_text(answer)


def test_an_edited_recipe_or_changed_rows_are_not_what_was_predicted(tmp_path: Path, llama: str) -> None:
    _, recipe = prescribed(tmp_path, llama)
    edited = tw.train(str(recipe), runs_dir=tmp_path / "runs", learning_rate=2e-3)
    assert "prescribed" not in read(edited["run"], "prediction.json")
    assert "parent" not in read(edited["run"], "run.json")
    write_rows(tmp_path / "rows.jsonl", 26)
    other = tw.train(str(recipe), runs_dir=tmp_path / "runs")
    prediction = read(other["run"], "prediction.json")
    assert prediction["prescribed"]["unlike"] == "the rows have changed since"
    assert prediction["score"]["inside"] is None
    assert prediction["score"]["gain"] is None


def test_the_runs_of_a_tuning_are_scored_too(tmp_path: Path, llama: str) -> None:
    data = write_rows(tmp_path / "rows.jsonl")
    answer = tw.tune(data, model=llama, runs_dir=tmp_path / "runs", budget="2runs", goal="eval", **SHORT)
    first, second = (read(run["run"], "prediction.json") for run in answer["runs"])
    assert "prescribed" not in first
    assert second["prescribed"]["rule"] == answer["runs"][1]["changed"][0]["rule"]
    assert second["prescribed"]["parent"] == answer["runs"][0]["run"]
    assert second["score"]["gain"] == pytest.approx(answer["runs"][0]["eval_loss"] - answer["runs"][1]["eval_loss"])
    assert sum(line["used"] for line in rules(tmp_path / "runs")["rules"]) == 1


def made_up(folder: Path, rule: str, *, hit: bool | None, inside: bool | None, error: float | None) -> None:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"status": "finished"}')
    promise = {"rule": rule, "source": "s", "parent": "p", "change": "c", "predicted": None, "before": 1.0}
    score = {"inside": inside, "error": error, "gain": 0.1, "symptom_gone": hit, "hit": hit}
    prediction = {"prescribed": {**promise, "least_gain": 0.01, "unlike": ""}, "score": score}
    (folder / "prediction.json").write_text(json.dumps(prediction))


def test_rules_are_counted_over_all_runs_and_damaged_folders_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(8):
        made_up(tmp_path / f"a{n}", "evidence.overfit", hit=n < 6, inside=n < 4 if n < 5 else None, error=0.1)
    made_up(tmp_path / "tune-1" / "run-2", "guide.stuck", hit=None, inside=None, error=None)
    made_up(tmp_path / "broken", "guide.stuck", hit=True, inside=True, error=0.0)
    (tmp_path / "broken" / "prediction.json").write_text("{")
    made_up(tmp_path / "odd", "guide.stuck", hit=True, inside=True, error=0.0)
    (tmp_path / "odd" / "prediction.json").write_text('{"prescribed": {"rule": "x"}, "score": {}}')
    assert cli(["runs", "rules", "--runs-dir", str(tmp_path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    overfit, stuck = answer["rules"]
    assert (overfit["rule"], overfit["used"]) == ("evidence.overfit", 8)
    assert (overfit["hits"]["passed"], overfit["hits"]["n"]) == (6, 8)
    assert overfit["hits"]["low"] == pytest.approx(0.409, abs=1e-3)  # Wilson, 6 of 8
    assert overfit["hits"]["high"] == pytest.approx(0.929, abs=1e-3)
    assert (overfit["inside"]["passed"], overfit["inside"]["n"]) == (4, 5)
    assert overfit["mean_error"] == pytest.approx(0.1)
    assert (stuck["hits"]["n"], stuck["inside"]["rate"], stuck["mean_error"]) == (0, None, None)
    assert sorted(Path(one["run"]).name for one in answer["damaged"]) == ["broken", "odd"]
    assert cli(["runs", "rules", "--runs-dir", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "6 of 8 (41-93 %)" in said
    assert "none judged" in said
    assert "not read: " in said


def test_without_any_prescription_the_way_to_one_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["runs", "rules", "--runs-dir", str(tmp_path / "none")]) == 0
    assert "tunewright next RUN --out next.yaml" in capsys.readouterr().out


def test_plan_train_and_tune_start_from_what_a_sweep_showed(tmp_path: Path, llama: str) -> None:
    data, runs = write_rows(tmp_path / "rows.jsonl"), tmp_path / "runs"
    alone = tw.plan(data, model=llama, runs_dir=runs).recipe
    tw.sweep(data, model=llama, grid={"learning_rate": [1e-4, 3e-3, 10.0]}, runs_dir=runs, num_train_epochs=4.0)
    made = tw.plan(data, model=llama, runs_dir=runs)
    assert made.recipe.learning_rate == 3e-3 != alone.learning_rate
    why = next(value.why for value in made.values if value.key == "learning_rate")
    assert "cell-2: 3e-3 gave evaluation loss" in why
    assert tw.plan(data, model=llama, runs_dir=tmp_path / "none").recipe == alone
    trained = tw.train(data, model=llama, runs_dir=runs, num_train_epochs=1)
    tuned = tw.tune(data, model=llama, runs_dir=runs, num_train_epochs=1, budget="1runs", goal="eval")
    for run in (trained["run"], tuned["best"]["run"]):
        values = {value["key"]: value["value"] for value in read(run, "plan.json")["values"]}
        assert values["learning_rate"] == 3e-3
