"""The recipe: strict, frozen, all faults at once, and the same after a trip through YAML or JSON."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tunewright.schema import jsonio
from tunewright.schema.errors import RecipeError
from tunewright.schema.recipe import Mixed, Recipe, Replay
from tunewright.schema.recipe_io import (
    KEYS,
    check_keys,
    json_schema,
    make_recipe,
    nearest,
    parse_settings,
    parse_value,
    read_settings,
    to_yaml,
)

BASE: dict[str, Any] = {"model": "m", "data": "d.jsonl"}


def recipe(**values: Any) -> Recipe:
    return make_recipe({**BASE, **values})


# --- the type -------------------------------------------------------------------------------------------------


def test_keys_are_the_published_ones() -> None:
    published = (
        "model stage method data val test val_size template loss_on max_length packing per_device_train_batch_size "
        "per_device_eval_batch_size gradient_accumulation_steps num_train_epochs max_steps learning_rate "
        "lr_scheduler_type lr_floor lr_step_size lr_step_gamma decay_share average_share warmup_steps warmup_ratio "
        "weight_decay max_grad_norm optim adam_beta1 adam_beta2 lora_rank lora_alpha lora_dropout lora_target "
        "modules_to_save init_adapter precision gradient_checkpointing logging_steps eval_steps save_steps "
        "early_stopping_patience report_to seed reshuffle replay"
    )
    assert set(KEYS) == set(published.split())


def test_a_recipe_never_changes_and_a_changed_one_is_checked() -> None:
    made = recipe()
    with pytest.raises(ValidationError):
        made.seed = 1  # type: ignore[misc]
    assert made.changed(seed=1).seed == 1
    with pytest.raises(ValidationError):
        made.changed(lora_rank=0)


def test_a_warm_up_of_one_kind_replaces_the_other() -> None:
    made = recipe(warmup_steps=10).changed(warmup_ratio=0.1)
    assert (made.warmup_steps, made.warmup_ratio) == (None, 0.1)
    back = made.changed(warmup_steps=5)
    assert (back.warmup_steps, back.warmup_ratio) == (5, None)


def test_effective_batch() -> None:
    assert recipe(per_device_train_batch_size=4, gradient_accumulation_steps=4).effective_batch_size == 16


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        ("stage", "dpo"),
        ("method", "dora"),
        ("lora_rank", 0),
        ("lora_rank", 8.0),
        ("lora_rank", True),
        ("lora_rank", "8"),
        ("learning_rate", 0.0),
        ("learning_rate", -1e-4),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("learning_rate", "1e-4"),
        ("learning_rate", True),
        ("num_train_epochs", 0),
        ("lora_dropout", 1.0),
        ("warmup_ratio", 1.5),
        ("warmup_steps", -1),
        ("val_size", -0.1),
        ("seed", 2**31),
        ("max_steps", 0),
        ("report_to", ["comet"]),
        ("report_to", "tensorboard"),
        ("replay", {"share": 1.0}),
        ("reshuffle", {"from_epoch": -1, "seed": 1}),
        ("reshuffle", {"from_epoch": 1}),
        ("replay", {"share": 0.2, "shares": 1}),
        ("data", [{"weight": 1.0}]),
        ("packing", 1),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(key: str, bad: Any) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe(**{key: bad})
    assert key in str(caught.value)
    assert "pydantic" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("key", ["num_train_epochs", "learning_rate", "lora_alpha", "weight_decay", "max_grad_norm"])
def test_whole_numbers_are_fine_where_any_number_is(key: str) -> None:
    made = getattr(recipe(**{key: 2}), key)
    assert made == 2.0
    assert isinstance(made, float)


def test_lists_become_tuples() -> None:
    made = recipe(lora_target=["q_proj"], report_to=[], data=[{"path": "a", "weight": 2}, {"path": "b"}])
    assert made.lora_target == ("q_proj",)
    assert made.report_to == ()
    assert made.data == (Mixed(path="a", weight=2.0), Mixed(path="b"))


def test_all_faults_come_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        make_recipe({"data": "d", "lerning_rate": 1, "lora_rank": 0, "stage": "x"}, where="recipe.yaml")
    text = str(caught.value)
    assert len(caught.value.faults) == 4
    assert "model is missing" in text
    assert "did you mean 'learning_rate'" in text
    assert all(fault.startswith("recipe.yaml: ") for fault in caught.value.faults)


def test_both_warm_ups_are_an_error() -> None:
    with pytest.raises(RecipeError, match="choose one"):
        recipe(warmup_steps=1, warmup_ratio=0.1)


def test_validation_on_the_training_file_is_an_error() -> None:
    with pytest.raises(RecipeError, match="same file"):
        recipe(val="d.jsonl")


def test_a_recipe_has_a_json_form() -> None:
    document = jsonio.loads(jsonio.dumps({"recipe": recipe(replay={"share": 0.25}), "replay": Replay(share=0.5)}))
    assert document["recipe"]["replay"] == {"data": "general", "share": 0.25}
    assert document["replay"]["share"] == 0.5


# --- text -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("5.0e-5", 5e-5),
        ("3", 3),
        ("true", True),
        ("null", None),
        ("cosine", "cosine"),
        ("q_proj+v_proj", ["q_proj", "v_proj"]),
        ("[a, b]", ["a", "b"]),
        ("{share: 0.25}", {"share": 0.25}),
        ("'1e-4'", "1e-4"),
        ("2024-01-31", "2024-01-31"),
        ("data+more.jsonl", "data+more.jsonl"),
        ("", None),
    ],
)
def test_settings_are_yaml(text: str, value: Any) -> None:
    assert parse_value(text, where="--set x") == value


@pytest.mark.parametrize("text", ["[1", "{a: b", "!!int x", "2024-99-99", "&a [*a]", "\x00", "9" * 5000, "[" * 1200])
def test_text_that_is_no_yaml_is_a_recipe_error(text: str) -> None:
    with pytest.raises(RecipeError, match="--set x"):
        parse_value(text, where="--set x")


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_value_or_a_recipe_error(text: str) -> None:
    with contextlib.suppress(RecipeError):
        parse_value(text, where="--set x")


def test_settings_need_a_key_an_equals_and_known_names() -> None:
    assert parse_settings(["seed=3", "val_size=0.2"]) == {"seed": 3, "val_size": 0.2}
    with pytest.raises(RecipeError, match="expected key=value"):
        parse_settings(["seed"])
    with pytest.raises(RecipeError, match=r"'sed'.*\n?.*'lora_rnk'"):
        parse_settings(["sed=3", "lora_rnk=3"])


def test_unknown_keys_are_named_all_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        check_keys({"epochs": 1, "seed": 1, "zzz": 1})
    assert len(caught.value.faults) == 2


@pytest.mark.parametrize(("word", "guess"), [("lerning_rate", "learning_rate"), ("lora_r", "lora_rank"), ("qqqqq", "")])
def test_nearest(word: str, guess: str) -> None:
    assert nearest(word, KEYS) == guess


def test_files_are_read_with_line_numbers_in_their_errors(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("model: m\ndata: d\nlearning_rate: 1e-4\n", encoding="utf-8")
    assert read_settings(file) == {"model": "m", "data": "d", "learning_rate": 1e-4}
    file.write_text("model: m\ndata: [a\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"recipe\.yaml, line \d"):
        read_settings(file)
    file.write_text("seed: 1\nseed: 2\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="duplicate key"):
        read_settings(file)


@pytest.mark.parametrize("content", [b"- a\n- b\n", b"", b"just words\n"])
def test_a_file_must_be_a_mapping(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_bytes(content)
    with pytest.raises(RecipeError, match="mapping of recipe keys"):
        read_settings(file)


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="No such file"):
        read_settings(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="not UTF-8"):
        read_settings(tmp_path / "binary.yaml")


def test_comments_stand_above_their_key_on_one_line() -> None:
    text = to_yaml(recipe(), {"seed": "any\nfixed   number"})
    lines = text.splitlines()
    assert lines[lines.index("seed: 0") - 1] == "# any fixed number"


# characters YAML cannot hold (surrogates, controls) never come from a path a user can type
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20)


@given(
    WORDS,
    WORDS,
    st.floats(1e-8, 1.0),
    st.none() | st.integers(1, 10**6),
    st.lists(WORDS, max_size=3),
    st.none() | st.floats(0.001, 0.99),
)
@settings(max_examples=100, deadline=None)
def test_a_recipe_survives_yaml(
    tmp_path_factory: pytest.TempPathFactory,
    model: str,
    data: str,
    rate: float,
    length: int | None,
    targets: list[str],
    share: float | None,
) -> None:
    made = recipe(
        model=model,
        data=data,
        learning_rate=rate,
        max_length=length,
        lora_target=targets,
        replay=None if share is None else {"share": share},
    )
    file = tmp_path_factory.mktemp("yaml") / "recipe.yaml"
    file.write_text(to_yaml(made, {"seed": model}), encoding="utf-8")
    assert make_recipe(read_settings(file)) == made


@pytest.mark.parametrize("name", ["1e-4", "2024-01-01", "null", "true", "007", "~", "a: b", "#x", "- x", "0x1f"])
def test_names_that_look_like_something_else_stay_names(tmp_path: Path, name: str) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(to_yaml(recipe(model=name)), encoding="utf-8")
    assert make_recipe(read_settings(file)).model == name


def test_the_schema_is_json_schema_for_editors() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == set(KEYS)
    assert schema["additionalProperties"] is False
    assert sorted(schema["required"]) == ["data", "model"]
    jsonio.dumps(schema)
