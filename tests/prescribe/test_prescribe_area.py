"""How long a run should be, by the area under its learning rate; and bumps that are one batch's doing."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from prescribe_cases import GUIDE_CONFIG, case, curve, falling, finding, turning

from tunewright.doctor.diagnose import diagnose
from tunewright.prescribe.evidence.area import share_of_area, with_warmup
from tunewright.prescribe.prescribe import prescribe
from tunewright.prescribe.rule import is_step
from tunewright.schema.curve import Series

STEPS = range(1, 101)


def rates(shape):
    return Series.of((step, 1e-3 * shape(step / 100)) for step in STEPS)


def linear(at):
    return 1 - at


def cosine(at):
    return (1 + math.cos(math.pi * at)) / 2


def warming(share):
    """A constant rate after a warm-up of that share."""
    return lambda at: min(1.0, at / share)


def values(prescription):
    return {change.key: change.after for change in prescription.changes if not is_step(change)}


@pytest.mark.parametrize(
    ("shape", "share"),
    [
        (linear, 0.4 * 2 - 0.4**2),
        (cosine, 0.4 + math.sin(0.4 * math.pi) / math.pi),
        (lambda at: 1.0, 0.4),
    ],
)
def test_the_share_of_the_area_is_that_of_the_schedule(shape, share):
    given = case(made=curve(turning, learning_rate=rates(shape)))
    assert share_of_area(given, 40) == pytest.approx(share, abs=0.01)


def test_without_rates_the_share_is_that_of_the_steps():
    assert share_of_area(case(made=curve(turning)), 40) == 0.4
    assert share_of_area(case(), 40) == pytest.approx(0.4)


def test_an_overfit_run_is_cut_midway_between_the_steps_and_the_area_of_its_lowest_evaluation():
    prescription = prescribe(case("overfit", made=curve(turning, learning_rate=rates(linear))))
    # lowest at step 40 of 100 with 64 % of the area of a straight line behind it: 5 epochs x sqrt(0.40 x 0.64) = 2.53
    assert values(prescription)["num_train_epochs"] == pytest.approx(2.53, abs=0.03)
    assert "64% of the area" in prescription.why


def test_an_overfit_run_whose_rate_never_came_down_gets_a_cosine_midway_too():
    config = {**GUIDE_CONFIG, "lr_scheduler_type": "constant"}
    made = curve(turning, learning_rate=rates(lambda at: 1.0))
    prescription = prescribe(case("overfit", "lr_constant", made=made, config=config))
    # 40 % of the steps, and 80 % of them have the area spent by then: 5 epochs x sqrt(0.40 x 0.80) = 2.83
    assert values(prescription) == {"lr_scheduler_type": "cosine", "num_train_epochs": 2.8}


def test_a_run_that_keeps_the_mean_of_its_weights_needs_no_decay():
    config = {**GUIDE_CONFIG, "lr_scheduler_type": "constant", "average_share": 0.3}
    made = replace(curve(turning, learning_rate=rates(lambda at: 1.0)), config=config)
    named = [finding.symptom for finding in diagnose(made).findings]
    assert "overfit" in named
    assert values(prescribe(case(*named, made=made, config=config))) == {"num_train_epochs": 2.0}


@pytest.mark.parametrize(("loss_at_end", "cut"), [(1.4, True), (1.05, False)])
def test_rows_learned_by_heart_are_a_reason_to_stop_once_validation_clearly_turned(loss_at_end, cut):
    def turned(step):
        return 1.0 if step <= 40 else 1.0 + (loss_at_end - 1.0) * (step - 40) / 60

    heart = finding("memorising", (40, 100), evals_since=6, ratio=9.0)
    prescription = prescribe(case(heart, made=curve(turned)))
    assert values(prescription) == ({"num_train_epochs": 0.5} if cut else {})
    assert prescription.keep is not cut


def test_steps_at_epoch_boundaries_alone_shorten_nothing():
    assert prescribe(case("memorising", made=curve(turning))).keep


@pytest.mark.parametrize(("symptom", "tail"), [("lr_zero_tail", 50), ("lr_jump", 100)])
def test_a_schedule_put_right_on_an_overfit_run_comes_with_its_cut(symptom, tail):
    both = prescribe(case(finding(symptom, (tail, 100)), "overfit", made=curve(turning)))
    # 40 % of the steps were worth it; a schedule that ended half-way and is stretched has that area in half as many
    wanted = round(5.0 * 0.4 * math.sqrt(tail / 100 if symptom == "lr_zero_tail" else 1.0), 1)
    assert [change.key for change in both.changes] == ["lr_scheduler_type", "num_train_epochs"]
    assert values(both)["num_train_epochs"] == pytest.approx(wanted)
    alone = prescribe(case(finding(symptom, (tail, 100)), made=curve(falling)))
    assert [change.key for change in alone.changes] == ["lr_scheduler_type"]


def test_a_shorter_warm_up_keeps_the_area_of_a_run_that_had_turned():
    made = curve(turning, learning_rate=rates(warming(0.6)))
    changed = values(prescribe(case("warmup_too_long", made=made)))
    # a mean of 0.70 before, 0.05 / 2 + 0.95 = 0.975 after
    assert changed["warmup_ratio"] == 0.05
    assert changed["num_train_epochs"] == pytest.approx(5.0 * 0.70 / 0.975, rel=0.02)
    assert values(prescribe(case("warmup_too_long", made=curve(falling, learning_rate=rates(warming(0.6)))))) == {
        "warmup_ratio": 0.05
    }


def test_a_line_that_never_came_down_again_is_followed_by_the_schedule_that_is_set():
    rising = curve(turning, learning_rate=rates(lambda at: at))
    assert with_warmup(case(made=rising), 0.05) == 1.0
    constant = case(made=rising, config={**GUIDE_CONFIG, "lr_scheduler_type": "constant"})
    assert with_warmup(constant, 0.05) == pytest.approx(0.505 / 0.975, rel=0.01)
    assert with_warmup(case(made=curve(turning)), 0.05) == 1.0


@pytest.mark.parametrize(("spike_at", "keys"), [((75, 78), ["data"]), ((45, 48), ["learning_rate"])])
def test_one_rise_right_after_a_spike_is_looked_at_in_the_rows(spike_at, keys):
    def train(step):
        calm = 2.0 - 0.3 * math.log(step) + 0.01 * math.sin(7.0 * step)
        return 30.0 if spike_at[0] <= step <= spike_at[1] else calm

    bump = finding("oscillation", (10, 80), peak_step=80, rise=1.0)
    prescription = prescribe(case(bump, made=curve(falling, train_of=train)))
    assert [change.key for change in prescription.changes] == keys
