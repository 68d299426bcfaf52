"""The evidence policy: order of families, sizes, predictions, history."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from prescribe_cases import GUIDE_CONFIG, case, curve, falling, finding, past, turning

from tunewright.prescribe.data_faults import STEPS
from tunewright.prescribe.evidence import EVIDENCE_RULES
from tunewright.prescribe.fit import fit_log_steps, least_gain, lowest_as_range, noise_of_eval
from tunewright.prescribe.prescribe import prescribe, resolve
from tunewright.prescribe.rule import describe_changes, is_step
from tunewright.prescribe.values import show
from tunewright.schema.curve import Series
from tunewright.schema.errors import UsageError
from tunewright.schema.finding import Abstention
from tunewright.schema.prescription import Change

KNOB_FAMILY = {
    "learning_rate": "stability",
    "warmup_ratio": "stability",
    "warmup_steps": "stability",
    "max_grad_norm": "stability",
    "gradient_accumulation_steps": "stability",
    "num_train_epochs": "duration",
    "max_steps": "duration",
    "lora_rank": "capacity",
    "lora_dropout": "regularisation",
    "replay": "forgetting",
}


def one(prescription):
    assert len(prescription.changes) == 1, prescription
    return prescription.changes[0]


@pytest.mark.parametrize("symptom", sorted(set(STEPS) - {"scale_mismatch"}))
def test_a_data_fault_never_turns_a_knob(symptom):
    prescription = prescribe(case(symptom, "divergence", "underfit", made=curve(falling)))
    assert not prescription.keep
    assert prescription.changes
    assert all(is_step(change) for change in prescription.changes)
    assert any("come before any knob" in sentence for sentence in prescription.disagreements)


@pytest.mark.parametrize(
    ("caution", "symptom", "key"),
    [
        ("val_shift", "overfit", "num_train_epochs"),
        ("scale_mismatch", "overfit", "num_train_epochs"),
        ("scale_mismatch", "oscillation", "learning_rate"),
        ("val_shift", "oscillation", None),
        ("leak", "overfit", None),
    ],
)
def test_what_only_clouds_the_figures_is_looked_at_beside_the_change(caution, symptom, key):
    prescription = prescribe(case(caution, symptom, made=curve(turning)))
    assert is_step(prescription.changes[0])
    assert [change.key for change in prescription.changes[1:]] == ([] if key is None else [key])
    assert ("clouds the figures" in prescription.why) is (key is not None)


def test_two_data_faults_of_which_one_is_more_than_a_cloud_turn_no_knob():
    prescription = prescribe(case("scale_mismatch", "leak", "overfit", made=curve(turning)))
    assert all(is_step(change) for change in prescription.changes)


def test_every_data_fault_gets_its_own_step():
    prescription = prescribe(case("leak", "truncated"))
    assert [change.key for change in prescription.changes] == ["data", "max_length"]


def test_healthy_is_kept_with_the_guides_voice_beside():
    prescription = prescribe(case(loss=1.2, made=curve(lambda step: 1.0 + 0.2 / step)))
    assert prescription.keep
    assert not prescription.changes
    assert any("guide.decision_tree" in sentence for sentence in prescription.disagreements)


def test_healthy_without_evaluations_is_kept_and_the_bands_are_called_weak():
    prescription = prescribe(case(loss=1.2))
    assert prescription.keep
    assert "weak evidence" in prescription.why


def test_a_calm_run_that_ends_at_random_guessing_is_not_kept():
    prescription = prescribe(case(loss=8.4, made=curve(lambda step: 8.4 + 0.2 / step)))
    assert not prescription.keep
    assert not prescription.changes
    assert "random guessing (3+)" in prescription.why
    assert prescribe(case("prefix_log", loss=8.4, made=curve(lambda step: 8.4 + 0.2 / step))).keep


@pytest.mark.parametrize(("times", "kept"), [(1 / 3, True), (1.0, True), (5.0, True), (1 / 30, False), (30.0, False)])
def test_a_rate_that_is_known_to_be_no_slip_makes_a_high_loss_the_rows_own(times, kept):
    made = curve(lambda step: 8.4 + 0.2 / step)
    config = {**GUIDE_CONFIG, "learning_rate": times * 5e-4}
    assert prescribe(case(loss=8.4, made=made, config=config, usual={"learning_rate": 5e-4})).keep is kept


def test_a_log_that_stops_after_its_lowest_evaluation_may_have_been_stopped():
    falling_still, turned = (prescribe(case("prefix_log", made=curve(line))) for line in (lambda s: 1 + 9 / s, turning))
    assert "let the run finish" in falling_still.why
    assert "by early stopping or because it still runs" in turned.why


def test_still_falling_takes_a_fall_worth_a_run():
    said = [case(made=curve(line)).eval_story() for line in (lambda step: 1 + 50 / step, lambda step: 1 + 0.01 / step)]
    assert "still falling at the end" in said[0]
    assert "lowest at the end" in said[1]


def test_a_value_that_is_not_on_record_is_not_told_as_none():
    unknown = case(finding("non_finite", (60, 100)), made=curve(turning), config={})
    change = next(one for one in prescribe(unknown).changes if one.after is not None)
    assert change.from_unknown
    assert describe_changes((change,)) == f"{change.key} set to {show(change.after)}"
    assert not Change("replay", None, {"data": "general", "share": 0.25}, None, "", "r", "s").from_unknown


@pytest.mark.parametrize(("start", "rate"), [(3, 1e-5), (5, 1e-5), (6, 1e-4 / 3), (60, 1e-4 / 3)])
def test_blow_up_early_is_a_tenth_later_a_third(start, rate):
    prescription = prescribe(case(finding("divergence", (start, 100)), made=curve(turning)))
    after = {change.key: change.after for change in prescription.changes}
    assert after["learning_rate"] == pytest.approx(rate, rel=1e-5)
    assert after["warmup_ratio"] == 0.2


def test_worse_than_start_looks_for_the_rise_in_the_curve():
    early = curve(lambda step: 3.0, train_of=lambda step: 2.0 if step < 3 else 9.0)
    late = curve(lambda step: 3.0, train_of=lambda step: 2.0 if step < 60 else 9.0)
    for made, factor in ((early, 0.1), (late, 1 / 3)):
        prescription = prescribe(case(finding("worse_than_start", (0, 100)), made=made))
        assert prescription.changes[0].factor == pytest.approx(factor, rel=1e-4)


def test_overfit_above_the_start_is_overfit_and_not_a_blow_up():
    prescription = prescribe(case("worse_than_start", "overfit", made=curve(turning)))
    assert one(prescription).key == "num_train_epochs"


def test_oscillation_halves_the_rate_alone():
    change = one(prescribe(case("oscillation", made=curve(turning))))
    assert (change.key, change.before, change.after, change.factor) == ("learning_rate", 1e-4, 5e-5, 0.5)


def test_stuck_checks_then_probes_ten_times_the_rate():
    changes = prescribe(case("no_learning", made=curve(lambda step: 2.0))).changes
    assert [is_step(change) for change in changes] == [True, True, False]
    assert (changes[-1].key, changes[-1].factor) == ("learning_rate", 10.0)


def test_zero_gradients_get_checks_only():
    made = curve(lambda step: 2.0, grad_norm=Series.of((step, 0.0) for step in range(1, 101)))
    changes = prescribe(case("weights_not_updating", made=made)).changes
    assert all(is_step(change) for change in changes)


def test_overfit_goes_to_the_lowest_evaluation_and_predicts_it():
    prescription = prescribe(case("overfit", made=curve(turning)))
    change = one(prescription)
    assert (change.key, change.before, change.after) == ("num_train_epochs", 5.0, 2.0)
    assert change.predicted.middle == pytest.approx(turning(40))
    assert change.predicted.low <= change.predicted.middle <= change.predicted.high


def test_prediction_moves_with_the_data_and_is_absent_without():
    lower = prescribe(case("overfit", made=curve(lambda step: turning(step) - 0.2)))
    assert one(lower).predicted.middle == pytest.approx(turning(40) - 0.2)
    assert one(prescribe(case("overfit"))).predicted is None


def test_underfit_adds_epochs_sized_by_the_fit():
    prescription = prescribe(case("underfit", made=curve(falling)))
    change = one(prescription)
    assert change.key == "num_train_epochs"
    # a stretch is 2 of 5 epochs; 5 -> 7 gains 0.2 ln 1.4 = 0.067; a second stretch would pass the cap of twice 5
    assert change.after == 9.0
    assert change.predicted.middle == pytest.approx(falling(180), abs=1e-6)


def test_underfit_stops_adding_when_a_stretch_gains_nothing_more():
    slow = curve(lambda step: 1.5 - 0.045 * math.log(step))
    change = one(prescribe(case("underfit", made=slow)))
    # 1 % of 1.29 is 0.0129: the first stretch gains 0.0151, the second 0.0113
    assert change.after == 7.0


def test_underfit_whose_fitted_gain_is_within_noise_is_kept_with_that_reason():
    flat = curve(lambda step: 1.5 - 0.002 * math.log(step))
    prescription = prescribe(case("underfit", made=flat))
    assert prescription.keep
    assert "noise" in prescription.why
    assert not prescription.changes


def test_underfit_without_a_curve_uses_the_findings_gain_and_predicts_nothing():
    base = case(finding("underfit", gain_one_more_epoch=0.03))
    source = replace(base.diagnosis.source, evals=6)
    given = replace(base, diagnosis=replace(base.diagnosis, source=source))
    change = one(prescribe(given))
    assert (change.factor, change.predicted) == (1.5, None)
    assert "3.0%" in change.why


def test_a_run_whose_rate_ran_out_trusts_the_doctors_gain_and_predicts_nothing():
    starved = curve(lambda step: max(1.0, 2.0 - 0.02 * step))
    change = one(prescribe(case(finding("underfit", gain_one_more_epoch=0.05), made=starved)))
    assert (change.after, change.predicted) == (7.0, None)
    small = prescribe(case(finding("underfit", gain_one_more_epoch=0.001), made=starved))
    assert small.keep


def test_a_prefix_log_is_not_told_to_train_longer():
    prescription = prescribe(case("underfit", "prefix_log", made=curve(falling)))
    assert prescription.keep
    assert "let the run finish" in prescription.why


def test_without_evaluations_the_bands_act_only_with_a_finding_that_agrees():
    prescription = prescribe(case("underfit", loss=0.8))
    assert one(prescription).factor == 1.5
    assert "weak evidence" in prescription.why
    disagreeing = prescribe(case("underfit", loss=0.3))
    assert disagreeing.keep
    assert "weak evidence" in disagreeing.why
    assert one(prescribe(case("memorising", loss=0.1))).factor == 0.8


def test_forgetting_mixes_a_quarter_then_more_then_lowers_the_rate():
    told = finding("forgetting", nats_per_token=0.42)
    change = one(prescribe(case(told)))
    assert (change.key, change.after) == ("replay", {"data": "general", "share": 0.25})
    assert "0.42 nats per token" in change.why
    quarter = {**GUIDE_CONFIG, "replay": {"data": "mine.jsonl", "share": 0.25}}
    assert one(prescribe(case(told, config=quarter))).after == {"data": "mine.jsonl", "share": 0.4}
    more = {**GUIDE_CONFIG, "replay": {"data": "general", "share": 0.4}}
    assert one(prescribe(case(told, config=more))).key == "learning_rate"


def test_forgetting_goes_before_underfit_and_says_that_it_waits():
    prescription = prescribe(case("forgetting", "underfit", made=curve(falling)))
    assert one(prescription).key == "replay"
    waiting = next(sentence for sentence in prescription.disagreements if "evidence.underfit" in sentence)
    assert "it waits" in waiting
    assert "would forget more" in waiting


def test_out_of_memory_keeps_the_effective_batch():
    config = {**GUIDE_CONFIG, "per_device_train_batch_size": 6, "gradient_accumulation_steps": 2}
    after = {c.key: c.after for c in prescribe(case(config=config, out_of_memory=True)).changes}
    assert after == {"per_device_train_batch_size": 3, "gradient_accumulation_steps": 4}


def test_out_of_memory_at_a_batch_nobody_knows_halves_it():
    factors = {c.key: c.factor for c in prescribe(case(out_of_memory=True, config={})).changes}
    assert factors == {"per_device_train_batch_size": 0.5, "gradient_accumulation_steps": 2.0}


def test_warm_up_too_long_is_shortened():
    config = {**GUIDE_CONFIG, "warmup_ratio": 0.6}
    assert one(prescribe(case("warmup_too_long", config=config))).after == 0.05


def test_what_failed_is_not_repeated():
    made = curve(falling)
    tried = past("run-2", 0.7, num_train_epochs=9.0)
    prescription = prescribe(case("underfit", made=made, history=(tried,)))
    assert one(prescription).key == "learning_rate"
    assert "run-2" in prescription.why


def test_what_helped_or_what_differs_in_more_is_no_failed_trial():
    made = curve(falling)
    helped = past("run-2", 0.3, num_train_epochs=9.0)
    mixed = past("run-3", 0.9, num_train_epochs=9.0, learning_rate=1e-3)
    other_way = past("run-4", 0.9, num_train_epochs=2.0)
    much_farther = past("run-5", 0.9, num_train_epochs=50.0)
    prescription = prescribe(case("underfit", made=made, history=(helped, mixed, other_way, much_farther)))
    assert one(prescription).key == "num_train_epochs"


def test_a_diverged_trial_failed():
    prescription = prescribe(
        case("underfit", made=curve(falling), history=(past("run-2", math.nan, num_train_epochs=9.0),))
    )
    assert one(prescription).key == "learning_rate"


def test_when_everything_was_tried_it_is_kept_and_the_trials_are_named():
    tried = (
        past("run-2", 0.9, num_train_epochs=9.0),
        past("run-3", 0.9, learning_rate=2e-4),
        past("run-4", 0.9, lora_rank=16),
    )
    prescription = prescribe(case("underfit", made=curve(falling), history=tried))
    assert prescription.keep
    assert all(name in prescription.why for name in ("run-2", "run-3", "run-4"))


def test_replay_is_judged_by_forgetting_and_not_by_evaluation_loss():
    replay = {"data": "general", "share": 0.25}
    made = curve(falling)
    cured = past("run-2", 0.9, forgetting=0.02, replay=replay)
    assert one(prescribe(case("forgetting", made=made, history=(cured,)))).after == replay
    still = past("run-2", 0.3, forgetting=0.4, replay=replay)
    assert one(prescribe(case("forgetting", made=made, history=(still,)))).after["share"] == 0.4


def test_a_past_run_that_made_the_change_predicts_it():
    history = (past("run-2", 0.4, learning_rate=5e-5),)
    change = one(prescribe(case("oscillation", made=curve(falling), history=history)))
    assert change.predicted.middle == 0.4


def test_a_sick_run_with_nothing_left_is_not_called_fine():
    tried = tuple(
        past(f"run-{number}", math.nan, **changed)
        for number, changed in enumerate(
            (
                {"learning_rate": 1e-5, "warmup_ratio": 0.2},
                {"learning_rate": 1e-4 / 3, "warmup_ratio": 0.2},
                {"max_grad_norm": 0.3},
            )
        )
    )
    prescription = prescribe(case("divergence", made=curve(turning), history=tried))
    assert not prescription.keep
    assert not prescription.changes


def test_too_few_points_is_neither_kept_nor_changed():
    prescription = prescribe(case("too_few_points"))
    assert not prescription.keep
    assert not prescription.changes
    assert "cannot be judged" in prescription.why


def test_an_unknown_policy_is_a_usage_error():
    with pytest.raises(UsageError, match="expected evidence or guide"):
        prescribe(case(), "vote")  # type: ignore[arg-type]


@pytest.mark.parametrize("symptom", ["divergence", "oscillation", "no_learning", "overfit", "underfit", "forgetting"])
def test_every_rung_moves_one_family(symptom):
    given = case(symptom, made=curve(falling if symptom == "underfit" else turning))
    for rule in EVIDENCE_RULES:
        for proposal in rule.propose(given):
            families = {KNOB_FAMILY[change.key] for change in proposal.changes if not is_step(change)}
            assert len(families) <= 1, (rule.name, proposal.label)


def test_exactly_one_option_is_recommended_and_it_is_the_prescription():
    resolution = resolve(case("overfit", made=curve(turning)))
    recommended = [option for option in resolution.options if option.recommended]
    assert [option.changes for option in recommended] == [resolution.prescription.changes]


def test_noise_ignores_smooth_trends_and_finds_jitter():
    smooth = curve(falling)
    assert noise_of_eval(smooth) == pytest.approx(0.0, abs=1e-12)
    jitter = np.random.default_rng(0).normal(0, 0.02, 400)
    steps = range(10, 4010, 10)
    noisy = curve(lambda step: falling(step) + jitter[step // 10 - 1], evals=steps, total=4000)
    assert noise_of_eval(noisy) == pytest.approx(0.02, rel=0.2)


def test_noise_and_fit_need_points_and_skip_what_is_not_finite():
    four = curve(falling, evals=(0, 10, 20, 30, 40))
    assert noise_of_eval(four) is None
    assert fit_log_steps(four) is not None
    assert fit_log_steps(curve(falling, evals=(10, 20, 30))) is None
    holed = curve(lambda step: math.nan if step == 50 else falling(step))
    assert noise_of_eval(holed) == pytest.approx(0.0, abs=1e-12)
    assert noise_of_eval(curve()) is None
    assert least_gain(curve()) is None
    assert lowest_as_range(curve(falling, evals=(10, 20))) is None


def test_the_bend_of_a_steep_curve_is_no_noise_and_no_loss_of_zero_is_promised():
    steep = curve(lambda step: 0.5 + 8 * math.exp(-step / 25))
    assert noise_of_eval(steep) > 0.05 * steep.eval_loss.values[-1]
    assert least_gain(steep) == pytest.approx(0.02 * steep.eval_loss.values[-1])
    assert fit_log_steps(steep).at(200).middle <= 0
    change = one(prescribe(case("underfit", config=GUIDE_CONFIG, made=steep)))
    assert (change.key, change.factor > 1, change.predicted) == ("num_train_epochs", True, None)


def test_the_fit_recovers_its_line_and_its_interval_holds_new_points():
    inside = 0
    for seed in range(200):
        jitter = np.random.default_rng(seed).normal(0, 0.01, 11)
        made = curve(lambda step, jitter=jitter: falling(step) + jitter[step // 10])
        expected = fit_log_steps(made).at(150)
        new = falling(150) + np.random.default_rng(10_000 + seed).normal(0, 0.01)
        inside += expected.low <= new <= expected.high
    assert 165 <= inside <= 195  # 90 % of 200 is 180, give or take 3.5 standard deviations


def test_lists_from_a_file_and_tuples_from_a_recipe_are_the_same_setting():
    config = {**GUIDE_CONFIG, "lora_target": ("q_proj", "v_proj")}
    tried = past("run-2", 0.7, num_train_epochs=9.0, lora_target=["q_proj", "v_proj"])
    prescription = prescribe(case("underfit", config=config, made=curve(falling), history=(tried,)))
    assert one(prescription).key == "learning_rate"


# --- what cannot be told is not kept ---------------------------------------------------------------------------------


def untold(made, kind="trainer_state"):
    given = case(made=made)
    abstained = (Abstention("no_learning", "the change of the loss is within its noise", 0.02),)
    read = replace(given.diagnosis, abstained=abstained, source=replace(given.diagnosis.source, kind=kind))
    return replace(given, diagnosis=read)


@pytest.mark.parametrize(
    ("made", "kind", "says"),
    [
        (curve(lambda step: 2.31), "trainer_state", "eval_on_start"),
        (curve(), "trainer_state", "hold rows out (val_size 0.1)"),
        (curve(), "tunewright", "tunewright next log.csv --probe"),
    ],
)
def test_a_run_that_may_have_learned_nothing_is_not_kept(made, kind, says):
    prescription = prescribe(untold(made, kind))
    assert not prescription.keep
    assert not prescription.changes
    assert says in prescription.why
    assert "within its noise" in prescription.why


def test_evaluations_that_fell_settle_that_it_learned():
    assert prescribe(untold(curve(lambda step: 2.3 - 0.005 * step))).keep


@pytest.mark.parametrize(
    ("loss", "epochs", "held", "looked"), [(0.03, 10, False, True), (0.3, 10, False, False), (0.03, 1, False, False)]
)
def test_a_very_low_training_loss_without_validation_asks_for_validation_rows(loss, epochs, held, looked):
    prescription = prescribe(case(loss=loss, config={"num_train_epochs": float(epochs)}, made=curve(epochs=epochs)))
    assert prescription.keep is not looked
    assert [(change.key, is_step(change)) for change in prescription.changes] == [("val_size", True)] * looked
    if looked:
        assert "JSON" in prescription.why
        guide = next(voice for voice in prescription.disagreements if "guide.decision_tree" in voice)
        assert "num_train_epochs 10 -> 8" in guide
        assert "held-out rows" in guide


@pytest.mark.parametrize(("where", "key"), [({"where": "eval_loss"}, "val"), ({"first_step": 50}, "learning_rate")])
def test_evaluations_alone_that_are_no_numbers_send_to_the_validation_rows(where, key):
    prescription = prescribe(case(finding("non_finite", (3, 100), **where), made=curve(turning)))
    assert prescription.changes[0].key == key
    if key == "val":
        assert len(prescription.changes) == 1
        assert "empty answer" in prescription.changes[0].why
        assert not any("learning_rate" in voice for voice in prescription.disagreements)


@pytest.mark.parametrize(("epochs", "after"), [(5.0, 3.6), (1.0, 0.72), (0.3, 0.22)])
def test_epochs_are_cut_to_a_decimal(epochs, after):
    # 130 of 180 steps are 0.7222 of them
    rising = curve(lambda step: 0.6 + 0.0001 * (step - 130) ** 2, evals=range(13, 181, 13), total=180)
    *looks, change = prescribe(
        case("overfit", made=rising, config={**GUIDE_CONFIG, "num_train_epochs": epochs})
    ).changes
    assert (change.key, change.after) == ("num_train_epochs", after)
    # a row that did not come back before validation turned was not learned by heart
    assert [look.key for look in looks] == (["data"] if epochs <= 1 else [])


def test_epochs_that_only_the_curve_tells_are_the_value_before():
    change = one(prescribe(case("overfit", made=curve(turning, epochs=5), config={})))
    assert (change.before, change.after, change.factor) == (5.0, 2.0, 0.4)
    steps = one(prescribe(case("overfit", made=curve(turning, epochs=5), config={"max_steps": 100})))
    assert (steps.key, steps.after) == ("max_steps", 40)
