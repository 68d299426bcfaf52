"""What was promised beside what came, and what earlier uses of a rule lead to expect."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from prescribe_cases import GUIDE_CONFIG, case, curve, falling, past, turning

from tunewright.prescribe.prescribe import prescribe
from tunewright.prescribe.promise import (
    BUDGET_RULE,
    Promise,
    predicted_by,
    promise_of,
    rule_of,
    same_evaluation,
    score,
    tally,
)
from tunewright.schema import jsonio
from tunewright.schema.prescription import Change, Range

LONGER = Change(
    "num_train_epochs", 5.0, 7.5, 1.5, "still falling", "evidence.underfit", "S (2025)", Range(0.5, 0.4, 0.6)
)
CALM = case(made=curve(falling))


def promise(**more):
    return replace(promise_of([LONGER], parent="runs/a", before=0.7, least_gain=0.02), **more)


def test_a_promise_says_what_was_changed_and_what_is_expected():
    made = promise()
    assert (made.rule, made.parent, made.predicted) == ("evidence.underfit", "runs/a", Range(0.5, 0.4, 0.6))
    assert made.change == "num_train_epochs 5 -> 7.5"
    assert Promise.of_json(json.loads(jsonio.dumps(made))) == made


def test_steps_for_a_person_promise_nothing():
    look = Change("data", None, None, None, "look", "evidence.data", "S (2025)")
    assert promise_of([look], parent="a", before=0.7, least_gain=0.02) is None
    assert rule_of([look, LONGER]) == "evidence.underfit"


def test_a_run_cut_to_the_budget_is_not_the_run_that_was_predicted():
    cut = Change("num_train_epochs", 7.5, 6.0, 0.8, "budget", BUDGET_RULE, "S (2026)")
    assert predicted_by([LONGER]) == LONGER.predicted
    assert predicted_by([LONGER, cut]) is None
    assert rule_of([LONGER, cut]) == "evidence.underfit"


@pytest.mark.parametrize(
    ("loss", "inside", "error", "gain"),
    [(0.45, True, -0.05, 0.25), (0.6, True, 0.1, 0.1), (0.65, False, 0.15, 0.05), (math.nan, False, None, None)],
)
def test_a_loss_is_inside_its_range_or_not(loss, inside, error, gain):
    found = score(promise(), loss, None)
    assert found.inside is inside
    assert found.error == (None if error is None else pytest.approx(error))
    assert found.gain == (None if gain is None else pytest.approx(gain))


def test_without_a_range_only_the_gain_is_scored():
    found = score(promise(predicted=None), 0.5, None)
    assert (found.inside, found.error, found.hit) == (None, None, True)


@pytest.mark.parametrize(
    ("loss", "after", "hit"),
    [
        (0.60, case("underfit", made=curve(falling)), True),  # fell by more than noise: the finding may stay
        (0.69, CALM, True),  # the symptom is gone at no cost
        (0.69, case("underfit", made=curve(falling)), False),  # neither
        (0.75, CALM, False),  # gone, but clearly worse
        (0.69, case("divergence", made=curve(falling)), False),  # gone, but the run is sick
        (math.nan, CALM, False),
        (None, CALM, True),
        (0.69, None, False),
        (None, None, None),
    ],
)
def test_a_hit_is_a_symptom_gone_or_a_gain_beyond_noise(loss, after, hit):
    assert score(promise(), loss, after).hit is hit


def test_general_rows_may_cost_loss_when_forgetting_goes():
    given = promise(rule="evidence.forgetting")
    assert score(given, 0.75, CALM).hit is True
    assert score(given, 0.75, case("forgetting", made=curve(falling))).hit is False


def test_losses_on_other_rows_are_not_compared():
    bigger = Change("val_size", 0.1, 0.2, 2.0, "", "guide.overfit", "S (2025)", Range(0.5, 0.4, 0.6))
    made = promise_of([bigger], parent="a", before=0.7, least_gain=0.02)
    assert made.unlike == "val_size is another"
    found = score(made, 0.5, case("overfit", made=curve(turning)))
    assert (found.inside, found.error, found.gain, found.hit) == (None, None, None, False)


def test_the_seed_matters_only_where_it_splits_the_rows():
    assert not same_evaluation(GUIDE_CONFIG | {"seed": 0}, GUIDE_CONFIG | {"seed": 1})
    file = GUIDE_CONFIG | {"val": "val.jsonl"}
    assert same_evaluation(file | {"seed": 0}, file | {"seed": 1})
    assert not same_evaluation(file, GUIDE_CONFIG)


def test_a_tally_counts_only_what_can_be_judged():
    scored = [(promise(), score(promise(), loss, CALM)) for loss in (0.45, 0.55, 0.65)]
    other = promise(unlike="the rows have changed since")
    made = tally("evidence.underfit", [*scored, (other, score(other, 9.0, None))])
    assert (made.used, made.judged, made.hits) == (4, 3, 3)
    assert (made.predicted, made.inside) == (3, 2)
    assert made.mean_error == pytest.approx(0.05)
    assert made.mean_absolute_error == pytest.approx((0.05 + 0.05 + 0.15) / 3)
    assert made.ratios == pytest.approx([0.45 / 0.7, 0.55 / 0.7, 0.65 / 0.7])
    assert tally("evidence.underfit", []).mean_error is None


def test_three_earlier_uses_of_a_rule_give_a_range_and_two_do_not():
    given = {"made": curve(lambda step: 0.8 + 0.001 * (step % 7)), "record": {"evidence.oscillation": (0.9, 0.95, 1.0)}}
    change = prescribe(case("oscillation", **given)).changes[0]
    low = min(0.8 + 0.001 * (step % 7) for step in range(10, 101, 10))
    assert change.predicted.middle == pytest.approx(low * (0.9 * 0.95 * 1.0) ** (1 / 3))
    assert change.predicted.low < low * 0.9
    assert change.predicted.high > low
    two = {**given, "record": {"evidence.oscillation": (0.9, 0.95)}}
    assert prescribe(case("oscillation", **two)).changes[0].predicted is None


def test_a_change_that_helped_in_an_earlier_run_is_told_with_its_run():
    given = case("oscillation", made=curve(falling), history=(past("sweep-1/cell-2", 0.4, learning_rate=5e-5),))
    prescription = prescribe(given)
    assert "made already by sweep-1/cell-2, evaluation loss 0.4: go on from there" in prescription.why
    assert prescription.changes[0].predicted.middle == 0.4


def test_what_a_past_run_gave_goes_before_the_fit():
    fitted = prescribe(case("underfit", loss=0.8, made=curve(falling, epochs=5))).changes[0]
    earlier = past("train-9", 0.5, num_train_epochs=fitted.after)
    again = prescribe(case("underfit", loss=0.8, made=curve(falling, epochs=5), history=(earlier,))).changes[0]
    assert again.after == fitted.after
    assert again.predicted.middle == 0.5 != fitted.predicted.middle
