"""Every guide rule with the guide's own numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prescribe_cases import GUIDE_CONFIG, case, curve, falling, finding, turning

from tunewright.prescribe.guide import GUIDE_RULES
from tunewright.prescribe.guide.bands import BANDS, band_of, bands_of
from tunewright.prescribe.prescribe import prescribe, resolve, rule_named
from tunewright.prescribe.rule import describe
from tunewright.schema.curve import Series
from tunewright.schema.prescription import Change


def changes_of(changes: tuple[Change, ...]) -> dict[str, tuple[object, object]]:
    return {change.key: (change.before, change.after) for change in changes if change.after is not None}


@pytest.mark.parametrize(
    ("loss", "key_factor"),
    [
        (0.1, [("num_train_epochs", 0.8), ("learning_rate", 0.5)]),
        (0.7, [("num_train_epochs", 1.5), ("learning_rate", 2.0)]),
        (1.3, [("num_train_epochs", 2.0), ("learning_rate", 3.0)]),
    ],
)
def test_the_decision_tree_with_its_or(loss, key_factor):
    rungs = rule_named("guide.decision_tree").propose(case(loss=loss))
    assert [(rung.changes[0].key, rung.changes[0].factor) for rung in rungs] == key_factor


@pytest.mark.parametrize("loss", [0.2, 0.3, 0.5])
def test_the_decision_tree_keeps_the_sweet_spot(loss):
    prescription = prescribe(case(loss=loss), "guide")
    assert prescription.keep
    assert not prescription.changes
    assert "PERFECT" in prescription.why


def test_the_tree_takes_epochs_first_and_the_or_stays_an_option():
    resolution = resolve(case(loss=0.7), "guide")
    assert changes_of(resolution.prescription.changes) == {"num_train_epochs": (5.0, 7.5)}
    options = {option.name: option for option in resolution.options}
    assert options["guide.decision_tree: epochs"].recommended
    assert changes_of(options["guide.decision_tree: learning rate"].changes) == {"learning_rate": (1e-4, 2e-4)}
    assert options["guide.decision_tree: epochs"].arithmetic == "num_train_epochs: 5 x 1.5 = 7.5"


@pytest.mark.parametrize(
    ("loss", "factors"),
    [(0.7, [1.3, 1.5, 1.5, 2.0]), (0.1, [0.8, 0.7, 0.5]), (0.35, [])],
)
def test_the_quick_reference_gives_both_ends_of_its_ranges(loss, factors):
    rungs = rule_named("guide.quick_reference").propose(case(loss=loss))
    assert [rung.changes[0].factor for rung in rungs] == factors


SPEAKS_ON = {
    "guide.oscillation": ("oscillation",),
    "guide.underfit": ("underfit",),
    "guide.overfit": ("overfit",),
    "guide.stuck": ("no_learning",),
    "guide.forgetting": ("forgetting",),
    "guide.fluctuating": ("oscillation",),
    "guide.smooth_slow": ("underfit",),
    "guide.start_lr": ("no_learning",),
    "guide.overfit_ladder": ("overfit",),
    "guide.decay_after_constant": ("lr_constant",),
}


@pytest.mark.parametrize("rule", [rule for rule in GUIDE_RULES if rule.after], ids=lambda rule: rule.name)
def test_the_after_block_follows_from_the_before_block(rule):
    given = case(*SPEAKS_ON.get(rule.name, ()), config=rule.before, out_of_memory=rule.name == "guide.out_of_memory")
    first = rule.propose(given)[0]
    after = {change.key: change.after for change in first.changes if change.after is not None}
    assert after == dict(rule.after)


# the guides' printed examples: symptom, before, after
BLOCKS = {
    "guide.oscillation": (
        "oscillation",
        {"learning_rate": 1e-4, "gradient_accumulation_steps": 8, "warmup_ratio": 0.1},
        {"learning_rate": 5e-5, "gradient_accumulation_steps": 16, "warmup_ratio": 0.2},
    ),
    "guide.underfit": (
        "underfit",
        {"learning_rate": 5e-5, "num_train_epochs": 1.0, "lora_rank": 4, "lora_alpha": 8.0},
        {"learning_rate": 2e-4, "num_train_epochs": 3.0, "lora_rank": 8, "lora_alpha": 16.0},
    ),
    "guide.overfit": (
        "overfit",
        {"lora_alpha": 16.0, "num_train_epochs": 5.0, "val_size": 0.1},
        {"lora_alpha": 8.0, "num_train_epochs": 2.0, "val_size": 0.2, "early_stopping_patience": 5},
    ),
    "guide.stuck": ("no_learning", {"learning_rate": 1e-5}, {"learning_rate": 5e-5}),
    "guide.out_of_memory": (
        "",
        {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2},
        {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 8},
    ),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_the_guides_printed_examples_come_out_as_printed(name):
    symptom, before, after = BLOCKS[name]
    given = case(*filter(None, [symptom]), config=before, out_of_memory=not symptom)
    prescription = prescribe(given, "guide")
    assert {change.key: change.after for change in prescription.changes if change.after is not None} == after
    assert {change.rule for change in prescription.changes} == {name}


def test_a_warm_up_that_nobody_stated_is_told_as_a_factor():
    partly = {"num_train_epochs": 3.0, "learning_rate": 1e-4}  # what lies beside a foreign log
    for policy in ("guide", "evidence"):
        changes = prescribe(case("divergence", config=partly, made=curve(turning)), policy).changes
        warmup = next(change for change in changes if change.key == "warmup_ratio")
        assert (warmup.after, warmup.factor) == (None, 2.0)


def test_oscillation_may_also_go_to_the_guides_2e_5():
    rungs = rule_named("guide.oscillation").propose(case("oscillation"))
    assert [rung.changes[0].after for rung in rungs] == [5e-5, 2e-5]


def test_a_blow_up_takes_the_lower_rate_first():
    rungs = rule_named("guide.oscillation").propose(case("divergence"))
    assert [rung.changes[0].after for rung in rungs] == [2e-5, 5e-5]


def test_the_underfit_block_leaves_a_run_in_the_target_band_alone():
    assert rule_named("guide.underfit").propose(case("underfit", loss=0.4)) == ()
    assert rule_named("guide.underfit").propose(case("underfit", loss=0.7))


def test_a_named_symptom_goes_before_the_final_loss():
    prescription = prescribe(case("oscillation", loss=0.7), "guide")
    assert changes_of(prescription.changes) == {
        "learning_rate": (1e-4, 5e-5),
        "gradient_accumulation_steps": (8, 16),
        "warmup_ratio": (0.1, 0.2),
    }
    assert any("guide.decision_tree" in sentence and "0.7" in sentence for sentence in prescription.disagreements)


def test_the_overfit_block_never_goes_below_one_epoch():
    given = case("overfit", config={**GUIDE_CONFIG, "num_train_epochs": 2.0})
    after = changes_of(prescribe(given, "guide").changes)
    assert after["num_train_epochs"] == (2.0, 1.0)
    short = case("overfit", config={**GUIDE_CONFIG, "num_train_epochs": 1.0})
    assert "num_train_epochs" not in changes_of(prescribe(short, "guide").changes)


def test_patience_counts_five_epochs_in_evaluations():
    given = case("overfit", made=curve(turning, epochs=5))
    after = changes_of(prescribe(given, "guide").changes)
    assert after["early_stopping_patience"] == (0, 10)  # 10 evaluations in 5 epochs: 2 an epoch


def test_a_validation_file_is_not_resized():
    given = case("overfit", config={**GUIDE_CONFIG, "val": "val.jsonl"})
    assert "val_size" not in changes_of(prescribe(given, "guide").changes)


def test_stuck_looks_at_template_and_mapping_before_the_probe():
    changes = prescribe(case("no_learning"), "guide").changes
    assert [change.key for change in changes] == ["template", "data", "learning_rate"]
    assert [change.after for change in changes] == [None, None, 5e-4]
    labels = [rung.label for rung in rule_named("guide.stuck").propose(case("no_learning"))]
    assert labels[:2] == ["LR x 5 probe", "LR x 10 probe"]
    assert labels[-1] == "sanity run"


def test_the_overfit_ladder_in_the_guides_order():
    config = {**GUIDE_CONFIG, "num_train_epochs": 8.0}
    rungs = rule_named("guide.overfit_ladder").propose(case("overfit", config=config))
    assert [rung.label for rung in rungs] == ["fewer epochs", "more data", "dropout", "learning rate", "smaller rank"]
    assert [rung.changes[0].after for rung in rungs] == [3.0, None, 0.05, 5e-5, 4]
    assert "small batch" in rungs[0].says


def test_forgetting_in_the_guides_order_and_lora_only_from_full():
    rungs = rule_named("guide.forgetting").propose(case("forgetting", config={**GUIDE_CONFIG, "method": "full"}))
    assert [rung.label for rung in rungs] == [
        "mix general data",
        "lower learning rate",
        "fewer epochs",
        "LoRA instead of full",
    ]
    assert rungs[-1].changes[0].after == "lora"
    assert len(rule_named("guide.forgetting").propose(case("forgetting"))) == 3


def test_full_fine_tuning_has_no_adapter_to_resize():
    given = case("overfit", config={**GUIDE_CONFIG, "method": "full"})
    assert not any(change.key.startswith("lora_") for change in prescribe(given, "guide").changes)


def test_fluctuating_never_goes_below_1e_5():
    rungs = rule_named("guide.fluctuating").propose(case("oscillation", config={"learning_rate": 3e-5}))
    assert rungs[0].changes[0].after == 1e-5
    assert rule_named("guide.fluctuating").propose(case("oscillation", config={"learning_rate": 1e-5})) == ()


def test_warm_up_in_steps_is_doubled_as_steps_and_none_becomes_a_tenth():
    steps = {**GUIDE_CONFIG, "warmup_ratio": None, "warmup_steps": 10}
    assert changes_of(prescribe(case("oscillation", config=steps), "guide").changes)["warmup_steps"] == (10, 20)
    none = {**GUIDE_CONFIG, "warmup_ratio": None}
    assert changes_of(prescribe(case("oscillation", config=none), "guide").changes)["warmup_ratio"] == (None, 0.1)


def test_an_unknown_recipe_gets_factors_without_values():
    changes = prescribe(case("oscillation", config={}), "guide").changes
    assert {change.key: change.factor for change in changes} == {
        "learning_rate": 0.5,
        "gradient_accumulation_steps": 2.0,
        "warmup_ratio": 2.0,
    }
    assert all("to" not in change.__json__() and "from" not in change.__json__() for change in changes)


def test_the_logged_learning_rate_stands_in_for_the_recipes():
    made = curve(turning, learning_rate=Series.of([(1, 2e-5), (10, 1e-4), (100, 0.0)]))
    changes = prescribe(case("oscillation", config={}, made=made), "guide").changes
    assert (changes[0].before, changes[0].after) == (1e-4, 5e-5)


def test_max_steps_is_the_knob_where_it_rules():
    given = case(loss=0.7, config={**GUIDE_CONFIG, "max_steps": 100})
    assert changes_of(prescribe(given, "guide").changes) == {"max_steps": (100, 150)}


def test_hidden_nan_and_foreign_losses_are_not_read_by_the_bands():
    for symptom in ("non_finite", "all_masked", "not_an_nll", "scale_mismatch"):
        given = case(symptom, loss=0.0)
        assert rule_named("guide.decision_tree").propose(given) == ()


def test_bands_have_no_gaps_and_edges_belong_to_the_better_side():
    assert [band.high for band in BANDS[:-1]] == [band.low for band in BANDS[1:]]
    assert [band_of(loss).name for loss in (0.199, 0.2, 0.5, 0.501, 1.0, 1.001)] == [
        "overfit",
        "sweet spot",
        "sweet spot",
        "underfit",
        "underfit",
        "barely learned",
    ]
    assert [band.name for band in bands_of(0.1, 1.5)] == [band.name for band in BANDS]


def test_epochs_range_is_a_voice_and_not_a_decision():
    given = case("underfit", loss=0.4, config={**GUIDE_CONFIG, "num_train_epochs": 8.0}, made=curve(falling, epochs=8))
    prescription = prescribe(given)
    voice = next(sentence for sentence in prescription.disagreements if "guide.epochs_range" in sentence)
    assert voice.startswith("G2")
    assert "8 epochs" in voice
    assert "still falling" in voice


def test_describe_shows_the_example_and_the_source():
    text = describe(rule_named("guide.oscillation"))
    assert "learning_rate 1e-4 -> 5e-5" in text
    assert "Mastering Large Model Training" in text


def test_spike_rows_are_named():
    lasting = replace(finding("spike"), severity="warning", rows=(17, 240))
    change = prescribe(case(lasting), "guide").changes[0]
    assert change.key == "data"
    assert "17, 240" in change.why
