"""A prescription written into users' own files: only what changes is touched, and the file then says what was meant."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.schema.errors import RecipeError
from tunewright.schema.recipe_io import parse_yaml
from tunewright.trainers.edit import Edited, edited, refuse_other
from tunewright.trainers.exported import yaml_value
from tunewright.trainers.importing import read_foreign
from tunewright.trainers.script_edit import edit_script
from tunewright.trainers.script_reading import script_settings
from tunewright.trainers.tools import TOOLS
from tunewright.trainers.yaml_edit import edit_yaml

AXOLOTL = """\
# my best so far
base_model: Qwen/Qwen3-0.6B   # small
adapter: lora
lora_r: 16
lora_alpha:   32 # twice
lora_target_modules:  # attention only
  - q_proj   # a
  - v_proj

learning_rate: 2e-4
num_epochs: 3
warmup_ratio: 0.1
datasets:
  - path: rows.jsonl   # mine
    type: alpaca
val_set_size: 0.05
# the end
"""


def edit(folder: Path, name: str, text: str, changes: dict[str, Any], steps: int | None = 100) -> Edited:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    foreign = read_foreign(path)
    assert foreign is not None
    return edited(path, foreign, changes, steps=steps)


def changed_lines(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")]


def test_one_value_of_a_yaml_file_is_one_line_of_the_patch(tmp_path: Path) -> None:
    made = edit(tmp_path, "a.yaml", AXOLOTL, {"learning_rate": 1e-4})
    assert changed_lines(AXOLOTL, made.text) == ["-learning_rate: 2e-4", "+learning_rate: 0.0001  # was 2e-4"]
    assert made.changed == {"learning_rate": (0.0002, 0.0001)}
    assert made.cannot == ()


def test_comments_of_the_user_stay(tmp_path: Path) -> None:
    made = edit(tmp_path, "a.yaml", AXOLOTL, {"lora_alpha": 64.0, "lora_target": ("q_proj",)})
    assert changed_lines(AXOLOTL, made.text) == [
        "-lora_alpha:   32 # twice",
        "-lora_target_modules:  # attention only",
        "-  - q_proj   # a",
        "-  - v_proj",
        "+lora_alpha: 64  # twice",
        "+lora_target_modules: [q_proj]  # attention only",
    ]


def test_a_second_edit_renews_the_note_of_the_first(tmp_path: Path) -> None:
    first = edit(tmp_path, "a.yaml", AXOLOTL, {"num_train_epochs": 2.0})
    second = edit(tmp_path, "a.yaml", first.text, {"num_train_epochs": 1.0})
    assert "num_epochs: 1.0  # was 2.0\n" in second.text
    assert second.text.count("# was") == 1


def test_a_key_that_is_not_there_is_added_and_one_that_may_not_stand_beside_it_goes(tmp_path: Path) -> None:
    made = edit(tmp_path, "a.yaml", AXOLOTL, {"weight_decay": 0.01, "warmup_steps": 7})
    assert changed_lines(AXOLOTL, made.text) == ["-warmup_ratio: 0.1", "+weight_decay: 0.01", "+warmup_steps: 7"]


def test_a_share_of_warmup_stays_a_share_where_the_file_has_one(tmp_path: Path) -> None:
    made = edit(tmp_path, "a.yaml", AXOLOTL, {"warmup_ratio": 0.03}, steps=None)
    assert changed_lines(AXOLOTL, made.text) == ["-warmup_ratio: 0.1", "+warmup_ratio: 0.03  # was 0.1"]


def test_rows_held_out_are_said_where_the_tool_has_a_word_for_it(tmp_path: Path) -> None:
    assert edit(tmp_path, "a.yaml", AXOLOTL, {"val_size": 0.1}).changed == {"val_set_size": (0.05, 0.1)}


def test_early_stopping_brings_all_that_it_needs(tmp_path: Path) -> None:
    made = edit(tmp_path, "a.yaml", AXOLOTL, {"early_stopping_patience": 3}, steps=120)
    said = parse_yaml(made.text, where="x")
    assert (said["early_stopping_patience"], said["eval_steps"], said["save_steps"]) == (3, 12, 12)
    assert said["load_best_model_at_end"] is True


def test_what_the_file_has_no_word_for_is_named(tmp_path: Path) -> None:
    made = edit(tmp_path, "a.yaml", AXOLOTL, {"replay": {"share": 0.25}, "learning_rate": 1e-4})
    assert [one.key for one in made.cannot] == ["replay"]
    assert list(made.changed) == ["learning_rate"]


def test_nothing_to_change_leaves_every_byte(tmp_path: Path) -> None:
    made = edit(tmp_path, "a.yaml", AXOLOTL, {"learning_rate": 2e-4})
    assert (made.text, dict(made.changed)) == (AXOLOTL, {})
    assert made.diff(AXOLOTL, "a.yaml") == ""


LLAMAFACTORY = """\
model_name_or_path: m
finetuning_type: lora
dataset: mine
dataset_dir: {folder}
learning_rate: 1.0e-4
lr_scheduler_type: cosine
warmup_ratio: 0.1
cutoff_len: 512
"""


def test_llamafactory_takes_the_same(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text('{"mine": {"file_name": "rows.jsonl"}}')
    text = LLAMAFACTORY.format(folder=tmp_path)
    made = edit(tmp_path, "a.yaml", text, {"learning_rate": 5e-5, "lora_rank": 32, "gradient_checkpointing": True})
    assert changed_lines(text, made.text) == [
        "-learning_rate: 1.0e-4",
        "+learning_rate: 5.0e-05  # was 1.0e-4",
        "+lora_rank: 32",
    ]


SCRIPT = """\
from trl import SFTConfig, SFTTrainer   # ü
LR = 2e-4  # peak
RANK = 16
args = SFTConfig(
    learning_rate=LR,
    num_train_epochs=3,  # three
)
lora = LoraConfig(r=RANK, lora_alpha=2 * RANK)
trainer = SFTTrainer("Qwen/Qwen3-0.6B", args, train_dataset=load_dataset("json", data_files="rows.jsonl"))
"""


def test_an_argument_of_a_script_is_changed_where_it_is_given(tmp_path: Path) -> None:
    changes = {"learning_rate": 1e-4, "num_train_epochs": 2.0, "weight_decay": 0.01, "lora_rank": 32}
    made = edit(tmp_path, "train.py", SCRIPT, changes)
    assert changed_lines(SCRIPT, made.text) == [
        "-LR = 2e-4  # peak",
        "+LR = 0.0001  # peak",
        "-    num_train_epochs=3,  # three",
        "+    num_train_epochs=2.0,",
        "+    weight_decay=0.01,  # three",
        "-lora = LoraConfig(r=RANK, lora_alpha=2 * RANK)",
        "+lora = LoraConfig(r=32, lora_alpha=2 * RANK)",
    ]
    assert script_settings(made.text)["SFTConfig.weight_decay"] == 0.01


@pytest.mark.parametrize(
    ("script", "changes", "says"),
    [
        ("SFTConfig(**options())", {"SFTConfig.seed": 1}, "line 1: its arguments come from a dictionary: add seed=1"),
        ("SFTTrainer(model='m')", {"LoraConfig.r": 1}, "no LoraConfig in it to be told r=1"),
    ],
)
def test_a_script_that_cannot_be_changed_in_place_is_refused(script: str, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeError) as error:
        edit_script(script, changes, where="train.py")
    assert says in error.value.message


@pytest.mark.parametrize(
    ("text", "changes", "says"),
    [
        ("{lr: 1, b: 2}", {"lr": 2}, "expected one key a line"),
        ("a: &x 3\nb: *x\n", {"a": 4}, "other values refer to those that change"),
        ("a: {b: &x 1}\nc: *x\n", {"a": 2}, "other values refer to those that change"),
    ],
)
def test_a_yaml_file_that_cannot_be_changed_line_by_line_is_refused(
    text: str, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(RecipeError) as error:
        edit_yaml(text, changes, where="a.yaml")
    assert says in error.value.message


def test_a_value_that_refers_to_another_is_replaced_by_itself() -> None:
    assert edit_yaml("a: &x 3\nb: *x\n", {"b": 4}, where="x") == "a: &x 3\nb: 4  # was *x\n"


values = st.one_of(
    st.integers(-9, 99), st.floats(0, 1), st.booleans(), st.text("ab #:'\"-ü", max_size=6), st.lists(st.integers(0, 9))
)
mappings = st.dictionaries(st.sampled_from("abcdef"), values, min_size=1)


@given(before=mappings, changes=mappings, comment=st.sampled_from(["", "  # why", "\n# above the next"]))
def test_an_edited_file_says_what_was_meant(before: dict[str, Any], changes: dict[str, Any], comment: str) -> None:
    text = "".join(f"{key}: {yaml_value(value)}{comment}\n" for key, value in before.items())
    new = edit_yaml(text, changes, where="x")
    assert parse_yaml(new, where="x") == {**before, **changes}
    for key in before.keys() - changes.keys():
        assert f"{key}: {yaml_value(before[key])}{comment}\n" in new


def test_a_config_of_another_tool_than_asked_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="a config of Axolotl, but --to trl"):
        refuse_other(TOOLS["axolotl"], "trl", tmp_path / "a.yaml")
