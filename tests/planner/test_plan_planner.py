"""The planner as a whole: precedence, coverage, the guide's arithmetic, and properties over many facts."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.planner.batch import effective_batch_for
from tunewright.planner.learning_rate import bracket, prior
from tunewright.planner.memory import MeasuredMemory, Memory, MemoryLine
from tunewright.planner.planner import READING_KEYS, RULES, make_plan, settings_before_reading
from tunewright.planner.presets import PRESETS
from tunewright.planner.run_length import epochs_for, patience_for
from tunewright.planner.steps import steps_per_epoch, total_steps
from tunewright.schema import jsonio
from tunewright.schema.errors import DataError, RecipeError, UsageError
from tunewright.schema.facts import DataFacts, MachineFacts, ModelFacts
from tunewright.schema.plan import Plan, PlannedValue
from tunewright.schema.recipe_io import KEYS, make_recipe

TINY_LAYER = ((128, 128),) * 4 + ((128, 344), (128, 344), (344, 128))
TINY = ModelFacts("tiny", "llama", 128, 4, 1000, 900_000, 512, TINY_LAYER * 4, 4.0)
BIG_LAYER = ((4096, 4096), (4096, 1024), (4096, 1024), (4096, 4096), (4096, 14336), (4096, 14336), (14336, 4096))
BIG = ModelFacts("llama-8b", "llama", 4096, 32, 128_256, 8_030_000_000, 8192, BIG_LAYER * 32, 2.0)
CPU = MachineFacts("cpu", 16.0, False, 4)


def gpu(GiB: float, bf16: bool = True) -> MachineFacts:
    return MachineFacts("cuda", GiB, bf16, 8)


def rows(count: int, *, val: int = 80, longest: int = 110, stage: str = "sft") -> DataFacts:
    return DataFacts(count, val, count * 50, count * 20, longest, 512, count, stage)


def plan(data: DataFacts | None = None, model: ModelFacts = TINY, machine: MachineFacts = CPU, **how: Any) -> Plan:
    asked = {"data": "rows.jsonl", **how.pop("given", {})}
    return make_plan(data or rows(825), model, machine, given=asked, **how)


def value(made: Plan, key: str) -> PlannedValue:
    return next(planned for planned in made.values if planned.key == key)


# --- coverage -------------------------------------------------------------------------------------------------


def test_every_recipe_key_has_a_rule_but_those_only_a_user_can_name() -> None:
    assert set(KEYS) - set(RULES) == {"model", "data"}
    assert set(RULES) <= set(KEYS)


@pytest.mark.parametrize("preset", [None, *PRESETS])
@pytest.mark.parametrize("vram", [None, 8.0, 24.0])
def test_every_key_once_with_reason_and_source_and_the_recipes_value(preset: str | None, vram: float | None) -> None:
    made = plan(preset=preset, vram_GiB=vram)
    assert [planned.key for planned in made.values] == list(KEYS)
    for planned in made.values:
        assert planned.why.strip(), planned.key
        assert planned.source.strip(), planned.key
        assert planned.value == getattr(made.recipe, planned.key)


def test_a_plan_is_json() -> None:
    made = plan(given={"replay": {"share": 0.25}, "data": [{"path": "a.jsonl"}, {"path": "b.jsonl", "weight": 2}]})
    document = jsonio.loads(jsonio.document(made))
    assert document["recipe"]["replay"] == {"data": "general", "share": 0.25}
    assert {"recipe", "values", "predicted", "stages", "warnings"} <= set(document)


# --- the guide's arithmetic -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "epochs", "steps"),
    # runs 1 and 2 of the guide's table as printed; run 3 is printed as 103 x 5 = 515
    [(625, 5, 395), (625, 8, 632), (825, 5, 520)],
)
def test_step_counts_of_the_guides_three_runs(count: int, epochs: int, steps: int) -> None:
    batch = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 8}
    made = plan(rows(count), given={"num_train_epochs": epochs, **batch})
    assert made.predicted.steps == steps
    assert made.predicted.steps * 1.0 == made.predicted.steps_per_epoch * epochs
    why = value(made, "max_steps").why
    assert f"= {made.predicted.steps_per_epoch} steps an epoch" in why
    assert f"= {steps} steps" in why
    for figure in ("625 / 8 x 8 = 625", "79 x 8 = 632", "79 x 5 = 395", "103 x 5 = 515", "104 x 5 = 520"):
        assert figure in why
    assert "round up once per epoch" in why


def test_the_effective_batch_is_shown() -> None:
    made = plan(preset="guide-tccc")
    assert made.recipe.effective_batch_size == 8
    assert "= effective 8" in value(made, "gradient_accumulation_steps").why


def test_tokens_follow_the_steps() -> None:
    assert plan(given={"num_train_epochs": 3}).predicted.tokens == 3 * 825 * 50
    half = plan(given={"max_steps": 26, "per_device_train_batch_size": 16, "gradient_accumulation_steps": 1})
    assert half.predicted.tokens == 825 * 50 // 2


def test_replay_rows_count_as_steps() -> None:
    made = plan(rows(600), given={"replay": {"share": 0.25}, "per_device_train_batch_size": 8, "num_train_epochs": 1})
    assert made.predicted.steps_per_epoch * made.recipe.effective_batch_size == 800


# --- precedence -----------------------------------------------------------------------------------------------


def test_given_beats_preset_beats_rule() -> None:
    made = plan(preset="quickstart-qlora", given={"learning_rate": 3e-4})
    assert (made.recipe.learning_rate, made.recipe.lora_dropout, made.recipe.weight_decay) == (3e-4, 0.05, 0.0)
    assert value(made, "learning_rate").source == "given by you"
    assert value(made, "lora_dropout").source.startswith("preset quickstart-qlora")


def test_a_task_is_more_specific_than_a_preset() -> None:
    made = plan(preset="guide-sft", task="complex")
    assert (made.recipe.lora_rank, made.recipe.lora_alpha) == (16, 16.0)
    assert plan(preset="guide-sft", task="complex", given={"lora_rank": 5}).recipe.lora_rank == 5


@pytest.mark.parametrize(
    ("preset", "asked"),
    [
        ("guide-tccc", {"warmup_ratio": 0.07}),
        ("guide-sft", {"warmup_steps": 7}),
        (None, {"warmup_ratio": 0.07}),
        (None, {"warmup_steps": 0}),
    ],
)
def test_a_given_warm_up_replaces_one_of_either_kind(preset: str | None, asked: dict[str, Any]) -> None:
    made = plan(preset=preset, given=asked)
    (key,) = asked
    other = {"warmup_steps": "warmup_ratio", "warmup_ratio": "warmup_steps"}[key]
    assert getattr(made.recipe, key) == asked[key]
    assert getattr(made.recipe, other) is None
    assert key in value(made, other).why


def test_a_warm_up_left_empty_by_hand_is_planned_as_the_other_kind() -> None:
    made = plan(given={"warmup_steps": None})
    assert made.recipe.warmup_steps is None
    assert made.recipe.warmup_ratio == pytest.approx(21 / 416, abs=1e-4)


def test_no_warm_up_at_all_can_be_asked_for() -> None:
    made = plan(given={"warmup_steps": None, "warmup_ratio": None})
    assert (made.recipe.warmup_steps, made.recipe.warmup_ratio) == (None, None)


def test_a_resolved_recipe_plans_to_itself() -> None:
    first = plan(preset="guide-sft").recipe
    again = make_plan(rows(825), TINY, gpu(80), given=first.model_dump())
    assert again.recipe == first
    assert {planned.source for planned in again.values} == {"given by you"}


def test_all_faults_of_given_values_come_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        plan(given={"learning_rate": -1.0, "lerning_rate": 1e-4, "lora_rank": 0})
    assert len(caught.value.faults) == 3
    assert "learning_rate" in str(caught.value)


def test_no_rows_no_plan() -> None:
    with pytest.raises(DataError, match="no training rows"):
        plan(rows(0))


@pytest.mark.parametrize("how", [{"preset": "guide-x"}, {"task": "hard"}, {"vram_GiB": -1.0}])
def test_unknown_names_are_refused(how: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        plan(**how)


# --- memory ---------------------------------------------------------------------------------------------------


def test_below_12_GB_are_the_low_memory_settings() -> None:
    recipe = plan(model=BIG, vram_GiB=8.0).recipe
    assert (recipe.lora_rank, recipe.per_device_train_batch_size, recipe.gradient_accumulation_steps) == (4, 1, 16)
    assert (recipe.max_length, recipe.method) == (1024, "qlora")


@pytest.mark.parametrize("vram", [8, 11.9, 12, 16, 24, 40, 80])
def test_vram_rows_keep_one_effective_batch(vram: float) -> None:
    assert plan(vram_GiB=vram).recipe.effective_batch_size == 16


def test_vram_leaves_a_batch_somebody_set_alone() -> None:
    recipe = plan(vram_GiB=24.0, given={"per_device_train_batch_size": 2}).recipe
    assert (recipe.per_device_train_batch_size, recipe.gradient_accumulation_steps) == (2, 8)


def test_a_measurement_overrules_the_memory_table() -> None:
    measured = MeasuredMemory(Memory(MemoryLine(10.0, 4.0), MemoryLine(10.0, 0.5), measured=True), "lora", False)
    made = plan(rows(5000), BIG, vram_GiB=24.0, measured=measured)
    assert (made.recipe.per_device_train_batch_size, made.recipe.gradient_accumulation_steps) == (2, 8)
    assert made.predicted.train_peak_GiB == 18.0
    assert "measured" in value(made, "per_device_train_batch_size").why


@pytest.mark.parametrize(("GiB", "method"), [(12.0, "qlora"), (24.0, "lora"), (80.0, "lora")])
def test_method_by_memory(GiB: float, method: str) -> None:
    data = DataFacts(5000, 500, 1_000_000, 300_000, 300, 2048, 5000)
    assert plan(data, BIG, gpu(GiB)).recipe.method == method


def test_full_is_planned_only_when_asked_for() -> None:
    assert plan(machine=gpu(1000.0)).recipe.method == "lora"
    assert plan(machine=gpu(1000.0), given={"method": "full"}).recipe.method == "full"


def test_a_cpu_never_gets_a_four_bit_base_unasked() -> None:
    made = plan(model=BIG, machine=MachineFacts("cpu", 4.0, False, 2))
    assert made.recipe.method == "lora"
    assert any(text.startswith("does not fit") for text in made.warnings)


def test_evaluation_and_training_peaks_are_told_apart() -> None:
    cost = plan(rows(5000, longest=500), BIG, gpu(80)).predicted
    assert 0 < cost.eval_peak_GiB < cost.train_peak_GiB <= 80 * 0.9


# --- rules ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "width", "expected"),
    [("lora", 128, 4.3e-3), ("lora", 2000, 5e-4), ("lora", 8192, 5e-4), ("qlora", 4096, 5e-4), ("full", 4096, 3e-5)],
)
def test_learning_rate_prior(method: str, width: int, expected: float) -> None:
    assert prior(method, width) == pytest.approx(expected)


def test_learning_rate_follows_alpha_inside_the_bracket() -> None:
    assert prior("lora", 4096, alpha=16.0) == 1e-3
    assert prior("lora", 4096, alpha=4.0) == 1e-3
    assert prior("lora", 4096, alpha=512.0) == 2.5e-4


def test_bracket_is_half_and_double() -> None:
    assert bracket(5e-4) == (2.5e-4, 5e-4, 1e-3)


def test_the_reason_of_the_learning_rate_has_prior_bracket_and_guides() -> None:
    why = value(plan(), "learning_rate").why
    for part in ("5e-4 at alpha 32", "(2000 / 128)^0.78", "1e-4 to 3e-4 for LoRA", "this is above it", "8.6e-3"):
        assert part in why


def test_alpha_is_32_whatever_the_rank() -> None:
    assert plan(given={"lora_rank": 64}).recipe.lora_alpha == 32.0


@pytest.mark.parametrize(("supervised", "rank"), [(1_000, 16), (150_000, 32), (100_000_000, 64)])
def test_rank_by_capacity(supervised: int, rank: int) -> None:
    data = replace(rows(825), supervised_tokens=supervised, tokens=2 * supervised)
    assert plan(data).recipe.lora_rank == rank


def test_rank_never_exceeds_the_narrowest_layer() -> None:
    narrow = replace(TINY, linear_in_out=((128, 12), (128, 128)))
    assert plan(model=narrow).recipe.lora_rank == 8


@pytest.mark.parametrize(
    ("count", "epochs"), [(30, 30), (180, 28), (400, 13), (999, 8), (1000, 3), (9_999, 3), (10_000, 2)]
)
def test_epochs_by_rows(count: int, epochs: int) -> None:
    assert epochs_for(count) == epochs


def test_epochs_show_what_the_guides_say() -> None:
    why = value(plan(), "num_train_epochs").why
    assert "1 to 3 (beyond 5 usually means overfitting) (The Training Process; this is above it)" in why
    assert "5 to 8 for 500-1,000 rows" in why
    assert any("beyond 5 usually means overfitting" in text for text in plan().warnings)


@pytest.mark.parametrize(("machine", "expected"), [(CPU, "fp32"), (gpu(24), "bf16"), (gpu(16, bf16=False), "fp16")])
def test_number_format_by_device(machine: MachineFacts, expected: str) -> None:
    assert plan(machine=machine).recipe.precision == expected


@pytest.mark.parametrize(("every", "per_epoch", "patience"), [(10, 40, 20), (40, 40, 5), (80, 40, 2), (1000, 10, 1)])
def test_patience_is_five_epochs_of_evaluations(every: int, per_epoch: int, patience: int) -> None:
    assert patience_for(every, per_epoch) == patience


def test_early_stopping_is_on_with_validation_rows_and_off_without() -> None:
    assert plan().recipe.early_stopping_patience == 6
    assert "5 x 1.24 evaluations" in value(plan(), "early_stopping_patience").why
    none = plan(rows(825, val=0))
    assert none.recipe.early_stopping_patience == 0
    assert any("no validation rows" in text for text in none.warnings)


def test_evaluations_stay_below_a_quarter_of_the_training() -> None:
    made = plan(rows(10_000, val=1500))
    evaluations = made.predicted.steps / (made.recipe.eval_steps or 1)
    assert 4 < evaluations < 10
    assert evaluations * 1500 * 0.5 <= 0.25 * made.predicted.steps * made.recipe.effective_batch_size
    assert "quarter" in value(made, "eval_steps").why


def test_four_evaluations_are_kept_however_costly() -> None:
    made = plan(rows(1000, val=50_000))
    assert round(made.predicted.steps / (made.recipe.eval_steps or 1)) == 4


def test_raw_text_is_packed_learned_whole_and_followed_by_instructions() -> None:
    made = plan(rows(825, stage="pt"))
    recipe = made.recipe
    assert (recipe.stage, recipe.packing, recipe.loss_on) == ("pt", True, "all")
    assert [stage.stage for stage in made.stages] == ["pt", "sft"]
    assert recipe.learning_rate < plan().recipe.learning_rate


def test_ordinary_tuning_is_one_stage() -> None:
    assert [stage.stage for stage in plan().stages] == ["sft"]


@pytest.mark.parametrize(
    ("how", "part"),
    [
        ({"data": rows(40)}, "only 40 training rows"),
        ({"data": rows(825, val=12)}, "only 12 validation rows"),
        ({"data": rows(825, longest=900)}, "are cut (the longest has 900)"),
        ({"given": {"max_length": 4096}}, "more than the 512 tokens"),
        ({"given": {"max_steps": 20}}, "only 20 optimizer steps"),
        ({"data": rows(5000), "preset": "guide-small"}, "written for 500-1,000 rows"),
        ({"preset": "quickstart-qlora", "given": {"per_device_train_batch_size": 1}}, "1 x 4 = 4, the preset"),
        ({"given": {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 2}}, "at least 8"),
        ({"preset": "guide-pt"}, "stage is pt, but the rows were read for stage sft"),
        ({"preset": "quickstart-qlora"}, "QLoRA on cpu"),
        ({"preset": "quickstart-qlora"}, "computes in fp32"),
        ({"given": {"method": "full"}, "model": BIG, "machine": gpu(40)}, "--method lora"),
    ],
)
def test_cautions(how: dict[str, Any], part: str) -> None:
    assert any(part in text for text in plan(**how).warnings), plan(**how).warnings


def test_a_sound_plan_has_no_cautions() -> None:
    assert plan(rows(5000, val=500)).warnings == ()


def test_seconds_are_unknown_on_an_unknown_device() -> None:
    assert plan(machine=MachineFacts("npu", 32.0, True, 8)).predicted.seconds is None
    seconds = plan().predicted.seconds
    assert seconds is not None
    assert 1 < seconds < 300


def test_what_must_be_known_before_reading() -> None:
    known = settings_before_reading({"loss_on": "all", "lora_rank": 3}, context=8192, preset="guide-tccc")
    assert known == {"loss_on": "all", "stage": "sft", "max_length": 2048, "seed": 3407}
    assert settings_before_reading({}, context=512, preset="guide-pt") == {"stage": "pt", "max_length": 512}
    assert settings_before_reading({}, context=8192, vram_GiB=8.0) == {"max_length": 1024}
    assert settings_before_reading({}, context=8192) == {}


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_read_before_is_what_is_planned(preset: str) -> None:
    known = settings_before_reading({}, context=8192, preset=preset)
    data = rows(825, longest=known.get("max_length", 2048), stage=known.get("stage", "sft"))
    recipe = plan(data, BIG, gpu(80), preset=preset).recipe
    assert known == {key: getattr(recipe, key) for key in READING_KEYS if key in known}


# --- properties -----------------------------------------------------------------------------------------------


@st.composite
def data_facts(draw: st.DrawFn) -> DataFacts:
    count = draw(st.integers(1, 200_000))
    longest = draw(st.integers(2, 4096))
    tokens = count * draw(st.integers(2, longest))
    supervised = draw(st.integers(0, tokens))
    val = draw(st.integers(0, 20_000))
    stage = draw(st.sampled_from(["sft", "sft", "pt"]))
    return DataFacts(count, val, tokens, supervised, longest, 4096, count, stage)


MODELS = st.sampled_from([TINY, BIG, replace(TINY, layers=1, linear_in_out=TINY_LAYER)])
MACHINES = st.builds(
    MachineFacts, st.sampled_from(["cpu", "cuda", "npu"]), st.floats(0, 200), st.booleans(), st.integers(1, 64)
)
GIVEN = st.fixed_dictionaries(
    {},
    optional={
        "learning_rate": st.floats(1e-6, 1e-1),
        "num_train_epochs": st.floats(0.1, 40),
        "max_steps": st.integers(1, 10_000),
        "per_device_train_batch_size": st.integers(1, 64),
        "gradient_accumulation_steps": st.integers(1, 64),
        "method": st.sampled_from(["lora", "qlora", "full"]),
        "optim": st.sampled_from(["adamw", "adamw_8bit", "sgd"]),
        "precision": st.sampled_from(["auto", "fp32", "bf16", "fp16"]),
        "lora_rank": st.integers(1, 256),
        "lora_alpha": st.floats(0.5, 512),
        "max_length": st.none() | st.integers(1, 8192),
        "eval_steps": st.none() | st.integers(1, 1000),
        "early_stopping_patience": st.integers(0, 30),
        "stage": st.sampled_from(["sft", "pt"]),
        "gradient_checkpointing": st.booleans(),
        "lr_scheduler_type": st.sampled_from(["linear", "wsd", "constant"]),
        "replay": st.none() | st.fixed_dictionaries({"share": st.floats(0.01, 0.9)}),
    },
)
WARMUP = st.sampled_from([{}, {"warmup_steps": 3}, {"warmup_ratio": 0.2}, {"warmup_steps": None}])


@given(
    data_facts(),
    MODELS,
    MACHINES,
    GIVEN,
    WARMUP,
    st.sampled_from([None, *PRESETS]),
    st.sampled_from([None, "simple", "regular", "complex"]),
    st.none() | st.floats(1, 100),
)
@settings(max_examples=150, deadline=None)
def test_any_plan_is_whole_and_keeps_what_was_given(
    data: DataFacts,
    model: ModelFacts,
    machine: MachineFacts,
    asked: dict[str, Any],
    warmup: dict[str, Any],
    preset: str | None,
    task: str | None,
    vram: float | None,
) -> None:
    wanted = {"data": "rows.jsonl", **asked, **warmup}
    how: dict[str, Any] = {"given": wanted, "preset": preset, "task": task, "vram_GiB": vram}
    made = make_plan(data, model, machine, **how)
    assert made == make_plan(data, model, machine, **how)
    expected = make_recipe({"model": model.name, **wanted})
    assert all(getattr(made.recipe, key) == getattr(expected, key) for key in wanted)
    assert make_recipe(made.recipe.model_dump()) == made.recipe
    assert [planned.key for planned in made.values] == list(KEYS)
    assert all(planned.why and planned.source for planned in made.values)
    assert made.predicted.steps == total_steps(made.recipe, _rows_of(data, made)) >= 1
    assert made.predicted.tokens >= 0
    assert made.predicted.train_peak_GiB > 0


def _rows_of(data: DataFacts, made: Plan) -> int:
    share = made.recipe.replay.share if made.recipe.replay else 0.0
    return data.rows + round(share / (1 - share) * data.rows)


@given(data_facts(), MODELS, st.sampled_from(["cpu", "cuda"]), st.sampled_from([None, "lora", "qlora", "full"]))
@settings(max_examples=60, deadline=None)
def test_memory_moves_rows_between_batch_and_accumulation_only(
    data: DataFacts, model: ModelFacts, device: str, method: str | None
) -> None:
    asked = {"data": "d", **({"method": method} if method else {})}
    sizes = (0.5, 2, 6, 8, 10, 12, 16, 20, 24, 32, 48, 80, 140, 640)
    made = [make_plan(data, model, MachineFacts(device, GiB, True, 4), given=asked).recipe for GiB in sizes]
    assert len({recipe.effective_batch_size for recipe in made}) == 1
    batches = [recipe.per_device_train_batch_size for recipe in made]
    assert all(less <= more for less, more in itertools.pairwise(batches))


@given(data_facts(), MODELS, st.floats(1, 200))
@settings(max_examples=60, deadline=None)
def test_what_is_planned_fits_or_says_that_it_does_not(data: DataFacts, model: ModelFacts, GiB: float) -> None:
    made = make_plan(data, model, gpu(GiB), given={"data": "d"})
    fits = max(made.predicted.train_peak_GiB, made.predicted.eval_peak_GiB) <= GiB * 0.9 * (1 + 1e-9)
    assert fits or any(text.startswith("does not fit") for text in made.warnings)


@given(st.integers(1, 300_000))
@settings(max_examples=200, deadline=None)
def test_effective_batch_leaves_a_hundred_steps_where_the_rows_allow(count: int) -> None:
    epochs = epochs_for(count)
    effective = effective_batch_for(count, epochs)
    assert effective & (effective - 1) == 0
    assert effective <= count
    assert effective == 1 or steps_per_epoch(count, effective) * epochs >= 100
