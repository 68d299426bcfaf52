"""Recipes written for other trainers and read back: nothing gets lost unsaid, nothing changes on the way."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.data.tokens import TokenRow
from tunewright.planner.steps import total_steps
from tunewright.schema.recipe import Recipe
from tunewright.schema.recipe_io import KEYS, parse_yaml
from tunewright.trainers.exported import Job, turn_rows, yaml_value
from tunewright.trainers.script_reading import script_settings
from tunewright.trainers.tables import SECTIONS, filled
from tunewright.trainers.tool import Tool
from tunewright.trainers.tools import TOOLS
from tunewright.trainers.translation import ROW_KEYS, adjusted, imported_values, resolved

ROWS = 96
ADAPTER = {"lora_rank", "lora_alpha", "lora_dropout", "lora_target", "modules_to_save", "init_adapter"}
tools = pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS.keys())


def token_row(number: int) -> TokenRow:
    ids = np.arange(1 + number, 9 + number, dtype=np.int32)
    return TokenRow(number, ids, np.array([0, 0, 0, 1, 1, 0, 1, 1], np.bool_))


class Letters:
    """A tokenizer of one letter a token; where ``glue`` is set, it reads two equal letters as one."""

    def __init__(self, glue: bool = False) -> None:
        self.glue = glue

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        assert not skip_special_tokens
        return "".join(chr(96 + token) for token in ids)

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        assert not add_special_tokens
        return {"input_ids": [ord(letter) - 96 for letter in (text[1:] if self.glue else text)]}


def job_of(recipe: Recipe, val_rows: int = 4, **more: Any) -> Job:
    spelt = resolved(recipe, rows=ROWS, val_rows=val_rows, max_length=64)
    train, val = ([token_row(number) for number in range(1, count + 1)] for count in (3, val_rows))
    return Job(spelt, total_steps(spelt, ROWS), train, val, Letters(), ("one text",), ("another",), **more)


def written(tool: Tool, job: Job) -> str:
    files, _ = tool.files(job, tool.lost(job.recipe))
    return files[tool.file]


def keys_of(tool: Tool, text: str) -> dict[str, Any]:
    loaded = script_settings(text) if tool.file.endswith(".py") else parse_yaml(text, where="here")
    assert isinstance(loaded, dict)
    return loaded


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


names = st.lists(st.sampled_from(["q_proj", "k_proj", "v_proj", "up_proj"]), min_size=1, unique=True).map(tuple)
recipes = st.fixed_dictionaries(
    {"model": st.sampled_from(["Qwen/Qwen3-0.6B", "a model", "/models/ö"]), "data": st.just("rows.jsonl")},
    optional={
        "stage": st.sampled_from(["sft", "pt"]),
        "method": st.sampled_from(["lora", "qlora", "full"]),
        "max_length": st.integers(8, 9999),
        "packing": st.booleans(),
        "per_device_train_batch_size": st.integers(1, 64),
        "per_device_eval_batch_size": st.integers(1, 64),
        "gradient_accumulation_steps": st.integers(1, 16),
        "num_train_epochs": floats(0.1, 50),
        "max_steps": st.integers(1, 5000),
        "learning_rate": floats(1e-7, 1),
        "lr_scheduler_type": st.sampled_from(
            [
                "constant",
                "linear",
                "cosine",
                "cosine_with_min_lr",
                "step",
                "wsd",
                "inverse_sqrt",
                "reduce_lr_on_plateau",
            ]
        ),
        "lr_floor": floats(0, 1),
        "decay_share": floats(0, 1),
        "average_share": floats(0, 1),
        "warmup_steps": st.integers(0, 50),
        "weight_decay": floats(0, 1),
        "max_grad_norm": floats(0, 10),
        "optim": st.sampled_from(["adamw", "adamw_8bit", "sgd"]),
        "adam_beta1": floats(0, 0.99),
        "adam_beta2": floats(0, 0.99),
        "lora_rank": st.integers(1, 256),
        "lora_alpha": floats(0.5, 512) | st.integers(1, 512).map(float),
        "lora_dropout": floats(0, 0.9),
        "lora_target": st.just("all") | names,
        "modules_to_save": st.just(()) | names,
        "init_adapter": st.just("an/adapter"),
        "precision": st.sampled_from(["auto", "fp32", "bf16", "fp16"]),
        "gradient_checkpointing": st.booleans(),
        "logging_steps": st.integers(1, 100),
        "eval_steps": st.integers(1, 50),
        "save_steps": st.integers(1, 200),
        "early_stopping_patience": st.integers(0, 9),
        "report_to": st.lists(st.sampled_from(["tensorboard", "wandb", "trackio", "mlflow"]), unique=True).map(tuple),
        "seed": st.integers(0, 2**31 - 1),
        "test": st.just("sealed.jsonl"),
    },
).map(lambda values: Recipe(**values))


def unheard(tool: Tool, recipe: Recipe) -> set[str]:
    """Keys that say nothing in this recipe, or that the tool cannot be told."""
    found = {one.key for one in tool.lost(recipe)} | {*ROW_KEYS, "lr_step_size", "lr_step_gamma", "decay_share"}
    found |= ADAPTER if recipe.method == "full" else set()
    if recipe.init_adapter:  # the adapter brings its own rank, alpha, dropout and layers
        found |= ADAPTER - {"init_adapter"}
    if recipe.lr_scheduler_type != "cosine_with_min_lr":
        found.add("lr_floor")
    if recipe.stage == "pt" and tool.name == "llamafactory":
        found.add("packing")
    return found


@tools
@settings(max_examples=60)
@given(recipe=recipes)
def test_what_is_exported_is_imported_again(tool: Tool, recipe: Recipe) -> None:
    job = job_of(recipe)
    got = imported_values(tool.table, tool.defaults, keys_of(tool, written(tool, job)))
    again = Recipe.model_validate({"data": "rows.jsonl", **got})
    for key in set(KEYS) - unheard(tool, job.recipe):
        assert comparable(getattr(again, key)) == comparable(getattr(job.recipe, key)), key


def comparable(value: Any) -> Any:
    """Trackers and modules are sets to some tools."""
    return sorted(value) if isinstance(value, tuple) else value


@tools
def test_every_key_of_a_recipe_is_translated_carried_by_the_rows_or_named_as_lost(tool: Tool) -> None:
    ours = {key for entry in tool.table for key in entry.ours}
    named = {"lr_step_size", "lr_step_gamma"}  # of the schedule step, which is named with both
    assert set(KEYS) - ours - set(ROW_KEYS) - named <= {one.key for one in tool.lost(everything())}
    assert {one.key for one in tool.lost(everything())} >= {
        *("lr_scheduler_type", "average_share", "reshuffle", "replay", "test")
    }


def everything() -> Recipe:
    return Recipe(
        model="m",
        data="d",
        lr_scheduler_type="step",
        average_share=0.3,
        reshuffle={"from_epoch": 1, "seed": 1},
        replay={"share": 0.2},
        test="t.jsonl",
        init_adapter="a",
    )


@tools
def test_the_tool_knows_every_key_we_write(tool: Tool) -> None:
    scopes = {name.partition(".")[0] for name in tool.known if "." in name}
    for recipe in (everything(), Recipe(model="m", data="d", method="qlora", packing=True, modules_to_save=("head",))):
        for key in keys_of(tool, written(tool, job_of(recipe))):
            if not scopes or ("." in key and key.partition(".")[0] in scopes):
                assert key in tool.known, key


@tools
def test_nothing_is_called_gone_that_is_there(tool: Tool) -> None:
    assert not set(tool.removed) & tool.known


@tools
def test_loading_the_best_and_stopping_early_fall_on_evaluations(tool: Tool) -> None:
    recipe = Recipe(model="m", data="d", eval_steps=4, save_steps=10, early_stopping_patience=3)
    job = job_of(recipe)
    assert (job.recipe.eval_steps, job.recipe.save_steps) == (4, 12)
    assert [str(one)[:26] for one in adjusted(recipe, job.recipe)] == ["save_steps = 10: 12 there,"]
    keys = {key.rpartition(".")[2]: value for key, value in keys_of(tool, written(tool, job)).items()}
    assert keys["load_best_model_at_end"] is True
    assert 3 in (keys.get("early_stopping_patience"), keys.get("early_stopping_steps"))


@tools
def test_without_validation_rows_nothing_asks_for_them(tool: Tool) -> None:
    text = written(tool, job_of(Recipe(model="m", data="d", early_stopping_patience=3), val_rows=0))
    for word in ("eval_steps", "load_best", "early_stopping", "EarlyStopping", "val.jsonl"):
        assert word not in text.partition("import os")[2 if ".py" in tool.file else 0] + text.split("\n\n")[-1]


@tools
def test_a_warmup_is_whole_steps(tool: Tool) -> None:
    text = written(tool, job_of(Recipe(model="m", data="d", warmup_ratio=0.1)))
    assert "warmup_ratio" not in text
    steps = [value for key, value in keys_of(tool, text).items() if key.endswith("warmup_steps")]
    assert steps == [4]  # a tenth of 36 steps, rounded up


@tools
def test_a_reason_stands_above_its_key_and_cannot_leave_its_comment(tool: Tool) -> None:
    reasons = {"learning_rate": "because\nimport os # " + "long " * 60}
    text = written(tool, job_of(Recipe(model="m", data="d"), reasons=reasons))
    lines = text.splitlines()
    at = next(
        number for number, line in enumerate(lines) if line.strip().startswith(("learning_rate=", "learning_rate:"))
    )
    assert lines[at - 1].strip().startswith("# long")
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("name", ["trl", "unsloth"])
def test_a_script_is_python_even_with_a_hostile_model_name(name: str) -> None:
    hostile = 'a"; import os; os.remove("x") #\n\\'
    text = written(TOOLS[name], job_of(Recipe(model=hostile, data="d")))
    ast.parse(text)
    assert hostile in [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]


def test_packing_in_axolotl_is_never_with_sdpa() -> None:
    keys = keys_of(TOOLS["axolotl"], written(TOOLS["axolotl"], job_of(Recipe(model="m", data="d", packing=True))))
    assert (keys["sample_packing"], keys["attn_implementation"]) == (True, "flash_attention_2")


def test_turns_hold_the_same_tokens_by_turns_untrained_and_trained() -> None:
    text, changed = turn_rows([token_row(1)], Letters())
    turns = json.loads(text)["conversations"]
    assert [turn["from"] for turn in turns] == ["human", "gpt", "human", "gpt"]
    assert [turn["value"] for turn in turns] == ["bcd", "ef", "g", "hi"]
    assert changed == 0


def test_rows_that_fall_into_other_tokens_are_counted_and_named() -> None:
    _, changed = turn_rows([token_row(1), token_row(2)], Letters(glue=True))
    assert changed == 2
    job = Job(job_of(Recipe(model="m", data="d")).recipe, 10, [token_row(1)], [], Letters(glue=True))
    files, losses = TOOLS["llamafactory"].files(job, ())
    assert [(one.key, one.value) for one in losses] == [("data", "1 of 1 rows")]
    assert "Cannot be said to LLaMA-Factory: data = 1 of 1 rows" in files["train.yaml"]


def test_a_row_trained_on_from_its_start_begins_with_an_empty_turn() -> None:
    row = TokenRow(1, np.array([1, 2, 3], np.int32), np.array([0, 1, 1], np.bool_))
    turns = json.loads(turn_rows([row], Letters())[0])["conversations"]
    assert [turn["value"] for turn in turns] == ["", "abc"]


@pytest.mark.parametrize("value", ["1e5", "on", "~", "a: b", "- x", "#", "", "ü", "1.0", "null", "a/b-c.d"])
def test_yaml_text_stays_text(value: str) -> None:
    assert parse_yaml(f"key: {yaml_value(value)}", where="here") == {"key": value}


def test_exports_of_raw_text_hold_the_text_for_a_tool_that_cuts_it_itself() -> None:
    files, _ = TOOLS["llamafactory"].files(job_of(Recipe(model="m", data="d", stage="pt")), ())
    assert files["train.jsonl"] == '{"text":"one text"}\n'
    assert "template" not in files["train.yaml"].replace("chat template", "")


def test_the_folder_names_are_those_of_the_tools() -> None:
    package = Path(__file__).parents[2] / "src/tunewright/trainers"
    assert all((package / name / "keys.txt").is_file() for name in TOOLS)


def test_the_tables_of_the_documentation_are_those_of_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs/trainers.md").read_text(encoding="utf-8")
    assert filled(page) == page, "python -m tools.trainer_tables"
    assert all(f"`{key}`" in page for key in KEYS)
    assert page.count("<!-- table: ") == page.count("<!-- end -->") == len(SECTIONS)
