"""A stage on raw text before the instructions: asked for by volume, kept for its gain, and part of one tuning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests_support import random_model

import tunewright as tw
from tunewright.planner import stages
from tunewright.schema.errors import UsageError

COLOURS = ("blue", "red", "green")
ROWS = [(f"What is item {n}?", f"It is {COLOURS[n % 3]}.") for n in range(60)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("domain")
    random_model(folder / "model", "llama")
    rows = [{"instruction": question, "completion": answer} for question, answer in ROWS]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    texts = [{"text": f"The item {n} is {COLOURS[n % 3]}. It is {COLOURS[n % 3]} on Monday."} for n in range(90)]
    (folder / "text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    return folder


def tune(place: Path, runs: str, **given: Any) -> dict[str, Any]:
    options = {
        "goal": "eval",
        "budget": "12epochs",
        "runs_dir": place / runs,
        "name": "t",
        "num_train_epochs": 2,
        **given,
    }
    return tw.tune(str(place / "rows.jsonl"), model=str(place / "model"), learning_rate=3e-3, **options)


def said(place: Path, runs: str) -> list[str]:
    lines = (place / runs / "t" / "decisions.jsonl").read_text().splitlines()
    return [json.loads(line)["text"] for line in lines]


def test_little_text_is_left_out_and_that_is_said(place: Path) -> None:
    answer = tune(place, "little", domain=str(place / "text.jsonl"), budget="1runs")
    assert answer["stages"] == []
    assert any("fewer than 10,000" in line for line in said(place, "little"))
    assert not (place / "little" / "t" / "domain").exists()


def test_between_the_guides_figures_the_measured_gain_decides(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "LITTLE_DOMAIN_ROWS", 10)
    answer = tune(place, "between", domain=str(place / "text.jsonl"))
    (stage,) = answer["stages"]
    assert stage["stage"]["stage"] == "pt"
    assert Path(stage["run"]).name == "domain"
    trials = [run for run in answer["runs"] if run["phase"] == "trial"]
    assert len(trials) == 2
    gain = trials[0]["eval_loss"] - trials[1]["eval_loss"]
    assert stage["kept"] is (gain > 0) or abs(gain) < 0.1
    recipe = (Path(answer["best"]["run"]) / "recipe.yaml").read_text()
    assert ("domain/best" in recipe) == (stage["kept"] and Path(answer["best"]["run"]).name != trials[0]["name"])
    assert any("short runs on the instructions" in line for line in said(place, "between"))


def test_raw_text_before_raw_text_is_refused(place: Path) -> None:
    with pytest.raises(UsageError, match="--domain"):
        tune(place, "refused", domain=str(place / "text.jsonl"), loss_on="all", stage="pt")
