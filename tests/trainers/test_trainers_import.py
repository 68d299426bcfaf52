"""Other trainers' files as users have them: their defaults count, what has no word here is named, bad ones refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunewright.schema.errors import RecipeError
from tunewright.trainers.importing import Foreign, read_foreign


def imported(folder: Path, name: str, text: str) -> Foreign:
    (folder / name).write_text(text, encoding="utf-8")
    found = read_foreign(folder / name)
    assert found is not None
    return found


def values_of(folder: Path, name: str, text: str) -> dict[str, Any]:
    return imported(folder, name, text).values


TRL = """
from datasets import load_dataset
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer

MODEL = "Qwen/Qwen3-0.6B"
RATE = 1e-4
train = load_dataset("json", data_files="rows.jsonl", split="train")
args = SFTConfig("out", learning_rate=RATE, neftune_noise_alpha=5, warmup_steps=0.1, **{"num_train_epochs": 2})
trainer = SFTTrainer(model=MODEL, args=args, train_dataset=train, peft_config=LoraConfig(lora_alpha=64))
"""


def test_a_trl_script_is_read_with_trl_defaults(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}")
    found = imported(tmp_path, "train.py", TRL)
    assert found.tool.name == "trl"
    expected = {
        "model": "Qwen/Qwen3-0.6B",
        "data": str(tmp_path / "rows.jsonl"),
        "method": "lora",
        "learning_rate": 1e-4,
        "num_train_epochs": 2,
        "warmup_ratio": 0.1,
        "per_device_train_batch_size": 8,
        "max_length": 1024,
        "precision": "bf16",
        "gradient_checkpointing": True,
        "lora_rank": 8,
        "lora_alpha": 64.0,
        "lr_scheduler_type": "linear",
        "seed": 42,
    }
    assert {key: found.values[key] for key in expected} == expected
    assert found.left_out == ("SFTConfig.neftune_noise_alpha = 5: a recipe has no word for it",)


def test_a_script_is_parsed_and_never_run(tmp_path: Path) -> None:
    text = f"import os\nopen({str(tmp_path / 'ran')!r}, 'w')\n{TRL}\nraise SystemExit(3)\n"
    assert values_of(tmp_path, "train.py", text)["lora_alpha"] == 64.0
    assert not (tmp_path / "ran").exists()


def test_what_only_the_running_script_knows_is_named(tmp_path: Path) -> None:
    found = imported(tmp_path, "train.py", TRL.replace("RATE = 1e-4", "RATE = 1e-4 * gpus()"))
    assert "learning_rate" not in found.values
    assert "SFTConfig.learning_rate = 0.0001 * gpus(): only known when the script runs" in found.left_out


UNSLOTH = """
from unsloth import FastLanguageModel
model, tokenizer = FastLanguageModel.from_pretrained("unsloth/Qwen3-4B", max_seq_length=4096)
model = FastLanguageModel.get_peft_model(model, r=32, use_rslora=True)
args = SFTConfig(max_seq_length=4096, per_device_train_batch_size=2)
"""


def test_an_unsloth_script_is_read_with_unsloth_defaults(tmp_path: Path) -> None:
    found = imported(tmp_path, "tune.py", UNSLOTH)
    assert found.tool.name == "unsloth"
    expected = {"method": "qlora", "optim": "adamw_8bit", "gradient_accumulation_steps": 2, "weight_decay": 0.001}
    expected |= {"lora_rank": 32, "lora_alpha": 16.0, "max_length": 4096, "per_device_train_batch_size": 2}
    assert {key: found.values[key] for key in expected} == expected
    assert found.values["warmup_ratio"] == 0.1
    assert len(found.values["lora_target"]) == 7


OLD_UNSLOTH = """
from unsloth import FastLanguageModel
model, tokenizer = FastLanguageModel.from_pretrained("m", max_seq_length=1024)
trainer = SFTTrainer(model=model, tokenizer=tokenizer, dataset_text_field="text", max_seq_length=512, packing=True,
    args=TrainingArguments(warmup_ratio=0.05, max_steps=60))
