"""Rules that know where such a run is planned to start, what broke out of calm, and what a probe has settled."""

from __future__ import annotations

import math

import pytest
from prescribe_cases import GUIDE_CONFIG, case, curve, falling, finding, past, turning

from tunewright.prescribe.prescribe import prescribe, rule_named
from tunewright.prescribe.rule import is_step
from tunewright.schema.curve import Series
from tunewright.schema.probe import ProbeAnswer

PLANNED = 5e-4


def asked(*symptoms, rate=1e-4, made=None, usual=None, **config):
    return case(
        *symptoms,
        made=curve(turning) if made is None else made,
        config={**GUIDE_CONFIG, "learning_rate": rate, **config},
        usual={"learning_rate": PLANNED} if usual is None else usual,
    )


def values(prescription):
    return {change.key: change.after for change in prescription.changes if not is_step(change)}


@pytest.mark.parametrize("symptom", ["divergence", "oscillation", "spike", "no_learning"])
def test_a_rate_far_above_the_planned_one_goes_back_to_it(symptom):
    prescription = prescribe(asked(symptom, rate=10 * PLANNED))
    assert values(prescription) == {"learning_rate": PLANNED}
    assert "x10 of the 5e-4" in prescription.changes[-1].why


@pytest.mark.parametrize("symptom", ["underfit", "no_learning"])
def test_a_rate_far_below_the_planned_one_goes_up_to_it_before_anything_else(symptom):
    prescription = prescribe(asked(symptom, rate=PLANNED / 20, made=curve(falling)))
    assert values(prescription) == {"learning_rate": PLANNED}


@pytest.mark.parametrize(
    ("beside", "base", "rising_at", "borne"),
    [((), 2.5, None, True), ((), None, None, False), (("spike",), 2.5, None, False), ((), 2.5, 50, False)],
)
def test_a_high_rate_under_which_every_evaluation_fell_from_the_untouched_model_on_is_borne(
    beside, base, rising_at, borne
):
    def evaluated(step):
        return base if step == 0 else falling(step) + (0.3 if step == rising_at else 0.0)

    made = curve(evaluated, evals=range(0 if base else 10, 101, 10))
    prescription = prescribe(asked("underfit", *beside, rate=10 * PLANNED, made=made))
    assert ("learning_rate" in values(prescription)) is not borne
    assert ("num_train_epochs" in values(prescription)) is borne


def test_overfitting_in_the_first_steps_of_a_high_rate_is_that_rate():
    def at_once(step):
        return 1.0 + 0.01 * (step - 10)

    assert values(prescribe(asked("overfit", rate=10 * PLANNED, made=curve(at_once)))) == {"learning_rate": PLANNED}
    near = prescribe(asked("overfit", rate=PLANNED, made=curve(at_once)))
    assert values(near) == {"num_train_epochs": 0.5}


@pytest.mark.parametrize(
    ("epochs", "times", "changed"),
    [(5.0, 3, "num_train_epochs"), (2.0, 3, "learning_rate"), (2.0, 1, "num_train_epochs")],
)
def test_validation_that_turns_in_the_first_epoch_sends_to_the_rows_and_to_a_high_rate_sooner(epochs, times, changed):
    # turning() is lowest at step 40 of 100: in the second epoch of five, in the first of two
    prescription = prescribe(asked("overfit", rate=times * PLANNED, num_train_epochs=epochs))
    assert set(values(prescription)) == {changed}
    looks = [change for change in prescription.changes if is_step(change)]
    assert [look.key for look in looks] == (["data"] if epochs == 2 else [])
    assert all("copies" in look.why for look in looks)


@pytest.mark.parametrize(
    ("times", "method", "slipped"),
    [(1 / 30, "lora", True), (1 / 4, "lora", False), (30, "full", True), (15, "full", False), (15, "lora", True)],
)
def test_a_rate_that_is_a_slip_is_put_right_with_a_fault_of_the_data(times, method, slipped):
    prescription = prescribe(asked("rows_masked", rate=times * PLANNED, method=method))
    assert prescription.changes[0].key == "data"
    assert values(prescription) == ({"learning_rate": PLANNED} if slipped else {})


