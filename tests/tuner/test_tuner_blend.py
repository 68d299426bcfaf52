"""Which runs are averaged, and when their mean is kept: measured by a table of losses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from tuner_worlds import PLANNED, World

from tunewright.schema.finding import Health
from tunewright.tuner.blend import MOST_TRIED, Blend, Measured, blend, candidates, means_within
from tunewright.tuner.budget import Budget
from tunewright.tuner.order import Order
from tunewright.tuner.step import Goal, Step


def step(name: str, loss: float | None, *, forgetting: float | None = None, health: Health = "healthy") -> Step:
    outcome = World().outcome(Order(name, PLANNED.changed(num_train_epochs=1.0), "run", (), ""))
    summary = replace(outcome.summary, eval_loss=loss, forgetting=forgetting)
    diagnosis = replace(outcome.diagnosis, health=health)
    return Step(replace(outcome, summary=summary, diagnosis=diagnosis), (), "", None)


def siblings(**losses: float) -> list[Step]:
    return [replace(step(name, loss), phase="sibling") for name, loss in losses.items()]


class Means:
    """Losses of means by the runs in them; every other mean is bad. ``asked``: which were measured."""

    def __init__(self, losses: Mapping[tuple[str, ...], float], forgetting: float | None = None) -> None:
        self.losses, self.forgetting = losses, forgetting
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, names: Sequence[str], *, forgetting: bool) -> Measured:
        self.asked.append(tuple(names))
        return Measured(self.losses.get(tuple(names), 9.0), self.forgetting if forgetting else None, 10)


def blended(steps: Sequence[Step], means: Means, goal: Goal = "eval") -> tuple[Blend | None, int]:
    return blend(steps, steps[0], measure=means, goal=goal)


def test_runs_are_added_from_the_best_on_where_the_mean_gets_better() -> None:
    steps = [step("a", 1.0), step("c", 1.2), step("b", 1.1)]
    means = Means({("a", "b"): 1.05, ("a", "c"): 0.9})
    assert blended(steps, means) == (Blend(("a", "c"), 0.9, None), 20)
    assert means.asked == [("a", "b"), ("a", "c")]


def test_a_mean_that_is_better_by_less_than_half_a_percent_is_left() -> None:
    steps = [step("a", 1.0), step("b", 1.1)]
    assert blended(steps, Means({("a", "b"): 0.996})) == (None, 10)
    assert blended(steps, Means({("a", "b"): 0.994}))[0] == Blend(("a", "b"), 0.994, None)


def test_runs_far_from_the_best_sick_ones_and_ones_without_a_loss_are_no_candidates() -> None:
    best = step("a", 1.0)
    others = [step("far", 1.3), step("ill", 1.1, health="sick"), step("none", None), step("nan", math.nan)]
    assert [one.outcome.name for one in candidates([best, *others, step("b", 1.2)], best)] == ["b"]
    many = [best, *(step(f"r{i}", 1.01 + i / 100) for i in range(9))]
    assert [one.outcome.name for one in candidates(many, best)] == [f"r{i}" for i in range(MOST_TRIED)]


@pytest.mark.parametrize(("forgotten", "kept"), [(0.05, True), (0.5, False), (math.nan, False)])
def test_under_goal_balanced_a_mean_that_forgets_is_left(forgotten: float, kept: bool) -> None:
    steps = [step("a", 1.0, forgetting=0.02), step("b", 1.1)]
    found, _ = blended(steps, Means({("a", "b"): 0.9}, forgotten), "balanced")
    assert (found is not None) is kept


def test_under_goal_balanced_a_mean_may_forget_as_much_as_the_best_run() -> None:
    steps = [step("a", 1.0, forgetting=0.5), step("b", 1.1)]
    assert blended(steps, Means({("a", "b"): 0.9}, 0.4), "balanced")[0] == Blend(("a", "b"), 0.9, 0.4)


def test_as_many_means_are_measured_as_three_percent_of_the_budget_pay_for() -> None:
    assert means_within(Budget(tokens=10_000.0), 100.0) == 6
    assert means_within(Budget(tokens=9_999.0), 100.0) == 5
    assert means_within(Budget(tokens=1_600.0), 100.0) == 0
    assert means_within(Budget(), 100.0) == MOST_TRIED + 1


def test_no_more_means_are_measured_than_were_paid_for() -> None:
    steps = [step("a", 1.0), step("b", 1.1), step("c", 1.2)]
    means = Means({("a", "b"): 0.95, ("a", "b", "c"): 0.9})
    assert blend(steps, steps[0], measure=means, goal="eval", most=1)[0] == Blend(("a", "b"), 0.95, None)
    assert means.asked == [("a", "b")]
    assert blend(steps, steps[0], measure=Means({}), goal="balanced", most=1) == (None, 0)


@pytest.mark.parametrize(("loss", "kept"), [(0.9, True), (1.004, True), (1.006, False)])
def test_the_mean_of_siblings_is_kept_unless_it_is_worse_by_more_than_half_a_percent(loss: float, kept: bool) -> None:
    steps = [step("a", 1.0), *siblings(b=1.1, c=1.12)]
    found, tokens = blended(steps, Means({("a", "b", "c"): loss}))
    assert found == (Blend(("a", "b", "c"), loss, None) if kept else None)
    assert tokens == (10 if kept else 30)


def test_other_runs_join_the_mean_of_siblings_where_it_gets_better() -> None:
    steps = [step("a", 1.0), step("d", 1.05), *siblings(b=1.1, c=1.12)]
    means = Means({("a", "b", "c"): 1.001, ("a", "b", "c", "d"): 0.99})
    assert blended(steps, means)[0] == Blend(("a", "b", "c", "d"), 0.99, None)


def test_all_siblings_are_in_their_mean_however_many_other_runs_are_better() -> None:
    steps = [
        step("a", 1.0),
        *(step(f"r{i}", 1.01 + i / 100) for i in range(9)),
        *siblings(b=1.2, c=1.21, d=1.22, e=1.23),
    ]
    names = [one.outcome.name for one in candidates(steps, steps[0])]
    assert names == ["r0", "b", "c", "d", "e"]
    means = Means({})
    blended(steps, means)
    assert means.asked[0] == ("a", "b", "c", "d", "e")


def test_a_run_that_kept_the_weights_of_another_is_measured_once() -> None:
    steps = [step("a", 1.0), step("longer a", 1.0), step("b", 1.1), *siblings(c=1.1, d=1.12)]
    assert [one.outcome.name for one in candidates(steps, steps[0])] == ["b", "d"]


def test_one_sibling_is_a_run_like_the_others() -> None:
    assert blended([step("a", 1.0), *siblings(b=1.1)], Means({("a", "b"): 1.001})) == (None, 10)


def test_one_sibling_is_measured_once() -> None:
    means = Means({})
    assert blended([step("a", 1.0), *siblings(b=1.1)], means) == (None, 10)
    assert means.asked == [("a", "b")]
