"""export: whole folders that other trainers run, from recipes, runs and one another's configs; nothing half-written."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

import tunewright as tw
from tunewright.app.request import Request, given_settings
from tunewright.cli.main import run
from tunewright.data.sources import demo_files
from tunewright.schema.errors import UsageError
from tunewright.schema.recipe_io import KEYS, read_settings

TOOLS = ["trl", "unsloth", "axolotl", "llamafactory"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe on 30 rows of the demo with validation rows of their own."""
    folder = tmp_path_factory.mktemp("recipe")
    files = demo_files()
    for name, part, count in (("rows.jsonl", "train", 30), ("valid.jsonl", "validation", 12)):
        lines = files[part].read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / name).write_text("".join(lines[:count]), encoding="utf-8")
    made = folder / "recipe.yaml"
    made.write_text(
        f"model: {files['model']}\ndata: {folder}/rows.jsonl\nval: {folder}/valid.jsonl\nnum_train_epochs: 2.0\n"
        "# found by a sweep\nlearning_rate: 0.003\nearly_stopping_patience: 2\nprecision: auto\nlora_alpha: 16.0\n"
    )
    return made


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("tool", TOOLS)
def test_an_export_read_back_asks_for_the_same_run(tool: str, recipe: Path, tmp_path: Path) -> None:
    answer = tw.export(recipe, to=tool, out=tmp_path / "out")
    assert answer["cannot"] == []
    first = read_settings(tmp_path / "out" / "recipe.yaml")
    config = next(tmp_path / "out" / name for name in ("train.py", "train.yaml") if name in answer["files"])
    again = given_settings(Request(recipe=str(config)))
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in again.items()}
    spelt = {"warmup_steps", "warmup_ratio", "eval_steps", "save_steps", "lr_floor", "lr_step_size", "lr_step_gamma"}
    for key in set(KEYS) - spelt - {"decay_share", "average_share", "max_steps", "modules_to_save", "init_adapter"}:
        assert plain.get(key) == first[key], key
    assert plain["eval_steps"] == plain["save_steps"] >= 1


@pytest.mark.parametrize("tool", TOOLS)
def test_the_reason_of_the_recipe_stands_in_the_export(tool: str, recipe: Path, tmp_path: Path) -> None:
    answer = tw.export(recipe, to=tool, out=tmp_path / "out")
    text = "".join((tmp_path / "out" / name).read_text() for name in answer["files"] if name.startswith("train."))
    assert "# found by a sweep" in text
    assert "You set it" not in text


@pytest.mark.parametrize("tool", ["trl", "unsloth", "axolotl"])
def test_the_rows_hold_the_tokens_and_labels_we_train_on(tool: str, recipe: Path, tmp_path: Path) -> None:
    answer = tw.export(recipe, to=tool, out=tmp_path / "out")
    rows = lines_of(tmp_path / "out" / "train.jsonl")
    assert len(rows) == answer["rows"]["train"] == 30
    assert sum(label != -100 for row in rows for label in row["labels"]) == answer["supervised_tokens"]
    assert all(
        label in (-100, token) for row in rows for token, label in zip(row["input_ids"], row["labels"], strict=True)
    )


def test_an_export_is_exported_again_for_another_tool(recipe: Path, tmp_path: Path) -> None:
    tw.export(recipe, to="llamafactory", out=tmp_path / "one")
    first = tw.export(recipe, to="trl", out=tmp_path / "direct")
    second = tw.export(tmp_path / "one" / "train.yaml", to="trl", out=tmp_path / "two")
    assert (second["rows"], second["supervised_tokens"], second["steps"]) == (
        first["rows"],
        first["supervised_tokens"],
        first["steps"],
    )
    assert (tmp_path / "two/train.jsonl").read_bytes() == (tmp_path / "direct/train.jsonl").read_bytes()


def test_what_cannot_be_said_is_in_the_answer_and_in_the_file(recipe: Path, tmp_path: Path) -> None:
    settings = {"lr_scheduler_type": "step", "replay": {"share": 0.25}}
    answer = tw.export(recipe, to="axolotl", out=tmp_path / "out", settings=settings)
    assert {one["key"] for one in answer["cannot"]} == {"lr_scheduler_type", "replay"}
    text = " ".join((tmp_path / "out/train.yaml").read_text().replace("# ", "").split())
    for one in answer["cannot"]:
        assert one["effect"] in text


def test_a_folder_that_is_there_is_never_written_over(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(UsageError, match="is already there"):
        tw.export(recipe, to="trl", out=tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_failed_export_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recipe.yaml").write_text("model: tiny\ndata: missing.jsonl\n")
    assert run(["export", str(tmp_path / "recipe.yaml"), "--to", "trl", "-o", str(tmp_path / "out")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]
    assert "missing.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rows.jsonl", "--to", "trl", "-o", "x"], "neither a run folder nor a recipe"),
        (["r.yaml", "--to", "axolotle", "-o", "x"], "did you mean axolotl?"),
        (["r.yaml", "-o", "x"], "--to TOOL is missing"),
        (["r.yaml", "--to", "trl"], "-o DIR is missing"),
        (["r.yaml", "--to", "trl", "-o", "x"], "r.yaml: cannot be read"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_what_a_config_has_that_we_have_not_is_a_warning_of_the_plan(recipe: Path, tmp_path: Path) -> None:
    tw.export(recipe, to="axolotl", out=tmp_path / "out")
    config = tmp_path / "out" / "train.yaml"
    config.write_text(config.read_text() + "neftune_noise_alpha: 5\n")
    warnings = tw.plan(request=Request(recipe=str(config))).warnings
    assert any("neftune_noise_alpha = 5: a recipe has no word for it" in warning for warning in warnings)


@pytest.mark.parametrize("tool", TOOLS)
def test_the_last_line_says_how_the_folder_is_run(
    tool: str, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my out"
    assert run(["export", str(recipe), "--to", tool, "-o", str(out)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    named = [word for word in shlex.split(last.removeprefix("next: ")) if word.startswith(str(out))]
    assert named
    assert Path(named[0]).exists()