def test_a_planned_rate_that_failed_before_leaves_the_look_at_the_data():
    tried = past("first", float("nan"), learning_rate=PLANNED)
    config = {**GUIDE_CONFIG, "learning_rate": PLANNED / 30}
    given = case("rows_masked", made=curve(turning), config=config, usual={"learning_rate": PLANNED}, history=(tried,))
    assert [change.key for change in prescribe(given).changes] == ["data"]


def test_swings_of_single_rows_under_a_high_rate_get_more_rows_and_the_planned_rate():
    rows = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 1}
    prescription = prescribe(asked("oscillation", rate=20 * PLANNED, **rows))
    assert values(prescription) == {"gradient_accumulation_steps": 8, "learning_rate": PLANNED}


@pytest.mark.parametrize(("symptom", "key"), [("overfit", "num_train_epochs"), ("underfit", "num_train_epochs")])
def test_a_rate_near_the_planned_one_is_left_alone(symptom, key):
    made = curve(turning if symptom == "overfit" else falling)
    assert set(values(prescribe(asked(symptom, rate=2 * PLANNED, made=made)))) == {key}


def test_overfitting_under_a_high_rate_stops_at_the_lowest_evaluation_first():
    assert values(prescribe(asked("overfit", rate=10 * PLANNED))) == {"num_train_epochs": 2.0}
    stopped = past("first", 0.6, learning_rate=10 * PLANNED, num_train_epochs=2.0)
    given = case(
        "overfit",
        made=curve(turning),
        config={**GUIDE_CONFIG, "learning_rate": 10 * PLANNED},
        usual={"learning_rate": PLANNED},
        history=(stopped,),
    )
    assert values(prescribe(given)) == {"learning_rate": PLANNED}


def test_a_spike_under_a_planned_rate_is_normal_and_kept():
    assert prescribe(asked("spike", rate=PLANNED)).keep


@pytest.mark.parametrize(("height", "rate", "looked"), [(30.0, PLANNED, True), (3.0, PLANNED, False)])
def test_a_spike_far_above_the_untouched_model_is_looked_at_though_it_passed(height, rate, looked):
    made = curve(falling, train_of=lambda step: height if step == 60 else 2.0 - 0.2 * math.log(step))
    prescription = prescribe(asked(finding("spike", (60, 60)), rate=rate, made=made))
    assert [change.key for change in prescription.changes] == ["data"] * looked
    assert prescription.keep is not looked


def test_a_spike_that_passed_leaves_the_change_beside_it_open():
    made = curve(turning, train_of=lambda step: 30.0 if step == 60 else 2.0 - 0.2 * math.log(step))
    passed = prescribe(asked(finding("spike", (60, 60)), "overfit", rate=PLANNED, made=made))
    assert [change.key for change in passed.changes] == ["data", "num_train_epochs"]
    high = prescribe(asked(finding("spike", (60, 60)), rate=10 * PLANNED, made=made))
    assert values(high) == {"learning_rate": PLANNED}
    assert not any(is_step(change) for change in high.changes)


def test_full_fine_tuning_is_planned_low_so_more_is_asked_of_a_rate_above():
    changed = values(prescribe(asked("oscillation", rate=8 * PLANNED, method="full")))
    assert changed == {"learning_rate": pytest.approx(4 * PLANNED)}


@pytest.mark.parametrize(("shape", "cut"), [(falling, {}), (turning, {"num_train_epochs": 2.8})])
def test_oscillation_under_a_constant_rate_gets_a_decay_and_a_cut_where_validation_had_turned(shape, cut):
    given = asked("oscillation", "lr_constant", rate=PLANNED, made=curve(shape), lr_scheduler_type="constant")
    assert values(prescribe(given)) == {"lr_scheduler_type": "cosine", **cut}


@pytest.mark.parametrize(
    ("schedule", "at_the_end", "after"),
    [
        ("constant", 1.3, {"lr_scheduler_type": "cosine"}),  # lowest at step 90 of 100: all of the run was worth it
        ("constant", 1.05, {}),
        ("cosine", 1.3, {}),
    ],
)
def test_validation_that_ended_far_above_its_lowest_under_a_constant_rate_gets_a_decay(schedule, at_the_end, after):
    made = curve(lambda step: 2.0 - step / 90 if step <= 90 else at_the_end)
    prescription = prescribe(asked("lr_constant", rate=PLANNED, made=made, lr_scheduler_type=schedule))
    assert values(prescription) == after
    assert prescription.keep is (not after)


