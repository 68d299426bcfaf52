"""plan --measure from the data file to the answer, for every method and stage; and what it says when it cannot."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from tests_support import random_llama

import tunewright as tw
from tunewright.cli.main import run
from tunewright.schema.errors import DataError

ROWS = [{"prompt": f"What is item {n}?", "completion": f"It is {'blue' if n % 2 else 'red'}."} for n in range(40)]
TEXTS = [
    {"text": f"Item {n} is {'blue' if n % 2 else 'red'}, and the captain sails on Monday. " * 4} for n in range(30)
]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(random_llama(tmp_path_factory.mktemp("models") / "llama"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


@pytest.mark.parametrize("method", ["lora", "full", "qlora"])
def test_every_method_is_measured(method: str, llama: str, data: Path) -> None:
    made = tw.plan(str(data), model=llama, method=method, measure=True)
    found = made.measured
    assert found is not None
    assert (found.method, made.recipe.method) == (method, method)
    assert [one.after_steps for one in found.noise] == [0, 20]
    line = found.train
    expected = line.fixed_GiB + min(made.recipe.per_device_train_batch_size, 36) * line.per_row_GiB
    assert made.predicted.train_peak_GiB == pytest.approx(expected)
    assert made.predicted.seconds is not None
    assert made.predicted.seconds > 0


def test_raw_text_is_measured_in_blocks(llama: str, tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps(text) + "\n" for text in TEXTS))
    made = tw.plan(str(path), model=llama, stage="pt", max_length=64, measure=True)
    assert made.measured is not None
    assert made.measured.length == 64
    assert (made.recipe.stage, made.recipe.packing, made.recipe.loss_on) == ("pt", True, "all")


def test_stage_pt_trains_and_learns_with_the_guides_values(llama: str, tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps(text) + "\n" for text in TEXTS))
    made = tw.plan(str(path), model=llama, stage="pt")
    assert {stage.stage for stage in made.stages} == {"pt", "sft"}
    answer = tw.train(
        str(path), model=llama, stage="pt", max_length=64, max_steps=12, learning_rate=5e-3, runs_dir=tmp_path / "runs"
    )
    assert answer["eval_loss"] < 0.9 * answer["base_eval_loss"]


def test_the_command_prints_one_document_and_talks_on_stderr(
    llama: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "recipe.yaml"
    assert run(["plan", str(data), "--model", llama, "--measure", "--json", "--out", str(out)]) == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    measured = document["measured"]
    assert {"measured_at", "device", "length", "train", "eval", "noise", "pace", "notes"} <= set(measured)
    assert next(point["rows"] for point in measured["train"]["points"]) == 1
    assert {"value", "low", "high", "because"} <= set(measured["noise"][0])
    assert "dry steps" in said.err
    assert "gradient noise" in said.err
    assert out.is_file()
    assert run(["plan", str(data), "--model", llama, "--measure", "--quiet"]) == 0
    said = capsys.readouterr()
    assert "measured: " in said.out
    assert said.err == ""
    assert "measured" not in json.loads(_plain_plan(str(data), llama, capsys))


def _plain_plan(data: str, model: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["plan", data, "--model", model, "--json"]) == 0
    return capsys.readouterr().out


def test_another_machine_cannot_be_measured_here(llama: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", str(data), "--model", llama, "--measure", "--vram", "24"]) == 2
    assert "--vram" in capsys.readouterr().err


def test_without_torch_it_names_the_command_that_installs_it(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run(["plan", str(data), "--model", "tiny", "--measure"]) == 4
    assert 'pip install "tunewright[train]"' in capsys.readouterr().err


def test_faulty_data_is_refused_before_anything_is_measured(llama: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*ROWS, {"prompt": "What?", "completion": ""}]))
    with pytest.raises(DataError, match="empty_answer"):
        tw.plan(str(path), model=llama, measure=True)
