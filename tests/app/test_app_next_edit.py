"""next for another trainer: from a log and the config it was made with to an edited config, or to a new export."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

import tunewright as tw
from tunewright.cli.main import run as cli
from tunewright.data.sources import demo_files
from tunewright.schema.errors import RecipeError, UsageError
from tunewright.schema.recipe_io import parse_yaml

CONFIG = """\
base_model: Qwen/Qwen3-0.6B
adapter: lora
lora_r: 16
learning_rate: 2e-2  # copied from somewhere
num_epochs: 4
datasets:
  - path: rows.jsonl
    type: alpaca
"""


@pytest.fixture
def diverged(tmp_path: Path) -> Path:
    """A log whose loss runs away, as a trainer writes it."""
    rows: list[dict[str, Any]] = [{"step": 0, "eval_loss": 2.0}]
    for step in range(1, 81):
        rows.append({"step": step, "loss": 2.0 + max(0, step - 20) * 0.1, "epoch": step / 20, "learning_rate": 2e-2})
        if step % 20 == 0:
            rows.append({"step": step, "eval_loss": 2.0 + step * 0.08, "epoch": step / 20})
    state = {"global_step": 80, "max_steps": 80, "num_train_epochs": 4, "log_history": rows}
    (tmp_path / "trainer_state.json").write_text(json.dumps(state))
    return tmp_path / "trainer_state.json"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(CONFIG)
    return path


def test_the_prescription_is_written_into_the_users_own_config(diverged: Path, config: Path, tmp_path: Path) -> None:
    answer = tw.next_recipe(diverged, recipe=str(config), out=str(tmp_path / "next.yaml"))
    changed = {one["key"]: one["to"] for one in answer["edit"]["changed"]}
    assert changed["learning_rate"] < 2e-2
    written = (tmp_path / "next.yaml").read_text()
    assert "# copied from somewhere" in written
    assert parse_yaml(written, where="x") == {**parse_yaml(CONFIG, where="x"), **changed}
    assert config.read_text() == CONFIG
    assert "-learning_rate: 2e-2  # copied from somewhere" in answer["edit"]["diff"]
    kept = [line for line in CONFIG.splitlines() if not line.startswith(tuple(changed))]
    assert all(line in written.splitlines() for line in kept)


def test_the_terminal_shows_the_patch(diverged: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["next", str(diverged), "--recipe", str(config)]) == 0
    said = capsys.readouterr().out
    assert "--- mine.yaml" in said
    assert "+learning_rate: " in said


def test_a_run_of_ours_goes_on_as_an_export_for_another_tool(tmp_path: Path) -> None:
    files = demo_files()
    run = tmp_path / "run"
    run.mkdir()
    rows = [{"step": step, "loss": 2.0 + step * 0.1, "eval_loss": 2.0 + step * 0.1} for step in range(0, 41)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run / "recipe.yaml").write_text(
        f"model: {files['model']}\ndata: {files['train']}\nval: {files['validation']}\nlearning_rate: 0.05\n"
    )
    answer = tw.next_recipe(run, to="llamafactory", out=str(tmp_path / "out"))
    rate = parse_yaml((tmp_path / "out" / "train.yaml").read_text(), where="x")["learning_rate"]
    assert rate == pytest.approx(answer["recipe"]["learning_rate"])
    assert rate < 0.05
    assert answer["exported"]["tool"] == "llamafactory"


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"recipe": "mine.yaml", "to": "trl"}, RecipeError, "a config of Axolotl, but --to trl"),
        ({"recipe": "ours.yaml"}, UsageError, "no config of TRL, Unsloth, Axolotl or LLaMA-Factory"),
        ({"to": "trl"}, UsageError, "expected --out DIR"),
        ({"to": "trl", "out": "there"}, UsageError, "the run's own recipe is not known"),
    ],
)
def test_mistakes_are_named(
    diverged: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Any, error: Any, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ours.yaml").write_text("model: m\ndata: d\n")
    with pytest.raises(error, match=says):
        tw.next_recipe(diverged, **given)


def test_a_config_without_its_run_is_refused() -> None:
    with pytest.raises(UsageError, match="expected the run or its log too"):
        tw.next_recipe(recipe="mine.yaml")


def test_the_last_line_is_the_command_that_writes_it(
    diverged: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each step ends with the next one, and what it says works when it is typed."""
    assert cli(["diagnose", str(diverged), "--fail-on", "never"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"next: tunewright next {diverged}"
    assert cli(["next", str(diverged), "--recipe", str(config)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("next: tunewright ")
    assert cli(shlex.split(last.removeprefix("next: tunewright "))) == 0
    assert (config.parent / "mine-2.yaml").is_file()
    assert cli(shlex.split(last.removeprefix("next: tunewright "))) == 2  # never written over


def test_settings_are_changed_without_the_data_sets_they_name(diverged: Path, tmp_path: Path) -> None:
    """LLaMA-Factory keeps its data sets in a file of its own, which may lie on another machine."""
    path = tmp_path / "lf.yaml"
    path.write_text("model_name_or_path: m\nstage: sft\nfinetuning_type: lora\ndataset: mine\nlearning_rate: 2.0e-2\n")
    answer = tw.next_recipe(diverged, recipe=str(path))
    assert answer["edit"]["changed"][0]["key"] == "learning_rate"