"""


def test_spellings_that_unsloth_still_takes_are_taken(tmp_path: Path) -> None:
    found = imported(tmp_path, "tune.py", OLD_UNSLOTH)
    expected = {"packing": True, "max_length": 512, "warmup_ratio": 0.05, "max_steps": 60, "seed": 3407}
    assert {key: found.values[key] for key in expected} == expected


AXOLOTL = """
base_model: Qwen/Qwen3-0.6B
adapter: qlora
load_in_4bit: true
datasets:
  - path: rows.jsonl
    type: chat_template
val_set_size: 0.05
sequence_len: 4096
micro_batch_size: 2
learning_rate: 2e-4
lora_r: 32
lora_alpha: 16
lora_target_modules: [q_proj, v_proj]
cosine_min_lr_ratio: 0.1
flash_attention: true
neftune_noise_alpha: 5
"""


def test_an_axolotl_file_is_read_with_axolotl_defaults(tmp_path: Path) -> None:
    found = imported(tmp_path, "config.yaml", AXOLOTL)
    expected = {
        "model": "Qwen/Qwen3-0.6B",
        "data": "rows.jsonl",
        "val_size": 0.05,
        "method": "qlora",
        "num_train_epochs": 1.0,
        "per_device_eval_batch_size": 2,
        "lr_scheduler_type": "cosine_with_min_lr",
        "lr_floor": 0.1,
        "warmup_ratio": 0.03,
        "lora_target": ("q_proj", "v_proj"),
        "optim": "adamw",
        "precision": "auto",
    }
    assert {key: found.values[key] for key in expected} == expected
    assert {one.partition(" ")[0] for one in found.left_out} == {"flash_attention", "neftune_noise_alpha"}


LLAMAFACTORY = """
model_name_or_path: Qwen/Qwen3-0.6B
stage: sft
do_train: true
finetuning_type: lora
lora_target: q_proj, v_proj
dataset: mine,hub_one
dataset_dir: .
template: qwen3
cutoff_len: 1024
learning_rate: 1.0e-4
warmup_ratio: 0.1
bf16: true
val_size: 0.1
early_stopping_steps: 4
eval_strategy: steps
eval_steps: 50
"""
INFO = {"mine": {"file_name": "rows.jsonl"}, "hub_one": {"hf_hub_url": "tatsu-lab/alpaca"}}


def test_a_llamafactory_file_is_read_with_its_defaults_and_its_list_of_data(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text(json.dumps(INFO))
    (tmp_path / "rows.jsonl").write_text("{}")
    found = imported(tmp_path, "train.yaml", LLAMAFACTORY)
    expected = {
        "data": [{"path": str(tmp_path / "rows.jsonl")}, {"path": "hub:tatsu-lab/alpaca"}],
        "val_size": 0.1,
        "lora_rank": 8,
        "lora_alpha": 16.0,
        "lora_target": ("q_proj", "v_proj"),
        "warmup_ratio": 0.1,
        "precision": "bf16",
        "early_stopping_patience": 4,
        "eval_steps": 50,
        "gradient_checkpointing": True,
        "loss_on": "assistant",
    }
    assert {key: found.values[key] for key in expected} == expected
    assert found.left_out == ()


def test_a_data_set_that_is_not_in_the_list_is_named(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text("{}")
    with pytest.raises(RecipeError, match="dataset 'mine' is not in"):
        imported(tmp_path, "train.yaml", LLAMAFACTORY)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        (
            "a.py",
            "args = SFTConfig(max_seq_length=512)",
            "SFTConfig.max_seq_length is gone from TRL; in its place: SFTConfig.max_length",
        ),
        (
            "a.py",
            "SFTTrainer(model='m', tokenizer=t)",
            "SFTTrainer.tokenizer is gone from TRL; in its place: SFTTrainer.processing_class",
        ),
        ("a.py", "SFTConfig(warmup_ratio=0.1)", "SFTConfig.warmup_ratio is gone from TRL; in its place: warmup_steps"),
        (
            "a.yaml",
            "base_model: m\nevaluation_strategy: steps",
            "evaluation_strategy is gone from Axolotl; in its place: eval_strategy",
        ),
        (
            "a.yaml",
            "model_name_or_path: m\ncutoff_len: 9\nsft_packing: true",
            "sft_packing is gone from LLaMA-Factory; in its place: packing",
        ),
        ("a.yaml", "base_model: m\nlora_rr: 8", "unknown key 'lora_rr' of Axolotl, did you mean 'lora_r'?"),
        (
            "a.yaml",
            "model_name_or_path: m\ncutoff_len: 9\nlora_rnk: 8",
            "unknown key 'lora_rnk' of LLaMA-Factory, did you mean 'lora_rank'?",
        ),
        (
            "a.py",
            "SFTConfig(lerning_rate=1)",
            "unknown key 'SFTConfig.lerning_rate' of TRL, did you mean 'SFTConfig.learning_rate'?",
        ),
        ("a.py", "print('hello')", "no SFTConfig and no SFTTrainer"),
        ("a.py", "base_model: Qwen\nlora_r: 8 8", "line 2: not Python"),
        ("a.py", "(" * 5000, "not Python"),
        ("a.yaml", "import os\nfrom trl import SFTConfig\nargs = SFTConfig(a=1)\n", "expected a mapping"),
        ("a.yaml", "- a\n- b\n", "expected a mapping"),
        ("a.yaml", "base_model: [unclosed", "not YAML"),
        ("a.yaml", "base_model: m\nadapter: ia3\nlora_r: 8", "adapter: ia3"),
        ("a.yaml", "base_model: m\nlora_r: 1\ndatasets: [{path: x, type: sharegpt}]", "sharegpt is gone"),
        ("a.yaml", "model_name_or_path: m\nfinetuning_type: lora\nstage: dpo", "stage: dpo"),
        ("a.yaml", "model: m\nmodel_class: llm\ntrain_dataset: d\nmicro_batch_size: 1", "LLaMA-Factory's v1 trainer"),
        ("a.yaml", "base_model: m\nlora_r: 1\nlora_alpha: many", "lora_alpha = 'many': not a value it can have"),
    ],
)  # fmt: skip
def test_bad_files_are_named_in_one_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(RecipeError) as error:
        imported(tmp_path, name, text)
    assert says in error.value.message


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("a.yaml", "import os\nx = {1: [}\n", "it reads like Python: a script is named .py"),
        ("a.py", "base_model: m\nlora_r: 8 8\n", "a YAML config is named .yaml"),
    ],
)
def test_a_file_of_the_other_kind_gets_a_hint(tmp_path: Path, name: str, text: str, hint: str) -> None:
    with pytest.raises(RecipeError) as error:
        imported(tmp_path, name, text)
    assert error.value.hint == hint


def test_a_yaml_bomb_is_refused(tmp_path: Path) -> None:
    lines = ["base_model: m", "a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(RecipeError, match="stand for more than 100000 values"):
        imported(tmp_path, "a.yaml", "\n".join(lines))


def test_a_list_that_holds_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="refers to itself"):
        imported(tmp_path, "a.yaml", "base_model: m\na: &a [*a]\n")


def test_a_file_far_too_large_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="a config is smaller"):
        imported(tmp_path, "a.yaml", "base_model: m\n" + "# x\n" * 400_000)


def test_a_plugin_may_bring_keys_of_its_own(tmp_path: Path) -> None:
    found = imported(tmp_path, "a.yaml", "base_model: m\nlora_r: 8\nplugins: [mine.Plugin]\nmy_key: 3\n")
    assert "my_key = 3: a recipe has no word for it" in found.left_out


def test_a_recipe_of_our_own_is_not_taken_for_anothers(tmp_path: Path) -> None:
    for text in ("model: m\nstage: sft\npacking: true\n", "", "lerning_rate: 1\n"):
        (tmp_path / "recipe.yaml").write_text(text or "{}")
        assert read_foreign(tmp_path / "recipe.yaml") is None
