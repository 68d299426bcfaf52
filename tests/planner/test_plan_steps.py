"""The arithmetic of steps, against counting by hand."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.planner import steps
from tunewright.schema.recipe import Recipe


def recipe(**values: object) -> Recipe:
    return Recipe(model="tiny", data="rows.jsonl", **values)


@pytest.mark.parametrize(
    ("rows", "batch", "accumulation", "expected"),
    [(625, 8, 1, 79), (64, 8, 1, 8), (65, 8, 1, 9), (65, 8, 4, 3), (1, 8, 4, 1), (0, 8, 1, 0)],
)
def test_the_last_partial_batch_is_kept(rows: int, batch: int, accumulation: int, expected: int) -> None:
    assert steps.steps_per_epoch(rows, batch, accumulation) == expected


def test_epochs_may_be_broken_and_max_steps_rules() -> None:
    assert steps.total_steps(recipe(num_train_epochs=0.1, per_device_train_batch_size=1), 30) == 3
    assert steps.total_steps(recipe(num_train_epochs=2.5), 80) == 25
    assert steps.total_steps(recipe(num_train_epochs=2.5, max_steps=7), 80) == 7


def test_warm_up_of_either_kind() -> None:
    assert steps.warmup_steps(recipe(), 100) == 0
    assert steps.warmup_steps(recipe(warmup_ratio=0.03), 100) == 3
    assert steps.warmup_steps(recipe(warmup_ratio=0.1), 101) == 11
    assert steps.warmup_steps(recipe(warmup_steps=200), 100) == 200


def test_a_set_cadence_keeps_first_and_last() -> None:
    assert steps.evaluation_steps(recipe(eval_steps=7), 20) == {0, 7, 14, 20}
    assert steps.evaluation_steps(recipe(eval_steps=100), 20) == {0, 20}
    assert steps.save_steps(recipe(save_steps=6, eval_steps=7), 20) == {6, 12, 18, 20}
    assert steps.save_steps(recipe(eval_steps=7), 20) == {7, 14, 20}


def test_max_steps_with_known_epochs_counts_them() -> None:
    twenty = recipe(max_steps=200)
    assert steps.evaluation_every(twenty, 200, per_epoch=10) == 10
    assert steps.evaluation_every(twenty, 200) == 20


@given(rows=st.integers(1, 5000), batch=st.integers(1, 64), epochs=st.integers(1, 60))
@settings(max_examples=200, deadline=None)
def test_the_planned_cadence(rows: int, batch: int, epochs: int) -> None:
    asked = recipe(num_train_epochs=float(epochs), per_device_train_batch_size=batch)
    total = steps.total_steps(asked, rows)
    at = sorted(steps.evaluation_steps(asked, total))
    assert at[0] == 0
    assert at[-1] == total
    assert len(at) - 1 <= steps.MOST_EVALUATIONS
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    if epochs <= steps.MOST_EVALUATIONS:
        assert max(gaps) <= steps.steps_per_epoch(rows, batch)  # at least once per epoch
    assert max(gaps) <= math.ceil(total / steps.USUAL_EVALUATIONS)
