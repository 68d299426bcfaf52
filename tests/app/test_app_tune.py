"""A tuning on any model folder and any data format: it runs, ends with a reason, and documents itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests_support import random_model

import tunewright as tw
from tunewright.record.run import open_run
from tunewright.schema.errors import UsageError

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