@pytest.mark.parametrize(("share", "both"), [(20, True), (4, False)])
def test_a_long_warm_up_and_a_rate_far_too_low_are_put_right_together(share, both):
    changed = values(prescribe(asked("warmup_too_long", rate=PLANNED / share, warmup_ratio=1.0)))
    assert changed == ({"warmup_ratio": 0.05, "learning_rate": PLANNED} if both else {"warmup_ratio": 0.05})


@pytest.mark.parametrize(
    ("times", "after", "looked"),
    [(0.7, 0.7 / 3, True), (2.0, 2.0 / 3, True), (2.5, 1.0, True), (4.9, 1.0, True), (5.5, 1.0, False)],
)
def test_below_five_times_the_planned_rate_a_blow_up_looks_at_the_rows_too(times, after, looked):
    prescription = prescribe(asked(finding("divergence", (3, 100)), rate=times * PLANNED))
    assert values(prescription)["learning_rate"] == pytest.approx(after * PLANNED, rel=1e-5)
    assert [change.key for change in prescription.changes if is_step(change)] == (["data", "template"] * looked)


def test_numbers_that_broke_at_a_rate_above_the_bracket_are_the_rates_doing():
    prescription = prescribe(asked(finding("non_finite", (3, 100)), made=nan_after(3), rate=3 * PLANNED))
    assert values(prescription)["learning_rate"] == pytest.approx(PLANNED, rel=1e-5)
    assert not any(is_step(change) for change in prescription.changes)


@pytest.mark.parametrize(
    ("highest", "last", "nothing"), [(2.3, 1.99, True), (2.3, 1.93, False), (2.15, 1.99, False), (2.3, 2.1, True)]
)
@pytest.mark.parametrize(("times", "after"), [(1.0, 1 / 3), (3.0, 1.0), (8.0, 1.0)])
def test_a_run_that_did_harm_and_took_it_back_is_not_kept(highest, last, nothing, times, after):
    def evaluated(step):
        return 2.0 + (highest - 2.0) * step / 50 if step <= 50 else highest + (last - highest) * (step - 50) / 50

    made = curve(evaluated, evals=range(0, 101, 10))
    prescription = prescribe(asked(rate=times * PLANNED, made=made))
    assert prescription.keep is not nothing
    if nothing:
        assert values(prescription)["learning_rate"] == pytest.approx(after * PLANNED, rel=1e-5)
        assert "it ended no better than it began: the evaluation loss was 2 before training" in prescription.why
    assert prescribe(asked("prefix_log", rate=times * PLANNED, made=made)).keep


def test_a_run_that_over_fitted_back_to_its_start_is_the_over_fitting_rules():
    made = curve(lambda step: 2.0 if step == 0 else 1.0 if step <= 10 else 1.0 + step / 80, evals=range(0, 101, 10))
    prescription = prescribe(asked("overfit", rate=PLANNED, made=made))
    assert "num_train_epochs" in values(prescription)


@pytest.mark.parametrize(("step", "calm"), [(60, True), (40, False)])
def test_a_rate_far_above_the_plan_is_not_blamed_for_nan_once_it_was_borne_for_half_the_run(step, calm):
    given = asked(finding("non_finite", (step, 100)), made=nan_after(step), rate=10 * PLANNED, precision="fp16")
    assert values(prescribe(given)) == ({"precision": "bf16"} if calm else {"learning_rate": PLANNED})


def test_a_planned_rate_that_failed_before_is_followed_by_a_third():
    rate = 10 * PLANNED
    tried = past("first", float("nan"), learning_rate=PLANNED)
    given = case(
        "divergence",
        made=curve(turning),
        config={**GUIDE_CONFIG, "learning_rate": rate},
        usual={"learning_rate": PLANNED},
        history=(tried,),
    )
    assert values(prescribe(given))["learning_rate"] == pytest.approx(rate / 3, rel=1e-5)


def test_no_learning_at_the_planned_rate_is_looked_at_and_not_multiplied():
    prescription = prescribe(asked("no_learning", rate=PLANNED))
    assert [change.key for change in prescription.changes] == ["method", "template"]
    assert all(is_step(change) for change in prescription.changes)


def nan_after(step, before=lambda step: 2.0 - 0.2 * math.log(step)):
    return curve(turning, train_of=lambda at: before(at) if at < step else math.nan)


