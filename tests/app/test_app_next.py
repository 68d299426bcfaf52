"""next: from the guide's own table, from a run, from grown data, from a log without a recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunewright.app.next_recipe import next_recipe
from tunewright.schema.errors import DataError, UsageError
from tunewright.schema.recipe import Recipe
from tunewright.schema.recipe_io import to_yaml

TABLE = """rows,epochs,learning_rate,steps,final_loss,result
625,5,1e-4,395,0.4-0.6,"okay, some hallucination"
625,8,5e-5,632,0.02-0.1,too perfect
825,5,8e-5,515,0.6-0.9,did not learn enough
"""


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "runs.csv"
    path.write_text(TABLE)
    return str(path)


def test_the_guides_three_runs_give_the_guides_corrected_run(table: str) -> None:
    answer = next_recipe(table=table, policy="guide")
    assert [verdict["word"] for verdict in answer["verdicts"]] == ["okay", "overfit", "underfit"]
    assert answer["recipe"]["num_train_epochs"] == 7
    assert answer["recipe"]["learning_rate"] == pytest.approx(1e-4)
    assert answer["recipe"]["gradient_accumulation_steps"] == 8
    assert [option.name for option in answer["options"] if option.recommended] == ["C"]


def test_the_evidence_policy_takes_epochs_first_and_says_why_they_differ(table: str) -> None:
    answer = next_recipe(table=table)
    assert answer["recipe"]["num_train_epochs"] == 7
    assert answer["recipe"]["learning_rate"] == pytest.approx(8e-5)
    assert any("recommends C" in voice for voice in answer["prescription"].disagreements)


def test_a_broken_table_names_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text(TABLE.replace("8e-5", "fast"))
    with pytest.raises(DataError, match=r"line 4.*learning_rate"):
        next_recipe(table=str(tmp_path / "runs.csv"))


def made_run(folder: Path, **given: Any) -> Path:
    """A run folder whose validation loss turned at step 40 of 100."""
    folder.mkdir()
    recipe = Recipe(model="m", data="d.jsonl", num_train_epochs=10.0, **given)
    (folder / "recipe.yaml").write_text(to_yaml(recipe))
    (folder / "run.json").write_text(json.dumps({"status": "finished", "rows": {"train": 625, "val": 50}}))
    with open(folder / "metrics.jsonl", "w") as file:
        for step in range(101):
            event: dict[str, Any] = {"step": step, "epoch": step / 10, "learning_rate": recipe.learning_rate}
            if step:
                event["loss"] = 0.1 + 2.0 * 0.96**step
            if step % 10 == 0:
                event["eval_loss"] = 0.8 + 2.0 * 0.93**step + 0.01 * max(0, step - 40)
            file.write(json.dumps(event) + "\n")
    return folder


def test_an_overfit_run_is_told_to_stop_where_its_validation_turned(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    answer = next_recipe(run, out=str(tmp_path / "next.yaml"))
    change = answer["prescription"].changes[0]
    assert change.key == "num_train_epochs"
    assert 3 <= change.after <= 6
    assert answer["recipe"]["num_train_epochs"] == change.after
    assert (tmp_path / "next.yaml").read_text().count("num_train_epochs") == 1


def test_a_log_alone_gives_relative_changes(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    log = tmp_path / "metrics.jsonl"
    log.write_bytes((run / "metrics.jsonl").read_bytes())
    answer = next_recipe(log)
    assert answer["recipe"] is None
    change = answer["prescription"].changes[0]
    assert change.after is None
    assert change.factor is not None
    assert change.factor < 1
    with pytest.raises(UsageError, match="cannot be written whole"):
        next_recipe(log, out=str(tmp_path / "next.yaml"))
    assert not (tmp_path / "next.yaml").exists()


def test_grown_data_gives_three_options(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    rows = [{"instruction": f"What is {n}?", "completion": f"It is {n}."} for n in range(825)]
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    answer = next_recipe(run, data=str(tmp_path / "new.jsonl"), policy="guide")
    assert [option.name for option in answer["options"]] == ["A", "B", "C"]
    assert answer["recipe"]["data"] == str(tmp_path / "new.jsonl")
    assert answer["recipe"]["num_train_epochs"] == 8  # 6,250 / 825 = 7.6
