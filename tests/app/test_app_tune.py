"""A tuning on any model folder and any data format: it runs, ends with a reason, and documents itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests_support import random_model

import tunewright as tw
from tunewright.record.run import open_run
from tunewright.schema.errors import Interrupted, UsageError

ROWS = [(f"What is item {n}?", f"It is {'blue' if n % 2 else 'red'}.") for n in range(24)]
SHAPES = {
    "messages": lambda q, a: {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]},
    "prompt": lambda q, a: {"prompt": q, "completion": a},
    "instruction": lambda q, a: {"instruction": q, "completion": a},
    "alpaca": lambda q, a: {"instruction": q, "input": "", "output": a},
    "sharegpt": lambda q, a: {"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]},
    "text": lambda q, a: {"text": f"{q} {a}"},
}


def write(folder: Path, shape: str) -> str:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(SHAPES[shape](*row)) + "\n" for row in ROWS))
    return str(path)


def tune(folder: Path, family: str, shape: str, **given: Any) -> dict[str, Any]:
    model = str(random_model(folder / family, family))
    options = {"budget": "2runs", "num_train_epochs": 2, "runs_dir": folder / "runs", **given}
    return tw.tune(write(folder, shape), model=model, **options)


def check(answer: dict[str, Any]) -> None:
    assert answer["stopped_because"]
    assert answer["best"]["eval_loss"] <= answer["base_eval_loss"]
    assert (Path(answer["best"]["adapter"]) / "adapter_model.safetensors").is_file()
    page = Path(answer["report"]).read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "run-1" in page
    for run in answer["runs"]:
        assert open_run(Path(run["run"])).status() == "finished"
    folder = Path(answer["report"]).parent
    assert json.loads((folder / "tuning.json").read_text())["stopped_because"] == answer["stopped_because"]
    decisions = [json.loads(line)["text"] for line in (folder / "decisions.jsonl").read_text().splitlines()]
    assert decisions[0].startswith("plan: ")
    assert decisions[-1].startswith("stopped: ")


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3"])
def test_every_family_is_tuned(family: str, tmp_path: Path) -> None:
    check(tune(tmp_path, family, "messages"))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_tuned(shape: str, tmp_path: Path) -> None:
    check(tune(tmp_path, "llama", shape, goal="eval"))


def test_a_tuning_without_validation_rows_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="validation"):
        tune(tmp_path, "llama", "messages", val_size=0.0)
    assert not (tmp_path / "runs").exists()


def test_after_full_fine_tuning_the_base_is_asked_as_it_was(tmp_path: Path) -> None:
    tuned = tune(tmp_path, "llama", "messages", method="full", learning_rate=3e-3, budget="1runs")
    alone = tw.exam(str(tmp_path / "llama"))
    base = tuned["exam"]["base_parts"]["general"]
    assert base["passed"] == alone.parts["general"].passed
    answers = [one["base"] for one in tuned["exam"]["answers"] if one["part"] == "general"]
    assert answers == [one.base for one in alone.answers if one.part == "general"]
    assert answers != [one["tuned"] for one in tuned["exam"]["answers"] if one["part"] == "general"]


def test_ctrl_c_in_a_tuning_names_the_command_that_goes_on(tmp_path: Path) -> None:
    class StopSoon:
        left = 3

        def say(self, text: str) -> None: ...

        def working(self, what: str, done: int, total: int) -> None: ...

        def event(self, run: str, event: object, total_steps: int, finding: str = "") -> None: ...

        def should_stop(self) -> bool:
            self.left -= 1
            return self.left < 0

    with pytest.raises(Interrupted) as stopped:
        tune(tmp_path, "llama", "messages", goal="eval", watch=StopSoon(), command="tunewright tune rows.jsonl")
    assert stopped.value.hint == "tunewright tune rows.jsonl --resume"
    folder = next(tmp_path.glob("**/tuning.json")).parent
    for without in ({"runs_dir": folder.parent}, {"data": str(folder)}):  # the command is kept, and told
        with pytest.raises(UsageError, match="goes on with the command that began it") as told:
            tw.tune(resume=True, **without)
        assert told.value.hint == stopped.value.hint
    answer = tune(tmp_path, "llama", "messages", goal="eval", resume=True)
    check(answer)


def test_a_small_budget_is_spent_on_training_not_on_asking_the_base(tmp_path: Path) -> None:
    answer = tune(tmp_path, "llama", "messages", budget="3epochs", per_device_train_batch_size=2)
    folder = Path(answer["report"]).parent
    assert "forgetting is not measured" in (folder / "decisions.jsonl").read_text()
    first = answer["runs"][0]
    assert first["forgetting"] is None
    assert first["epochs"] >= 1.0
    spent = answer["tokens"]["train"] + 0.5 * (answer["tokens"]["eval"] - answer["tokens"]["beside"])
    assert answer["tokens"]["train"] > 0.6 * spent


def test_every_value_of_a_short_run_has_a_reason_of_its_own(tmp_path: Path) -> None:
    answer = tune(tmp_path, "llama", "messages", budget="40epochs", goal="eval", num_train_epochs=8)
    plan = open_run(Path(answer["runs"][0]["run"])).read("plan.json")
    values = {value["key"]: value for value in plan["values"]}
    assert answer["runs"][0]["phase"] == "probe"
    assert "mean of the last 30%" in values["average_share"]["why"]
    for key in ("warmup_steps", "eval_steps", "early_stopping_patience"):
        numbers = re.findall(r"\d+", values[key]["why"])
        assert not numbers or str(values[key]["value"]) in numbers, key


def test_a_finished_run_of_other_settings_is_not_taken_for_one_of_this_tuning(tmp_path: Path) -> None:
    answer = tune(tmp_path, "llama", "messages", name="one")
    recipe = Path(answer["runs"][0]["run"]) / "recipe.yaml"
    recipe.write_text(re.sub(r"learning_rate: \S+", "learning_rate: 0.123", recipe.read_text()))
    about = Path(answer["report"]).parent / "tuning.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "stopped_because": ""}))
    with pytest.raises(UsageError, match=r"was made with learning_rate 0\.123"):
        tune(tmp_path, "llama", "messages", name="one", resume=True)