def test_nan_out_of_a_calm_curve_leaves_fp16_and_the_rate_alone():
    prescription = prescribe(asked(finding("non_finite", (50, 100)), made=nan_after(50), precision="fp16"))
    assert values(prescription) == {"precision": "bf16"}
    assert "65,504" in prescription.why


def test_nan_out_of_a_calm_curve_in_a_wide_format_is_clipped_and_its_rows_are_looked_at():
    prescription = prescribe(asked(finding("non_finite", (50, 100)), made=nan_after(50), precision="bf16"))
    assert values(prescription) == {"max_grad_norm": 0.3}
    assert "rows of step 50" in next(change.why for change in prescription.changes if is_step(change))


@pytest.mark.parametrize("rate", [PLANNED, 10 * PLANNED])
def test_nan_after_a_rise_is_the_learning_rate(rate):
    made = nan_after(50, before=lambda step: 2.0 if step < 30 else 2.0 + 0.2 * (step - 30))
    changed = values(prescribe(asked(finding("non_finite", (50, 100)), made=made, rate=rate, precision="fp16")))
    assert changed["learning_rate"] < rate / 2


@pytest.mark.parametrize(("times", "precision", "key"), [
    (1, "fp16", "precision"), (10, "fp16", "learning_rate"), (1, "bf16", "learning_rate"),
])  # fmt: skip
def test_nan_in_the_first_steps_is_the_format_where_the_rate_is_planned(times, precision, key):
    given = asked(finding("non_finite", (3, 100)), made=nan_after(3), rate=times * PLANNED, precision=precision)
    assert next(iter(values(prescribe(given)))) == key


