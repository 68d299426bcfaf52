"""Measurements in the plan: the noise scale against gradients of known noise, and the advice that follows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.planner.measured import GUIDE_MINIMUM, MOST_ADVISED, batch_advice, extra_rows, measured_memory
from tunewright.planner.measured_noise import FEWEST_ROWS, Floats, noise_scale
from tunewright.planner.planner import make_plan
from tunewright.planner.steps import steps_per_epoch
from tunewright.schema.facts import DataFacts, MachineFacts, ModelFacts
from tunewright.schema.measured import MeasuredPoint, MeasuredSide, Measurement, NoiseScale, Pace
from tunewright.schema.plan import Plan, PlannedValue

MEAN_TOKENS = 22.0


def gradients(random: np.random.Generator, N: int, P: int, noise: float) -> tuple[Floats, Floats]:
    """(inner products, tokens) of rows whose noise scale is ``noise``: token sums of one G plus uneven noise.

    s = n G + sqrt(n) xi with |G| = 1 and E|xi|^2 = noise x mean(n), so tr(Sigma) = E|s - n G|^2 / mean(n)^2 = noise.
    """
    spectrum = random.exponential(size=P) ** 2
    G = random.normal(size=P)
    tokens = random.integers(5, 40, size=N).astype(float)
    xi = random.normal(size=(N, P)) * np.sqrt(noise * MEAN_TOKENS * spectrum / spectrum.sum())
    rows = tokens[:, None] * G / np.linalg.norm(G) + np.sqrt(tokens)[:, None] * xi
    return rows @ rows.T, tokens


@pytest.mark.parametrize(("noise", "P"), [(1.0, 300), (8.0, 300), (8.0, 40), (40.0, 300)])
def test_the_interval_covers_the_truth_at_its_nominal_rate(noise: float, P: int) -> None:
    random = np.random.Generator(np.random.PCG64(int(noise) + P))
    found = [noise_scale(*gradients(random, 96, P, noise)) for _ in range(300)]
    told = [one for one in found if one.value is not None]
    assert len(told) > 285
    covered = np.mean([one.low <= noise <= one.high for one in told])  # type: ignore[operator]
    # nominal 0.95; its own standard error is 0.013, and a jackknife may be cautious but not bold
    assert covered > 0.915
    assert np.median([one.value for one in told]) == pytest.approx(noise, rel=0.06)  # type: ignore[type-var]
    assert np.median([one.high / one.low for one in told]) < 3.0  # type: ignore[operator]


def test_a_gradient_lost_in_noise_has_a_lower_bound_at_most() -> None:
    random = np.random.Generator(np.random.PCG64(5))
    found = [noise_scale(*gradients(random, 64, 40, 400.0)) for _ in range(200)]
    untold = [one for one in found if one.value is None]
    assert len(untold) > 180
    assert all(one.high is None and "do not tell the gradient from noise" in one.because for one in untold)
    wrong = np.mean([one.low is not None and one.low > 400.0 for one in untold])
    assert wrong < 0.06


def test_noise_alone_has_no_noise_scale() -> None:
    random = np.random.Generator(np.random.PCG64(6))
    told = 0
    for _ in range(200):
        rows = random.normal(size=(64, 100))
        told += noise_scale(rows @ rows.T, np.ones(64)).value is not None
    assert told / 200 < 0.06


def test_equal_gradients_and_few_rows_say_nothing() -> None:
    same = np.ones((40, 40))
    assert "the same gradient" in noise_scale(same, np.ones(40)).because
    assert "the same gradient" in noise_scale(np.zeros((40, 40)), np.ones(40)).because
    few = noise_scale(np.eye(FEWEST_ROWS - 1), np.ones(FEWEST_ROWS - 1))
    assert (few.value, few.low) == (None, None)
    assert "at least 16" in few.because
    assert noise_scale(np.zeros((0, 0)), np.zeros(0)).rows == 0


def test_a_row_that_is_not_finite_is_left_out() -> None:
    gram, tokens = gradients(np.random.Generator(np.random.PCG64(7)), 64, 200, 8.0)
    broken = gram.copy()
    broken[3, :] = broken[:, 3] = np.nan
    rest = [n for n in range(64) if n != 3]
    assert noise_scale(broken, tokens) == noise_scale(gram[np.ix_(rest, rest)], tokens[rest])


@given(scale=st.floats(1e-6, 1e6))
def test_the_unit_of_the_gradient_does_not_matter(scale: float) -> None:
    gram, tokens = gradients(np.random.Generator(np.random.PCG64(8)), 40, 60, 4.0)
    plain, scaled = noise_scale(gram, tokens), noise_scale(gram * scale, tokens)
    assert scaled.value == pytest.approx(plain.value)
    assert (scaled.low, scaled.high) == (pytest.approx(plain.low), pytest.approx(plain.high))


def test_every_row_twice_as_long_is_the_same_noise_scale_in_rows() -> None:
    """Our loss divides by the step's tokens: a row with its tokens doubled pulls twice in both."""
    gram, tokens = gradients(np.random.Generator(np.random.PCG64(9)), 40, 60, 4.0)
    assert noise_scale(gram * 4, tokens * 2).value == pytest.approx(noise_scale(gram, tokens).value)


# --- advice ---------------------------------------------------------------------------------------------------


def known(value: float, low: float, high: float) -> NoiseScale:
    return NoiseScale(20, 128, value, low, high, 20.0)


