"""The guides' numbers, value by value, as they are printed."""

from __future__ import annotations

from typing import Any

import pytest

from tunewright.planner.draft import Facts
from tunewright.planner.preset import Span
from tunewright.planner.presets import PRESETS, find_preset
from tunewright.schema.errors import UsageError
from tunewright.schema.facts import DataFacts, MachineFacts, ModelFacts
from tunewright.schema.recipe_io import KEYS, make_recipe

LAYER = ((4096, 4096), (4096, 1024), (4096, 1024), (4096, 4096), (4096, 14336), (4096, 14336), (14336, 4096))
LLAMA = ModelFacts("llama-8b", "llama", 4096, 32, 128_256, 8_030_000_000, 8192, LAYER * 32, 2.0)
GPU = MachineFacts("cuda", 80.0, True, 16)


def facts(rows: int = 825, *, longest: int = 900, context: int = 8192) -> Facts:
    data = DataFacts(rows, rows // 10, rows * 300, rows * 100, longest, 2048, rows)
    model = ModelFacts("llama-8b", "llama", 4096, 32, 128_256, 8_030_000_000, context, LAYER * 32, 2.0)
    return Facts(data, model, GPU)


def values_of(name: str, where: Facts) -> dict[str, Any]:
    return {value.key: value.value for value in PRESETS[name].planned(where)}


SEVEN = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def test_the_corrected_third_run_is_the_guides_listing() -> None:
    assert values_of("guide-tccc", facts()) == {
        "stage": "sft",
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 8,
        "warmup_steps": 10,
        "num_train_epochs": 7.0,
        "learning_rate": 1e-4,
        "logging_steps": 1,
        "optim": "adamw_8bit",
        "weight_decay": 0.01,
        "lr_scheduler_type": "cosine",
        "seed": 3407,
        "loss_on": "assistant",
        "max_length": 2048,
    }


def test_the_quick_start_is_the_guides_listing() -> None:
    assert values_of("quickstart-qlora", facts()) == {
        "stage": "sft",
        "method": "qlora",
        "lora_rank": 16,
        "lora_alpha": 32.0,
        "lora_target": SEVEN,
        "lora_dropout": 0.05,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 4,
        "num_train_epochs": 3.0,
        "learning_rate": 2e-4,
        "warmup_steps": 10,
        "max_length": 2048,
        "precision": "fp16",
        "logging_steps": 10,
        "save_steps": 100,
    }


def test_low_memory_is_the_guides_listing() -> None:
    assert values_of("guide-low-memory", facts()) == {
        "lora_rank": 4,
        "lora_alpha": 8.0,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 16,
        "max_length": 1024,
    }


RANGES = {
    "guide-small": {"num_train_epochs": (5, 8), "learning_rate": (5e-5, 1e-4)},
    "guide-pt": {
        "lora_rank": (8, 16),
        "lora_alpha": (8, 16),
        "learning_rate": (5e-5, 1e-4),
        "num_train_epochs": (1, 2),
        "warmup_ratio": (0.05, 0.1),
        "max_length": (2048, 4096),
    },
    "guide-sft": {
        "lora_rank": (8, 32),
        "lora_alpha": (8, 32),
        "learning_rate": (1e-4, 2e-4),
        "num_train_epochs": (2, 5),
        "warmup_ratio": (0.1, 0.2),
        "max_length": (1024, 2048),
    },
    "guide-max": {"lora_rank": (32, 64), "lora_alpha": (32, 64), "num_train_epochs": (3, 5)},
}


@pytest.mark.parametrize("name", RANGES)
def test_a_printed_range_is_kept_as_that_range(name: str) -> None:
    spans = {value.key: value.value for value in PRESETS[name].values if isinstance(value.value, Span)}
    assert {key: (span.low, span.high) for key, span in spans.items()} == RANGES[name]


@pytest.mark.parametrize(
    ("name", "fixed"),
    [
        (
            "guide-small",
            {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 8, "lr_scheduler_type": "cosine"},
        ),
        ("guide-pt", {"stage": "pt"}),
        ("guide-sft", {"stage": "sft"}),
        ("guide-max", {"learning_rate": 2e-4, "lr_scheduler_type": "cosine", "warmup_ratio": 0.1}),
    ],
)
def test_a_printed_value_is_kept_as_that_value(name: str, fixed: dict[str, Any]) -> None:
    plain = {value.key: value.value for value in PRESETS[name].values if not isinstance(value.value, Span)}
    assert plain == fixed


@pytest.mark.parametrize(("rows", "epochs"), [(500, 8), (625, 8), (825, 7), (1000, 5), (100, 8), (5000, 5)])
def test_small_sets_get_the_epochs_of_the_guides_own_sum(rows: int, epochs: int) -> None:
    # 5,000 / 825 = 6.06, "round up to 7"; 625 x 8 = 5,000; never outside the printed 5-8
    assert values_of("guide-small", facts(rows))["num_train_epochs"] == epochs


def test_small_starts_at_the_conservative_learning_rate() -> None:
    assert values_of("guide-small", facts())["learning_rate"] == 5e-5


@pytest.mark.parametrize(("rows", "epochs"), [(300, 5), (1_000, 5), (100_000, 2), (2_000_000, 2)])
def test_instruction_epochs_fall_as_the_rows_grow(rows: int, epochs: int) -> None:
    assert values_of("guide-sft", facts(rows))["num_train_epochs"] == epochs


def test_instruction_adapter_is_the_guides_start_of_8_and_16() -> None:
    chosen = values_of("guide-sft", facts())
    assert (chosen["lora_rank"], chosen["lora_alpha"], chosen["warmup_ratio"]) == (8, 16.0, 0.1)


@pytest.mark.parametrize(("longest", "length"), [(300, 1024), (1024, 1024), (1025, 2048), (9000, 2048)])
def test_instruction_length_matches_the_rows(longest: int, length: int) -> None:
    assert values_of("guide-sft", facts(longest=longest))["max_length"] == length


def test_best_quality_takes_the_upper_ends_one_to_one() -> None:
    chosen = values_of("guide-max", facts())
    assert (chosen["lora_rank"], chosen["lora_alpha"], chosen["num_train_epochs"]) == (64, 64.0, 5.0)


def test_pretraining_keeps_alpha_and_rank_one_to_one() -> None:
    chosen = values_of("guide-pt", facts())
    assert (chosen["lora_rank"], chosen["lora_alpha"], chosen["learning_rate"]) == (8, 8.0, 5e-5)
    assert (chosen["warmup_ratio"], chosen["max_length"]) == (0.05, 2048)


@pytest.mark.parametrize("name", PRESETS)
def test_a_length_never_exceeds_what_the_model_reads(name: str) -> None:
    assert values_of(name, facts(context=512)).get("max_length", 512) == 512


@pytest.mark.parametrize("name", PRESETS)
def test_every_value_lies_in_its_range_is_a_recipe_key_and_is_explained(name: str) -> None:
    for value in PRESETS[name].values:
        planned = value.planned(facts(), name, PRESETS[name].source)
        assert value.key in KEYS
        assert planned.why
        assert f"preset {name}: {PRESETS[name].source}" in planned.source
        if isinstance(value.value, Span):
            assert value.value.low <= planned.value <= value.value.high
            assert str(value.value) in planned.why
            assert "because" in planned.why


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_recipe_and_names_no_key_twice(name: str) -> None:
    keys = [value.key for value in PRESETS[name].values]
    assert len(keys) == len(set(keys))
    make_recipe({"model": "m", "data": "d", **values_of(name, facts())})


def test_the_seven_names() -> None:
    assert set(PRESETS) == {
        "guide-sft",
        "guide-pt",
        "guide-small",
        "guide-tccc",
        "guide-low-memory",
        "guide-max",
        "quickstart-qlora",
    }
    assert all(preset.name == name and preset.about for name, preset in PRESETS.items())


def test_an_unknown_name_is_answered_with_the_nearest_and_all() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'guide-tccc'.*quickstart-qlora"):
        find_preset("guide-tcc")