def test_swings_that_a_steady_rate_explains_decay_at_the_same_length():
    swinging = curve(lambda step: 0.4 + 0.05 * (-1) ** (step // 10), evals=range(10, 101, 10))
    given = asked("oscillation", "lr_constant", made=swinging, lr_scheduler_type="constant")
    assert values(prescribe(given)) == {"lr_scheduler_type": "cosine"}


def test_a_scale_that_no_sum_over_batches_makes_sends_to_the_answers_too():
    off = finding("scale_mismatch", (1, 100), factor=5.0)
    looks = {times: [change.key for change in prescribe(asked(off, gradient_accumulation_steps=times)).changes]
             for times in (1, 5)}  # fmt: skip
    assert looks[1][:2] == ["gradient_accumulation_steps", "data"]
    assert "data" not in looks[5]


def test_a_run_without_clipping_gets_it_with_the_planned_rate():
    changed = values(prescribe(asked("divergence", rate=10 * PLANNED, max_grad_norm=0.0, warmup_ratio=None)))
    assert changed == {"learning_rate": PLANNED, "max_grad_norm": 1.0, "warmup_ratio": 0.05}


@pytest.mark.parametrize(("rate", "decay", "speaks"), [(1e-3, 30.0, True), (1e-3, 0.1, False), (1e-4, 0.0, False)])
def test_a_weight_decay_that_eats_the_weights_goes(rate, decay, speaks):
    changed = values(prescribe(asked("no_learning", rate=rate, weight_decay=decay)))
    assert (changed == {"weight_decay": 0.0}) is speaks


def test_a_decay_that_only_a_rate_far_too_high_makes_harmful_stays():
    changed = values(prescribe(asked("divergence", rate=40 * PLANNED, weight_decay=1.0)))
    assert changed == {"learning_rate": PLANNED}


@pytest.mark.parametrize(
    ("rate", "epochs", "after"),
    [
        # eight times the rows at eight times the epochs are as many steps
        (PLANNED, 0.5, {"gradient_accumulation_steps": 8, "num_train_epochs": 4.0}),
        # no more epochs than planned, and the rate up by 8^(1/4) = 1.68
        (PLANNED / 2, 4.0, {"gradient_accumulation_steps": 8, "num_train_epochs": 16.0, "learning_rate": 4.20448e-4}),
        # ... but not past the planned one
        (PLANNED / 1.25, 16.0, {"gradient_accumulation_steps": 8, "learning_rate": PLANNED}),
    ],
)
def test_more_rows_a_step_keep_the_number_of_steps(rate, epochs, after):
    usual = {"learning_rate": PLANNED, "num_train_epochs": 16.0}
    one_row = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 1, "num_train_epochs": epochs}
    assert values(prescribe(asked("underfit", rate=rate, made=curve(falling), usual=usual, **one_row))) == after


def test_more_rows_against_swings_leave_the_rate_alone():
    usual = {"learning_rate": PLANNED, "num_train_epochs": 16.0}
    given = asked("oscillation", rate=PLANNED / 2, usual=usual, gradient_accumulation_steps=1, num_train_epochs=4.0)
    assert values(prescribe(given)) == {"gradient_accumulation_steps": 8, "num_train_epochs": 16.0}


@pytest.mark.parametrize(
    ("steps", "usual_epochs", "after"),
    [
        # 2 steps of 128 rows at 0.8 epochs: 100 steps of 16 rows are 5 epochs
        (2, 16.0, {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 1, "num_train_epochs": 5.0}),
        (2, 3.0, {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 1, "num_train_epochs": 3.0}),
    ],
)
def test_few_steps_of_many_rows_become_a_hundred_of_the_planned_rows(steps, usual_epochs, after):
    usual = {"learning_rate": PLANNED, "num_train_epochs": usual_epochs, "rows_a_step": 16}
    batches = {"per_device_train_batch_size": 32, "gradient_accumulation_steps": 4, "num_train_epochs": 0.8}
    made = curve(falling, evals=(1, 2), total=steps)
    assert values(prescribe(asked("underfit", rate=PLANNED, made=made, usual=usual, **batches))) == after


@pytest.mark.parametrize(("times", "after"), [(4.0, 4.0 / 8**0.25), (1.1, 1.0), (0.5, 0.5)])
def test_a_rate_above_the_planned_one_comes_down_with_the_rows_and_no_farther(times, after):
    usual = {"learning_rate": PLANNED, "num_train_epochs": 16.0, "rows_a_step": 16}
    batches = {"per_device_train_batch_size": 32, "gradient_accumulation_steps": 4}
    made = curve(falling, evals=(1, 2), total=2)
    given = asked("underfit", rate=times * PLANNED, made=made, usual=usual, num_train_epochs=0.8, **batches)
    rate = values(prescribe(given)).get("learning_rate", times * PLANNED)
    assert rate == pytest.approx(after * PLANNED, rel=1e-5)


@pytest.mark.parametrize(("times", "planned"), [(2.4, False), (2.6, True)])
def test_single_rows_under_a_rate_far_above_what_they_would_have_had_get_the_planned_one(times, planned):
    usual = {"learning_rate": PLANNED, "num_train_epochs": 16.0, "rows_a_step": 16}  # a 16th of the rows: half the rate
    given = asked("oscillation", rate=times * PLANNED, usual=usual, gradient_accumulation_steps=1)
    changed = values(prescribe(given))
    assert changed["gradient_accumulation_steps"] == 8
    assert changed.get("learning_rate") == (PLANNED if planned else None)


@pytest.mark.parametrize(
    ("epochs", "usual_epochs", "longer"), [(0.5, 16.0, True), (1.0, 16.0, False), (0.5, 1.0, False)]
)
def test_rows_that_were_never_seen_are_seen_though_noise_hides_a_fall(epochs, usual_epochs, longer):
    usual = {"learning_rate": PLANNED, "num_train_epochs": usual_epochs}
    prescription = prescribe(asked(rate=PLANNED, made=curve(falling), usual=usual, num_train_epochs=epochs))
    assert values(prescription) == ({"num_train_epochs": usual_epochs} if longer else {})


@pytest.mark.parametrize(("batch", "accumulation", "after"), [(1, 1, 8), (2, 1, 4), (1, 3, 8), (2, 2, None)])
def test_a_step_of_fewer_than_four_rows_gets_eight(batch, accumulation, after):
    given = asked("oscillation", per_device_train_batch_size=batch, gradient_accumulation_steps=accumulation)
    assert values(prescribe(given)).get("gradient_accumulation_steps") == after


def test_a_rank_of_one_is_raised_before_the_run_is_made_longer():
    assert values(prescribe(asked("underfit", rate=PLANNED, made=curve(falling), lora_rank=1))) == {"lora_rank": 16}


@pytest.mark.parametrize(("gain", "epochs", "after"), [(0.3, 1.0, 8.0), (0.03, 1.0, 2.0), (0.3, 5.0, None)])
def test_a_steep_run_of_few_epochs_gets_the_planned_ones(gain, epochs, after):
    steep = finding("underfit", gain_one_more_epoch=gain)
    usual = {"learning_rate": PLANNED, "num_train_epochs": 8.0}
    given = asked(steep, rate=PLANNED, made=curve(falling), usual=usual, num_train_epochs=epochs)
    changed = values(prescribe(given))["num_train_epochs"]
    assert changed == after if after is not None else changed != 8.0


# --- probes ----------------------------------------------------------------------------------------------------------


def probe(name, verdict, **evidence):
    return ProbeAnswer(name, f"Is it the {name}?", verdict, "As was measured.", evidence)


@pytest.mark.parametrize(
    ("answer", "after", "looks"),
    [
        (probe("learning_rate", "fault", factor=5.0), {"learning_rate": 5e-4}, []),
        (probe("learning_rate", "fine", factor=1.0), {}, ["method", "template"]),
        (probe("template", "fault"), {}, ["template", "data"]),
        (probe("template", "unclear"), {"learning_rate": 1e-3}, ["method", "template"]),
        (probe("sanity", "fault", rate=None), {}, ["method", "template", "loss_on"]),
        (probe("sanity", "fault", rate=3e-3), {"learning_rate": 3e-3}, []),
        (probe("schedule", "fault", shorter_warmup=True), {"warmup_ratio": 0.05}, []),
        (probe("schedule", "fault", shorter_warmup=False), {}, ["lr_scheduler_type"]),
    ],
)
def test_what_a_probe_settled_decides_what_a_stuck_run_gets(answer, after, looks):
    prescription = prescribe(case("no_learning", made=curve(lambda step: 2.0), probes=(answer,)))
    assert values(prescription) == after
    assert [change.key for change in prescription.changes if is_step(change)] == looks
    if answer.verdict == "fault":
        assert "a probe asked" in prescription.why


def test_series_of_a_probe_are_not_needed_where_nothing_was_probed():
    zero = Series.of((step, 0.0) for step in range(1, 101))
    prescription = prescribe(case("weights_not_updating", made=curve(lambda step: 2.0, grad_norm=zero)))
    assert all(is_step(change) for change in prescription.changes)


# --- what a log does not tell ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "after"),
    [
        (None, {"learning_rate": 5e-5}),  # two rows at once, and nobody says how many batches make a step
        (80, {"gradient_accumulation_steps": 4}),  # 40 steps an epoch of 80 rows: two rows a step
        (640, {"learning_rate": 5e-5}),  # sixteen rows a step
    ],
)
def test_rows_a_step_are_not_raised_where_the_accumulation_is_unknown(rows, after):
    config = {"per_device_train_batch_size": 2, "learning_rate": 1e-4}
    given = case("oscillation", made=curve(turning, total=120, epochs=3), config=config, rows=rows)
    assert values(prescribe(given)) == after


