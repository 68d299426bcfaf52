"""Single symptoms on curves made for them, each with the case that only looks alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_curves import FAULTY, STEPS, at_evals, cosine, fall, make, one_epoch

from tunewright.curve.read import read_curves
from tunewright.doctor.diagnose import diagnose
from tunewright.schema.curve import EMPTY, Curve, Series

FIXTURES = Path(__file__).parents[1] / "curve" / "fixtures"


def with_evals(*values: float, every: int = 30, train: np.ndarray | None = None) -> Curve:
    """A healthy training loss with evaluations at 0, every, 2 x every, ..."""
    line = fall(1.6, 0.8, 80, every * (len(values) - 1)) if train is None else train
    curve = make(line[1:], {}, 0, per_epoch=100)
    return replace(curve, eval_loss=Series.of([(i * every, v) for i, v in enumerate(values)]))


def with_losses(values: list[float], **series: Series) -> Curve:
    return Curve("test", "", Series.of(enumerate(values, start=1)), **series)


# --- real logs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "health", "first"),
    [
        ("healthy", "healthy", None),
        ("nan_hidden", "sick", "non_finite"),
        ("nan_shown", "sick", "non_finite"),
        ("all_masked", "sick", "all_masked"),
        ("frozen", "sick", "weights_not_updating"),
        ("too_hot", "sick", "divergence"),
        ("killed", "healthy", "prefix_log"),
    ],
)
def test_logs_of_the_real_trainer(name, health, first):
    diagnosis = diagnose(read_curves(FIXTURES / name)[0])
    assert diagnosis.health == health
    assert (diagnosis.findings[0].symptom if diagnosis.findings else None) == first


def test_nan_onset_is_the_step_after_the_poison():
    for name in ("nan_hidden", "nan_shown"):
        found = diagnose(read_curves(FIXTURES / name)[0]).finding("non_finite")
        assert found.steps == (41, 96)
        assert found.evidence["recovers"] is False
        assert found.evidence["last_finite_loss"] == pytest.approx(1.15085, abs=1e-4)


# --- non-finite --------------------------------------------------------------------------------------------------


def test_rounded_zeros_of_a_memorised_run_are_no_nan():
    losses = [*np.geomspace(2.0, 2e-4, 40), *[1e-4, 0.0, 1e-4, 0.0, 0.0] * 4]
    diagnosis = diagnose(with_losses(losses))
    assert not diagnosis.has("non_finite")
    assert not diagnosis.has("rows_masked")


def test_early_fp16_skips_are_normal():
    curve = one_epoch(0, 1)
    grads = np.ones(STEPS)
    grads[[0, 1, 2, 200]] = np.nan
    assert diagnose(replace(curve, grad_norm=Series(curve.loss.steps, grads))).health == "healthy"
    grads[: STEPS // 2 + 1] = np.inf
    assert diagnose(replace(curve, grad_norm=Series(curve.loss.steps, grads))).has("non_finite")


def test_a_nan_evaluation_is_never_hidden():
    curve = one_epoch(0, 1)
    evals = Series(curve.eval_loss.steps, np.full(len(curve.eval_loss), np.nan))
    found = diagnose(replace(curve, eval_loss=evals)).finding("non_finite")
    assert found.evidence["where"] == "eval_loss"


def test_isolated_zeros_are_masked_rows_and_name_them():
    curve = one_epoch(0, 1)
    values = curve.loss.values.copy()
    values[[20, 80, 140, 200, 250, 280, 285]] = 0.0
    grads = Series(curve.loss.steps, np.where(values == 0, 0.0, 1.0))
    rows = {step: (step * 10,) for step in range(1, STEPS + 1)}
    diagnosis = diagnose(replace(curve, loss=Series(curve.loss.steps, values), grad_norm=grads, batch_rows=rows))
    assert diagnosis.health == "warning"
    assert diagnosis.findings[0].symptom == "rows_masked"
    assert diagnosis.findings[0].rows[:2] == (210, 810)


def test_nothing_but_a_nan():
    assert diagnose(with_losses([float("nan")] * 20)).findings[0].symptom == "non_finite"


# --- worse than the start, divergence ----------------------------------------------------------------------------


@pytest.mark.parametrize("every", [10, 25])
def test_a_jump_within_the_first_logged_steps_is_worse_than_those(every):
    """1.4, then 7.0 to the end: the first logged loss is a mean of both, and the rest of the log is flat."""
    train = np.where(np.arange(600) < 8, 1.4, 7.0)
    evals = dict.fromkeys(range(100, 601, 100), 7.0)
    diagnosis = diagnose(make(train, evals, 0, every=every, per_epoch=200))
    assert diagnosis.health == "sick"
    assert f"the mean of the first {every} steps" in diagnosis.finding("worse_than_start").why
    later = make(train, evals, 0, every=every, per_epoch=200)
    assert diagnose(replace(later, loss=Series(later.loss.steps[1:], later.loss.values[1:]))).health == "healthy"


def test_a_rise_that_validation_confirms_needs_less_of_the_training_loss():
    """120 noisy steps whose loss rises by half in the second part."""
    steps = np.arange(1, 121)
    train = 0.9 + 0.8 * np.exp(-steps / 40) + 1.5 * np.maximum(0, steps / 120 - 0.5)
    evals = {int(step): float(train[step - 1]) for step in steps[19::20]}
    alone, confirmed = (
        [diagnose(make(train, given, seed, noise=0.12, per_epoch=40)).has("divergence") for seed in range(20)]
        for given in ({}, evals)
    )
    assert sum(confirmed) == 20
    assert sum(alone) < sum(confirmed)


def test_a_noisy_rise_through_the_level_is_no_oscillation():
    """30 epochs at a rate too high: the loss creeps up for half of the run and wavers about the middle of its rise."""
    steps = np.arange(391)
    line = (0.55 + 5 * np.exp(-steps / 8)) * np.exp(1.55 * np.clip((steps - 180) / 210, 0, 1))
    for seed in range(20):
        curve = make(line[1:], at_evals(line, 30), seed, every=5, noise=0.4, eval_noise=0.1, per_epoch=13)
        found = diagnose(curve)
        assert found.has("divergence"), seed
        assert not found.has("oscillation"), seed


def test_a_jump_between_evaluations_is_no_other_scale():
    train = np.where(np.arange(600) < 8, 1.4, 7.0)
    diagnosis = diagnose(make(train, {0: 1.4, 200: 7.0, 400: 7.0, 600: 7.0}, 0, every=10, per_epoch=200))
    assert diagnosis.findings[0].symptom == "worse_than_start"
    assert not diagnosis.has("scale_mismatch")


def test_a_coarse_log_hides_a_blow_up_and_step_0_shows_it():
    steps = np.arange(10, 121, 10)
    falling = Series(steps, np.linspace(4.97, 3.14, 12))
    alone = diagnose(Curve("test", "", falling))
    assert alone.health == "healthy"
    assert "mean over 10 steps" in next(a for a in alone.abstained if a.symptom == "worse_than_start").because
    evals = Series.of([(0, 2.43), (60, 4.0), (120, 3.2)])
    seen = diagnose(Curve("test", "", falling, eval_loss=evals))
    assert seen.findings[0].symptom == "worse_than_start"
    assert seen.findings[0].evidence["change"] == pytest.approx(3.2 / 2.43 - 1, rel=1e-3)


def test_uniform_output_is_recognised():
    train = np.concatenate([np.linspace(1.6, 12, 20), np.full(80, np.log(32000))])
    found = diagnose(make(train, {}, 0, noise=0.001)).finding("worse_than_start")
    assert found.evidence["uniform_over_vocabulary"] == 32000


def test_one_easy_first_batch_is_no_baseline():
    curve = one_epoch(0, 1)
    values = curve.loss.values.copy()
    values[0] = 1.15
    assert diagnose(replace(curve, loss=Series(curve.loss.steps, values), eval_loss=EMPTY)).health == "healthy"


def test_ordered_data_moves_training_only():
    line = fall(1.6, 1.2)
    train = line[1:] * np.where(np.arange(STEPS) > 200, 1.6, 1.0)
    diagnosis = diagnose(make(train, at_evals(line), 0))
    assert not diagnosis.has("divergence")
    assert any(a.symptom == "divergence" for a in diagnosis.abstained)
    assert diagnose(make(train, {}, 0)).has("divergence")


def test_a_hump_of_validation_that_comes_back_is_oscillation():
    values = (3.9, 3.3, 4.1, 3.5, 3.2, 2.7, 2.4, 2.25, 2.1)
    assert diagnose(with_evals(*values, train=fall(3.9, 2.0, 100, 240))).has("oscillation")
    calm = (3.9, 3.3, 3.35, 3.1, 2.9, 2.7, 2.4, 2.25, 2.1)
    assert not diagnose(with_evals(*calm, train=fall(3.9, 2.0, 100, 240))).has("oscillation")


# --- spikes ------------------------------------------------------------------------------------------------------


def spiky(places: list[int], rows: dict[int, tuple[int, ...]] | None = None) -> Curve:
    line = fall(1.6, 1.2)
    train = line[1:].copy()
    train[[step - 1 for step in places]] *= 4
    return make(train, at_evals(line), 0, rows=rows)


def test_a_lone_spike_is_information_and_names_its_rows():
    diagnosis = diagnose(spiky([200], {step: (2 * step - 1, 2 * step) for step in range(1, STEPS + 1)}))
    spike = diagnosis.finding("spike")
    assert diagnosis.health == "healthy"
    assert (spike.severity, spike.rows, spike.steps) == ("info", (399, 400), (200, 200))
    assert spike.evidence["factor"] == pytest.approx(4, rel=0.2)


def test_a_spike_that_returns_with_a_row_is_a_warning_naming_that_row():
    rows = {step: (step % 100, 100 + (step * 7) % 53) for step in range(1, STEPS + 1)}
    spike = diagnose(spiky([77, 177, 277], rows)).finding("spike")
    assert spike.severity == "warning"
    assert spike.rows == (77,)


def test_a_spike_that_stays_is_a_warning():
    line = fall(1.6, 1.2)
    train = line[1:].copy()
    train[199] *= 4
    train[200:] *= 1.16
    assert diagnose(make(train, {}, 0)).finding("spike").severity == "warning"


def test_gradient_first_tells_optimisation_from_data():
    grads = np.ones(STEPS) + 0.05 * np.sin(np.arange(STEPS))
    calm = replace(spiky([200]), grad_norm=Series(np.arange(1, STEPS + 1), grads))
    assert diagnose(calm).finding("spike").evidence["grad_norm_first"] is False
    wild = grads.copy()
    wild[198] = 30
    assert diagnose(replace(calm, grad_norm=Series(calm.loss.steps, wild))).finding("spike").evidence["grad_norm_first"]


# --- learning ----------------------------------------------------------------------------------------------------


def test_the_noise_of_batch_one_decides_nothing():
    line = np.full(STEPS + 1, 1.5)
    diagnosis = diagnose(make(line[1:], {}, 0, noise=0.3))
    assert diagnosis.health == "healthy"
    told = next(a for a in diagnosis.abstained if a.symptom == "no_learning")
    assert 0.1 < told.minimal_detectable_change < 0.6


def test_a_log_that_begins_after_the_fall_decides_nothing():
    flat = make(np.full(STEPS, 1.1), {}, 0, noise=0.01, every=10, rate=np.full(STEPS, 1e-4))
    diagnosis = diagnose(flat)
    assert not diagnosis.has("no_learning")
    assert any(a.symptom == "no_learning" for a in diagnosis.abstained)


def test_flat_from_the_first_step_is_no_learning():
    assert diagnose(make(np.full(STEPS, 1.1), {}, 0, noise=0.01)).has("no_learning")


def test_a_validation_gain_of_3_percent_is_learning():
    line = fall(1.3, 1.26, 100)
    assert diagnose(make(line[1:], at_evals(line), 0, noise=0.2)).health == "healthy"


def test_frozen_by_learning_rate_and_by_gradient():
    curve = replace(one_epoch(0, 1), eval_loss=EMPTY)
    zeros = Series(curve.loss.steps, np.zeros(STEPS))
    assert diagnose(replace(curve, learning_rate=zeros)).has("weights_not_updating")
    assert diagnose(replace(curve, grad_norm=zeros)).has("weights_not_updating")


def test_two_equal_evaluations_in_the_warm_up_are_no_frozen_model():
    curve = Curve("test", "", Series.of([(1, 2.0), (2, 2.0)]), eval_loss=Series.of([(0, 2.0), (2, 2.0)]))
    assert not diagnose(curve).has("weights_not_updating")


def test_plateau_only_while_the_learning_rate_is_high():
    line = fall(1.8, 1.2, 12)
    constant, decayed = np.full(STEPS, 1e-4), cosine(STEPS)
    assert diagnose(make(line[1:], at_evals(line), 0, rate=constant, noise=0.02)).has("plateau")
    assert not diagnose(make(line[1:], at_evals(line), 0, rate=decayed, noise=0.02)).has("plateau")


def test_underfit_predicts_the_log_fit():
    steps = np.arange(301)
    line = np.where(steps > 0, 2.0 - 0.15 * np.log(np.maximum(steps, 1)), 2.1)
    curve = make(line[1:], at_evals(line), 0, per_epoch=STEPS, eval_noise=0, rate=np.full(STEPS, 1e-4))
    found = diagnose(curve).finding("underfit")
    assert found.severity == "info"
    assert found.evidence["gain_one_more_epoch"] == pytest.approx(0.15 * np.log(2) / line[-1], rel=0.25)


def test_a_starved_run_under_a_decaying_rate_is_seen():
    rate = cosine(STEPS)
    line = 2.0 - 0.3 * np.concatenate([[0], np.cumsum(rate)]) / rate.sum()
    found = diagnose(make(line[1:], at_evals(line), 0, rate=rate)).finding("underfit")
    assert found.evidence["never_flattened"] is True


def test_a_prefix_is_not_underfit():
    starved = FAULTY["starved"][0](0, 1)
    diagnosis = diagnose(replace(starved, total_steps=1000))
    assert diagnosis.has("prefix_log")
    assert not diagnosis.has("underfit")


def test_a_single_epoch_without_evaluations_can_be_underfit_but_more_epochs_cannot():
    line = 2.0 - 0.6 * np.arange(STEPS + 1) / STEPS
    assert diagnose(make(line[1:], {}, 0, per_epoch=STEPS)).has("underfit")
    repeated = diagnose(make(line[1:], {}, 0, per_epoch=100))
    assert not repeated.has("underfit")
    assert any(a.symptom == "underfit" for a in repeated.abstained)


# --- overfitting -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evals", "expected"),
    [
        ((2.0, 1.4, 1.2, 1.25, 1.33, 1.45), True),
        ((2.0, 1.4, 1.2, 1.21, 1.22, 1.23), False),  # a creep of 2.5 %
        ((2.0, 1.4, 1.2, 1.22), False),  # stopped by patience right after the minimum
        ((2.0, 1.2, 1.5), True),  # a single rise, but of 25 %
        ((2.0, 1.4, 1.2, 1.3, 1.2, 1.21), False),  # up and down again
    ],
)
def test_overfit(evals, expected):
    assert diagnose(with_evals(*evals)).has("overfit") is expected


def test_overfit_with_one_evaluation_an_epoch_and_none_at_step_0():
    curve = with_evals(1.2, 1.2, 1.25, 1.45)
    later = Series(curve.eval_loss.steps[1:], curve.eval_loss.values[1:])
    assert diagnose(replace(curve, eval_loss=later)).has("overfit")


def test_overfit_evidence():
    found = diagnose(with_evals(2.0, 1.4, 1.2, 1.25, 1.33, 1.45)).finding("overfit")
    assert found.steps == (60, 150)
    assert found.evidence["rise"] == pytest.approx(0.2083, abs=1e-4)
    assert (found.evidence["rises"], found.evidence["grade"], found.evidence["best_step"]) == (3, "clear", 60)
    assert found.evidence["best_epoch"] == pytest.approx(0.6)


def test_both_losses_rising_is_no_overfitting():
    train = np.concatenate([fall(1.6, 0.8, 20, 60), np.linspace(0.9, 1.4, 90)])
    assert not diagnose(with_evals(2.0, 1.4, 1.2, 1.25, 1.33, 1.45, train=train)).has("overfit")


def test_overfitting_from_the_start_is_the_cause_of_a_worse_end():
    curve = with_evals(1.5, 1.6, 1.7, 1.9, 2.1, 2.4, train=fall(1.5, 0.2, 50, 150))
    assert [f.symptom for f in diagnose(curve).findings][:2] == ["overfit", "worse_than_start"]


def test_without_evaluations_overfitting_is_abstained_from():
    diagnosis = diagnose(replace(one_epoch(0, 1), eval_loss=EMPTY))
    assert "no validation loss" in next(a for a in diagnosis.abstained if a.symptom == "overfit").because


def test_epoch_steps_are_memorising():
    epoch = np.minimum(np.arange(STEPS) // 100, 2)
    curve = make(fall(1.6, 1.3, 30)[1:] * np.array([1.0, 0.7, 0.45])[epoch], {}, 0)
    found = diagnose(curve).finding("memorising")
    assert found.severity == "info"
    assert found.evidence["step_down"] == pytest.approx(0.33, abs=0.05)


# --- forgetting, log, schedule -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("end", "best", "expected"), [(1.05, 1.04, False), (1.3, 1.02, True), (1.3, 1.2, True)])
def test_forgetting(end, best, expected):
    general = Series.of([(0, 1.0), (150, best), (300, end)])
    line = fall(1.6, 1.2)
    evals = {0: 1.6, 150: 1.2, 300: 1.22}
    found = diagnose(replace(make(line[1:], evals, 0, eval_noise=0), general_loss=general)).finding("forgetting")
    assert (found is not None) is expected
    if found:
        assert found.severity == "warning"
        assert found.evidence["rise_at_end"] == pytest.approx(end - 1)
        assert (found.evidence["rise_at_best"], found.evidence["best_step"]) == (pytest.approx(best - 1), 150)


@pytest.mark.parametrize("change", [{"loss": -0.01}, {"objective": "reward"}])
def test_reinforcement_logs_are_refused(change):
    curve = one_epoch(0, 1)
    if "loss" in change:
        curve = replace(curve, loss=Series(curve.loss.steps, curve.loss.values - 1.5))
    else:
        curve = replace(curve, objective="reward")
    diagnosis = diagnose(curve)
    assert (diagnosis.health, diagnosis.findings[0].symptom) == ("unknown", "not_an_nll")
    assert diagnosis.guide_reading.final_loss is None
    assert {f.symptom for f in diagnosis.findings} == {"not_an_nll"}


@pytest.mark.parametrize("grads", [0.0, 0.3])
def test_a_loss_of_0_beside_rewards_is_no_masked_row_and_no_hidden_nan(grads):
    """GRPO starts at 0 and comes back there whenever all answers to a prompt are worth the same."""
    losses = [0.0, 0.0, 0.0, 1e-4, 0.0, 2e-4, 0.0, 1e-4, 0.0, 3e-4] * 3
    gradient = Series.of([(step, grads) for step in range(1, 31)])
    diagnosis = diagnose(with_losses(losses, grad_norm=gradient, objective="reward"))
    assert [finding.symptom for finding in diagnosis.findings] == ["not_an_nll"]
    assert {mark.ok for mark in diagnosis.checklist} == {None}


def test_a_nan_beside_rewards_is_found_by_its_gradient():
    gradient = Series.of([(step, 0.3 if step <= 10 else np.nan) for step in range(1, 21)])
    curve = with_losses([0.01] * 10 + [0.0] * 10, grad_norm=gradient, objective="reward")
    found = diagnose(curve).finding("non_finite")
    assert found is not None
    assert found.evidence["first_step"] == 11


@pytest.mark.parametrize("steps", [4, 5, 6])
def test_a_schedule_that_ends_at_zero_is_fine_however_few_its_points(steps):
    rates = [(step, 2e-4 * (1 - step / steps)) for step in range(1, steps + 1)]
    curve = with_losses([2 - 0.1 * step for step in range(steps)], learning_rate=Series.of(rates))
    assert not diagnose(curve).has("lr_zero_tail")


def test_validation_without_a_number_is_not_called_missing():
    curve = replace(with_losses([0.0] * 20), eval_loss=Series.of([(10, np.nan), (20, np.nan)]))
    said = next(one.because for one in diagnose(curve).abstained if one.symptom == "overfit")
    assert said == "no validation loss that is a number"


def test_what_underfit_says_of_the_end_and_of_more_training_is_true():
    falling = with_evals(1.5, 1.3, 1.2, 1.14, 1.1, 1.07, 1.045, 1.02)
    epochs = replace(falling, steps_per_epoch=70.0)
    why = {name: diagnose(one).finding("underfit").why for name, one in (("none", falling), ("known", epochs))}
    assert "is lowest at the end" in why["known"]
    assert why["known"].endswith("from one more epoch")
    unknown = diagnose(replace(falling, steps_per_epoch=None)).finding("underfit").why
    assert unknown.endswith("from half as many steps again")
    level = with_evals(1.5, 1.3, 1.2, 1.14, 1.1, 1.07, 1.045, 1.02, 1.0201)
    assert "is within noise of its lowest at the end" in diagnose(level).finding("underfit").why


def test_too_few_points():
    assert diagnose(with_losses([2.0, 1.9, 1.8])).health == "unknown"
    assert diagnose(Curve("test", "", EMPTY)).health == "unknown"
    assert diagnose(with_losses([2.0, float("nan")])).health == "sick"


def test_scale_mismatch_of_summed_losses():
    line = fall(1.6, 1.2)
    diagnosis = diagnose(make(16 * line[1:], at_evals(line), 0))
    assert diagnosis.finding("scale_mismatch").evidence["factor"] == pytest.approx(16, rel=0.05)
    assert not diagnosis.has("divergence")


def test_schedule_audit():
    line = fall(1.6, 1.2)
    early = np.concatenate([np.linspace(1e-4, 0, 150), np.zeros(150)])
    assert diagnose(make(line[1:], at_evals(line), 0, rate=early)).finding("lr_zero_tail").evidence["share"] > 0.4
    rising = np.linspace(0, 1e-4, STEPS)
    assert diagnose(make(line[1:], at_evals(line), 0, rate=rising)).has("warmup_too_long")
    prefix = replace(make(line[1:], at_evals(line), 0, rate=rising), total_steps=3000)
    assert not diagnose(prefix).has("warmup_too_long")
    for healthy in (cosine(STEPS), np.linspace(1e-4, 0, STEPS)):
        assert diagnose(make(line[1:], at_evals(line), 0, rate=healthy)).health == "healthy"


# --- schedule jumps, data seen in the curve -----------------------------------------------------------------------


def with_rate(rate: np.ndarray, **config: object) -> Curve:
    line = fall(1.6, 1.2)
    return replace(make(line[1:], at_evals(line), 0, rate=rate), config=config)


def test_a_lost_scheduler_state_is_a_jump():
    lost = np.concatenate([cosine(STEPS)[:150], cosine(STEPS)[:150]])
    found = diagnose(with_rate(lost)).finding("lr_jump")
    assert found.steps[0] in (150, 151, 152)
    assert found.evidence["highest_after"] > 1.5 * found.evidence["lowest_before"]
    assert diagnose(with_rate(lost[9::10].repeat(10))).has("lr_jump")


@pytest.mark.parametrize("cycles", [2, 3])
def test_a_schedule_that_restarts_on_purpose_is_no_jump(cycles):
    at = np.arange(STEPS) / STEPS * cycles % 1.0
    restarts = 2e-4 * 0.5 * (1 + np.cos(np.pi * at))
    assert not diagnose(with_rate(restarts)).has("lr_jump")
    assert not diagnose(with_rate(restarts + 1e-4, lr_scheduler_type="cosine_with_restarts")).has("lr_jump")


def test_the_shortest_warm_up_is_never_too_long():
    """One step of warm-up is half of a run of four: nothing shorter could be planned."""
    short = replace(make(fall(1.6, 1.2)[1:5], {}, 0, rate=np.array([0.0, 1e-4, 7e-5, 3e-5])), total_steps=4)
    assert not diagnose(short).has("warmup_too_long")
    later = replace(make(fall(1.6, 1.2)[1:5], {}, 0, rate=np.array([0.0, 5e-5, 1e-4, 5e-5])), total_steps=4)
    assert diagnose(later).has("warmup_too_long")


@pytest.mark.parametrize("warmup", [1, 30, 150])
def test_a_warm_up_is_no_jump(warmup):
    assert not diagnose(with_rate(cosine(STEPS, warmup))).has("lr_jump")


def test_few_logged_rates_are_enough_for_the_schedule():
    rising = make(fall(1.6, 1.2)[1:], {}, 0, every=50, rate=np.linspace(0, 1e-4, STEPS))
    assert diagnose(rising).has("warmup_too_long")
    early = np.concatenate([np.linspace(1e-4, 0, 90), np.zeros(210)])
    assert diagnose(make(fall(1.6, 1.2)[1:], {}, 0, every=50, rate=early)).has("lr_zero_tail")


def test_validation_that_does_not_follow_in_the_first_epoch_is_of_another_kind():
    train, flat = fall(2.4, 1.8), np.full(STEPS + 1, 2.6)
    found = diagnose(make(train[1:], at_evals(flat), 0, per_epoch=STEPS)).finding("val_shift")
    assert found.severity == "warning"
    assert found.evidence["eval_fell"] < 0.05 < found.evidence["train_fell"]
    assert not diagnose(make(train[1:], at_evals(train), 0, per_epoch=STEPS)).has("val_shift")
    assert not diagnose(make(train[1:], at_evals(flat), 0, per_epoch=50)).has("val_shift")  # repeated rows memorise


def test_answers_that_cannot_be_learned_keep_the_training_loss_up():
    train, evals = fall(3.5, 3.3), fall(2.8, 2.0)
    found = diagnose(make(train[1:], at_evals(evals), 0)).finding("noisy_labels")
    assert found.evidence["ratio"] == pytest.approx(2.0 / 3.3, rel=0.05)
    assert not diagnose(make(1.15 * evals[1:], at_evals(evals), 0)).has("noisy_labels")
    dropped = replace(make(train[1:], at_evals(evals), 0), config={"lora_dropout": 0.5})
    assert any(a.symptom == "noisy_labels" for a in diagnose(dropped).abstained)


def test_a_scale_is_told_from_noise_and_survives_memorising():
    line = fall(2.8, 0.4, 60)
    epoch = np.array([1.0, 0.7, 0.3])[np.minimum(np.arange(STEPS) // 100, 2)]
    assert diagnose(make(8 * line[1:] * epoch, at_evals(line), 0)).finding("scale_mismatch").evidence[
        "factor"
    ] == pytest.approx(8, rel=0.15)
    noisy = diagnose(make(fall(7.0, 6.5)[1:], at_evals(line), 0))
    assert not noisy.has("scale_mismatch")
    assert noisy.has("noisy_labels")


def test_a_training_loss_that_falls_on_after_validation_stopped_is_memorising():
    train = np.concatenate([fall(2.4, 1.2, 30, 100), fall(1.2, 0.2, 60, 140)[1:]])
    evals = {0: 2.4, 40: 1.6, 80: 1.3, 120: 1.28, 160: 1.3, 200: 1.29, 240: 1.31}
    found = diagnose(make(train[1:], evals, 0)).finding("memorising")
    assert found.severity == "info"
    assert found.evidence["ratio"] > 2


def test_an_early_blow_up_that_comes_back_between_evaluations_is_seen():
    at = np.arange(STEPS + 1)
    line = fall(2.3, 1.4, 80) + 3.0 * np.exp(-(((at - 20) / 8) ** 2))
    sparse = {0: 2.3, 150: float(line[150]), 300: float(line[300])}
    found = diagnose(make(line[1:], sparse, 0)).finding("oscillation")
    assert found.evidence["rise"] > 0.5
    assert not diagnose(make(fall(2.3, 1.4, 80)[1:], sparse, 0)).has("oscillation")


# --- spikes on slopes, in short logs, at the end ------------------------------------------------------------------


def test_a_spike_on_a_steep_descent_is_seen():
    line = fall(6.0, 0.05, 30)
    train = line[1:].copy()
    train[83] = 8.0
    assert diagnose(make(train, {}, 0, noise=0.02)).finding("spike").steps == (84, 84)


def test_a_spike_in_a_log_of_few_points_stands_above_both_neighbours():
    line = fall(1.6, 1.2)
    train = line[1:].copy()
    train[150:160] *= 3
    assert diagnose(make(train, {}, 0, every=10, noise=0.05)).has("spike")
    assert not diagnose(make(line[1:], {}, 0, every=10, noise=0.05)).has("spike")


def test_of_a_spike_at_the_very_end_nobody_knows_whether_it_comes_back():
    found = diagnose(spiky([STEPS - 1])).finding("spike")
    assert found.severity == "info"
    assert found.evidence["recovered"] is None
    assert "the log ends before" in found.why


def test_gradients_that_are_nan_to_the_end_of_a_coarse_log_are_not_averaged_away():
    curve = make(fall(1.6, 1.2)[1:], {}, 0, every=10)
    grads = np.ones(len(curve.loss))
    grads[-2:] = np.nan
    assert diagnose(replace(curve, grad_norm=Series(curve.loss.steps, grads))).has("non_finite")
    grads[-2], grads[3] = 1.0, np.nan
    assert not diagnose(replace(curve, grad_norm=Series(curve.loss.steps, grads))).has("non_finite")


@pytest.mark.parametrize(
    ("evals", "expected"), [((7.4, 2.7, 1.78, 1.97, 2.2), True), ((7.4, 2.7, 1.78, 1.80, 1.83), False)]
)
def test_few_evaluations_that_rise_every_time_are_not_taken_for_noise(evals, expected):
    assert diagnose(with_evals(*evals, train=fall(7.4, 1.1, 40, 120))).has("overfit") is expected


def test_validation_far_above_training_in_the_first_epoch_is_of_another_kind_even_without_step_0():
    train = fall(2.4, 0.4, 30)
    apart = {100: 7.0, 200: 6.9, 300: 7.0}
    assert diagnose(make(train[1:], apart, 0, per_epoch=STEPS)).has("val_shift")
    along = {step: float(train[step]) * 1.2 for step in apart}
    assert not diagnose(make(train[1:], along, 0, per_epoch=STEPS)).has("val_shift")


def test_a_blow_up_of_validation_is_no_shift():
    train = np.concatenate([np.linspace(4.5, 70, 30), fall(70, 3.4, 30, STEPS - 30)])
    values = (4.5, 75, 36, 20, 12, 7, 5.4, 4.2, 3.7, 3.5, 3.5)
    curve = make(train[1:], {30 * place: value for place, value in enumerate(values)}, 0, per_epoch=STEPS)
    assert not diagnose(curve).has("val_shift")
    assert diagnose(curve).has("oscillation")


def test_calm_evaluations_decide_where_batches_vary_too_much():
    line = fall(1.721, 1.707, 100)
    found = diagnose(make(line[1:], at_evals(line), 0, noise=0.15, eval_noise=0.0002)).finding("no_learning")
    assert found.evidence["eval_improvement"] < 0.01


def test_harder_training_rows_are_not_noise():
    line = fall(2.8, 2.0)
    assert not diagnose(make(1.4 * line[1:], at_evals(line), 0)).has("noisy_labels")


@pytest.mark.parametrize(
    ("config", "said"), [({}, True), ({"average_share": 0.0}, True), ({"average_share": 0.3}, False)]
)
def test_a_constant_rate_wants_a_decay_unless_the_mean_of_the_weights_is_kept(
    config: dict[str, float], said: bool
) -> None:
    line = fall(1.6, 0.8, 80)
    curve = make(line[1:], at_evals(line), 0, rate=np.full(STEPS, 1e-4), per_epoch=STEPS / 3)
    assert diagnose(replace(curve, config=config)).has("lr_constant") is said
