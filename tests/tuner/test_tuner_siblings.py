"""The best run's last part again: where it begins, how many there are, and when there are none."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tuner_worlds import EPOCH_TOKENS, PER_EPOCH, PLANNED, PRICES, ROWS, World

from tunewright.tuner.budget import Budget
from tunewright.tuner.order import Order
from tunewright.tuner.scout import Scouted, scout
from tunewright.tuner.scouting import Setting
from tunewright.tuner.siblings import MOST


def made_with(world: World, epochs: float, **given: Any) -> tuple[Scouted, list[Order]]:
    """What scouting arrived at, and the siblings it ordered."""
    options = {"goal": "eval", "planned": PLANNED, "budget": Budget(tokens=epochs * EPOCH_TOKENS), **given}
    scouted = scout(Setting(prices=lambda: PRICES, rows=ROWS, **options), make=world)
    return scouted, [order for orders in world.made for order in orders if order.phase == "sibling"]


def test_they_share_the_best_runs_way_to_the_end_of_an_epoch_and_then_see_other_orders() -> None:
    world = World(turns_at=6.0)
    scouted, siblings = made_with(world, 100.0)
    known = {order.name: order for orders in world.made for order in orders}
    assert len(siblings) == MOST
    for order in siblings:
        assert order.recipe.reshuffle is not None
        assert 0 < order.at_step == order.recipe.reshuffle.from_epoch * PER_EPOCH < 6.0 * PER_EPOCH
        assert order.at_step in known[order.after].kept_at
        assert order.recipe.seed == known[order.after].recipe.seed == PLANNED.seed
        assert order.recipe.learning_rate == known[order.after].recipe.learning_rate
    seeds = {order.recipe.reshuffle.seed for order in siblings if order.recipe.reshuffle}
    assert len(seeds) == MOST
    assert PLANNED.seed not in seeds
    assert scouted.done


def test_they_end_a_little_past_the_lowest_loss() -> None:
    _, siblings = made_with(World(turns_at=6.0, noise=0.0), 100.0)
    [epochs] = {order.recipe.num_train_epochs for order in siblings}
    assert epochs == pytest.approx(1.2 * 6.0, rel=0.2)


def test_each_says_what_it_changes_and_why() -> None:
    _, siblings = made_with(World(turns_at=6.0), 100.0)
    for order in siblings:
        [change] = [change for change in order.changes if change.key == "reshuffle"]
        assert change.before is None
        assert change.after == order.recipe.reshuffle
        assert "with the rows in another order" in change.why


@pytest.mark.parametrize("epochs", [20.0, 26.0, 30.0, 34.0, 40.0])
def test_as_many_as_the_budget_holds_and_no_more(epochs: float) -> None:
    scouted, siblings = made_with(World(turns_at=6.0), epochs)
    assert len(siblings) <= MOST
    assert scouted.spent.cost <= epochs * EPOCH_TOKENS
    assert bool(siblings) == bool(scouted.done)


def test_a_larger_budget_makes_no_fewer() -> None:
    counts = [len(made_with(World(turns_at=6.0), epochs)[1]) for epochs in (24.0, 28.0, 32.0, 60.0)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] == MOST


@pytest.mark.parametrize(("turns_at", "goal"), [(math.inf, "eval"), (6.0, "balanced")])
def test_none_where_runs_still_gain_or_where_a_last_run_is_to_follow(turns_at: float, goal: str) -> None:
    scouted, siblings = made_with(World(turns_at=turns_at), 30.0, goal=goal)
    assert not siblings
    assert not scouted.done


def test_none_where_the_lowest_loss_comes_before_anything_was_kept() -> None:
    scouted, siblings = made_with(World(turns_at=0.4, late_costs=2.0), 100.0)
    assert not siblings
    assert not scouted.done


def test_none_where_the_untouched_model_was_best() -> None:
    scouted, siblings = made_with(World(start=0.2, turns_at=6.0), 100.0)
    assert not siblings
    assert not scouted.done


@pytest.mark.parametrize("given", [{"means": 0}, {"planned": PLANNED.changed(reshuffle={"from_epoch": 1, "seed": 3})}])
def test_none_without_a_mean_or_where_the_plan_has_an_order_of_its_own(given: dict[str, Any]) -> None:
    assert not made_with(World(turns_at=6.0), 100.0, **given)[1]


def test_none_where_an_epoch_is_one_step() -> None:
    planned = PLANNED.changed(per_device_train_batch_size=ROWS)
    assert not made_with(World(turns_at=6.0), 100.0, planned=planned)[1]


def test_a_budget_of_runs_is_used_up_to_the_last() -> None:
    world = World(turns_at=6.0)
    made_with(world, 100.0)
    before = sum(len(orders) for orders in world.made) - MOST
    _, siblings = made_with(World(turns_at=6.0), 100.0, budget=Budget(runs=before + 2))
    assert len(siblings) == 2