@pytest.mark.parametrize(("rate", "after"), [(33 * PLANNED, {"learning_rate": PLANNED}), (2 * PLANNED, None)])
def test_underfitting_far_above_the_planned_rate_goes_back_to_it_before_rows_and_epochs(rate, after):
    given = asked(
        "underfit",
        rate=rate,
        made=curve(falling),
        usual={"learning_rate": PLANNED, "num_train_epochs": 30.0},
        per_device_train_batch_size=2,
        gradient_accumulation_steps=1,
    )
    assert values(prescribe(given)) == (after or {"gradient_accumulation_steps": 4, "num_train_epochs": 20.0})


def test_factors_are_said_as_plain_numbers():
    assert "the LR is x1/3000 of the 5e-4" in prescribe(asked("no_learning", rate=PLANNED / 3000)).changes[-1].why
    assert "the LR is x2500 of the 5e-4" in prescribe(asked("divergence", rate=2500 * PLANNED)).changes[-1].why


@pytest.mark.parametrize(("narrowest", "after"), [(40, 40), (128, 64), (32, None), (None, 64)])
def test_no_rank_above_the_narrowest_layer_is_prescribed(narrowest, after):
    usual = {} if narrowest is None else {"narrowest": narrowest}
    rule = rule_named("guide.underfit")
    assert rule is not None
    proposals = rule.propose(asked("underfit", usual=usual, lora_rank=32))
    ranks = [change for proposal in proposals for change in proposal.changes if change.key == "lora_rank"]
    assert [(change.after, change.factor) for change in ranks] == ([] if after is None else [(after, after / 32)])