UNKNOWN = NoiseScale(20, 128, None, None, None, 20.0, "128 rows do not tell the gradient from noise")


def test_a_batch_far_above_the_noise_scale_is_made_smaller() -> None:
    advice = batch_advice(32, known(6.0, 5.0, 7.0), 20_000, 2)
    assert advice.effective == 8
    assert advice.why.startswith("measured: ")
    assert "more rows" in advice.why


def test_never_below_the_guides_least_unless_planned_so() -> None:
    assert batch_advice(16, known(1.0, 0.9, 1.1), 20_000, 2).effective == GUIDE_MINIMUM
    assert batch_advice(4, known(1.0, 0.9, 1.1), 100, 8).effective == 4


def test_a_wide_interval_or_none_changes_nothing_and_says_so() -> None:
    assert batch_advice(32, known(12.0, 2.0, 80.0), 20_000, 2).effective == 32
    kept = batch_advice(32, UNKNOWN, 20_000, 2)
    assert (kept.effective, kept.why) == (32, f"not enough evidence for another batch: {UNKNOWN.because}")


def test_a_large_noise_scale_allows_larger_steps_only_while_enough_are_left() -> None:
    assert batch_advice(16, known(900.0, 700.0, 1200.0), 50_000, 2).effective == MOST_ADVISED
    assert batch_advice(16, known(900.0, 700.0, 1200.0), 800, 8).effective == 16
    assert batch_advice(16, replace(UNKNOWN, low=700.0), 50_000, 2).effective == MOST_ADVISED


@given(
    planned=st.sampled_from([1, 2, 4, 8, 16, 32]),
    value=st.floats(0.1, 5000),
    width=st.floats(1, 100),
    rows=st.integers(20, 100_000),
    epochs=st.integers(1, 30),
)
def test_advice_keeps_its_bounds(planned: int, value: float, width: float, rows: int, epochs: int) -> None:
    noise = known(value, value / width, value * width)
    effective = batch_advice(planned, noise, rows, epochs).effective
    if effective < planned:
        assert effective >= GUIDE_MINIMUM
        assert planned > value * width
    if effective > planned:
        assert effective <= min(MOST_ADVISED, rows)
        assert steps_per_epoch(rows, effective) * epochs >= 300
        assert extra_rows(effective, value / width) <= 1.1 * extra_rows(planned, value / width) * (1 + 1e-9)


# --- the plan -------------------------------------------------------------------------------------------------

LAYER = ((128, 128),) * 4 + ((128, 344), (128, 344), (344, 128))
TINY = ModelFacts("tiny", "llama", 128, 4, 1000, 900_000, 512, LAYER * 4, 4.0)
CPU = MachineFacts("cpu", 16.0, False, 4)
DATA = DataFacts(20_000, 80, 1_000_000, 400_000, 110, 512, 20_000)
POINT = MeasuredPoint(1, 110, 1.0, 0.0, 0.1)
SIDE = MeasuredSide((POINT, replace(POINT, rows=16, peak_GiB=2.5)), 0.9, 0.1, told_apart=True)
FOUND = Measurement("now", "cpu", "lora", False, 110, SIDE, SIDE, (), Pace(1000.0, 4000.0, 16))


def planned(given: dict[str, object] | None = None, *, found: Measurement = FOUND, noise: NoiseScale = UNKNOWN) -> Plan:
    return make_plan(
        DATA,
        TINY,
        CPU,
        given={"data": "rows.jsonl", **(given or {})},
        measured=measured_memory(found),
        pace=found.pace,
        noise=noise,
    )


def value(made: Plan, key: str) -> PlannedValue:
    return next(one for one in made.values if one.key == key)


def test_measured_figures_are_the_predicted_ones() -> None:
    made = planned({"num_train_epochs": 2})
    batch = made.recipe.per_device_train_batch_size
    assert made.predicted.train_peak_GiB == pytest.approx(0.9 + batch * 0.1)
    evaluations = made.predicted.seconds * 4000.0 - made.predicted.tokens * 4.0  # type: ignore[operator]
    assert evaluations == pytest.approx(11 * 80 * 50, rel=0.2)


def test_the_noise_scale_changes_the_batch_with_its_reason() -> None:
    made = planned(noise=known(4.0, 3.5, 5.0))
    assert made.recipe.effective_batch_size == 8
    for key in ("per_device_train_batch_size", "gradient_accumulation_steps"):
        assert "measured: the gradient noise scale" in value(made, key).why
        assert "Large-Batch" in value(made, key).source
    assert planned().recipe.effective_batch_size > 8
    assert "not enough evidence" in value(planned(), "gradient_accumulation_steps").why


def test_what_the_user_set_survives_the_measurement() -> None:
    asked = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 8}
    made = planned(asked, noise=known(4.0, 3.5, 5.0))
    assert (made.recipe.per_device_train_batch_size, made.recipe.gradient_accumulation_steps) == (4, 8)
    assert value(made, "gradient_accumulation_steps").source == "given by you"


def test_a_size_that_ran_out_of_memory_is_never_planned() -> None:
    tight = replace(FOUND, train=replace(SIDE, per_row_GiB=0.0, told_apart=False, ceiling_rows=8))
    made = planned(found=tight)
    assert made.recipe.per_device_train_batch_size == 4
    assert made.recipe.effective_batch_size == planned().recipe.effective_batch_size
