"""The guide's story on a real model: too long overfits, too short underfits, and the next recipe mends each.

Also the demo's story: the curve looks fine, old skills are lost, replay brings them back; the same under another
name of the model's folder, and on a second base with another tokenizer, width and template.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import tunewright as tw
from tunewright.app.diagnose import diagnose
from tunewright.app.exam import exam
from tunewright.app.next_recipe import next_recipe
from tunewright.data.sources import BUNDLED, demo_files

SECOND = Path(__file__).parents[1] / "assets" / "second_world"
FIRST_VERSION = 625


def first_version(folder: Path) -> str:
    """The guide's first data: 625 of the 825 rows."""
    lines = demo_files()["train"].read_text().splitlines()[:FIRST_VERSION]
    path = folder / "first.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def train(data: str, folder: Path, name: str, **given: Any) -> dict[str, Any]:
    demo = demo_files()
    return tw.train(data, model=str(demo["model"]), val=str(demo["validation"]), runs_dir=folder, name=name, **given)


def follow(run: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the next recipe and run it."""
    answer = next_recipe(run["run"], out=str(folder / "next.yaml"))
    assert not answer["prescription"].keep
    return tw.train(str(folder / "next.yaml"), runs_dir=folder, name="followed")


@pytest.mark.slow
def test_625_rows_for_too_long_overfit_and_the_next_recipe_mends_it(tmp_path: Path) -> None:
    data = first_version(tmp_path)
    run = train(data, tmp_path, "long", num_train_epochs=30, early_stopping_patience=0, lora_rank=32)
    report = diagnose(run["run"])[0]
    assert report.diagnosis.has("overfit")
    assert report.diagnosis.health == "warning"
    assert [change.key for change in report.prescription.changes] == ["num_train_epochs"]
    after = follow(run, tmp_path)
    assert not diagnose(after["run"])[0].diagnosis.has("overfit")
    assert last_eval(after) < last_eval(run)


@pytest.mark.slow
def test_825_rows_for_too_short_underfit_and_the_next_recipe_mends_it(tmp_path: Path) -> None:
    run = train(str(demo_files()["train"]), tmp_path, "short", num_train_epochs=2)
    report = diagnose(run["run"])[0]
    assert report.diagnosis.has("underfit")
    after = follow(run, tmp_path)
    assert after["eval_loss"] < 0.95 * run["eval_loss"]
    assert report.prescription.changes[0].key == "num_train_epochs"


def last_eval(run: dict[str, Any]) -> float:
    return float(diagnose(run["run"])[0].curve.eval_loss.values[-1])


def skills(result: Any) -> dict[str, tuple[float, float]]:
    return {skill.name: (skill.base, skill.tuned) for skill in result.skills}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return tw.tune("demo", runs_dir=tmp_path_factory.mktemp("demo"), name="demo")


def forgets_most(tuning: dict[str, Any]) -> dict[str, Any]:
    run: dict[str, Any] = max(tuning["runs"], key=lambda run: run["forgetting"])
    return run


@pytest.mark.slow
def test_the_demo_loses_old_skills_says_so_and_brings_them_back(demo: dict[str, Any]) -> None:
    first, last = forgets_most(demo), demo["runs"][-1]
    assert first["forgetting"] > 0.1
    assert "forgetting" in first["findings"]
    assert any(change["key"] == "replay" for run in demo["runs"][1:] for change in run["changed"])
    assert demo["best"]["run"] == last["run"]
    parts = demo["exam"]["parts"]
    assert parts["variation"]["rate"] >= 0.9
    assert parts["out_of_domain"]["rate"] >= 0.8
    assert demo["exam"]["base_parts"]["variation"]["rate"] < 0.1
    assert len(demo["exam"]["skills"]) >= 3
    for skill in demo["exam"]["skills"]:
        assert skill["base"] >= 0.8
        assert skill["tuned"] >= skill["base"] - 0.1, skill


@pytest.mark.slow
def test_a_run_without_general_rows_had_lost_them(demo: dict[str, Any]) -> None:
    found = skills(exam(forgets_most(demo)["run"]))
    assert any(tuned < base - 0.3 for base, tuned in found.values()), found


@pytest.mark.slow
def test_under_another_name_the_same_model_gives_the_same_tuning(demo: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(BUNDLED / "models" / demo_files()["model"].name, tmp_path / "someone-else")
    files = {key: shutil.copy(demo_files()[key], tmp_path / f"{key}.jsonl") for key in ("train", "validation")}
    again = tw.tune(
        str(files["train"]),
        model=str(tmp_path / "someone-else"),
        val=str(files["validation"]),
        runs_dir=tmp_path / "runs",
    )
    assert [(run["eval_loss"], run["forgetting"]) for run in again["runs"]] == [
        (run["eval_loss"], run["forgetting"]) for run in demo["runs"]
    ]
    named = ("model", "data", "val")
    for one, other in zip(demo["runs"], again["runs"], strict=True):
        plans = [json.loads((Path(run["run"]) / "plan.json").read_text())["values"] for run in (one, other)]
        values = [{value["key"]: value["value"] for value in plan if value["key"] not in named} for plan in plans]
        assert values[0] == values[1]


@pytest.mark.slow
def test_a_second_differently_trained_base_goes_through_the_same_story(tmp_path: Path) -> None:
    answer = tw.tune(
        str(SECOND / "train.jsonl"),
        model=str(SECOND / "model"),
        val=str(SECOND / "valid.jsonl"),
        runs_dir=tmp_path,
    )
    without = [run["forgetting"] for run in answer["runs"] if not any(c["key"] == "replay" for c in run["changed"])]
    assert max(without) > 0.1
    kept = next(run for run in answer["runs"] if run["run"] == answer["best"]["run"])
    assert kept["forgetting"] <= 0.1
    result = exam(answer["best"]["run"], suite=str(SECOND / "suite.jsonl"))
    assert result.parts["variation"].rate is not None
    assert result.parts["variation"].rate >= 0.8
    assert result.parts["out_of_domain"].rate is not None
    assert result.parts["out_of_domain"].rate >= 0.8
    for name, (base, tuned) in skills(result).items():
        assert tuned >= base - 0.1, name
