"""Scouting in made-up worlds: it finds the rate and the length, keeps to its budget, and always asks for the same."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tuner_worlds import EPOCH_TOKENS, PER_EPOCH, PLANNED, PRICES, ROWS, World

from tunewright.tuner.budget import Budget
from tunewright.tuner.scout import STRAIGHT_FACTOR, Scouted
from tunewright.tuner.scout import scout as scout_runs
from tunewright.tuner.scouting import Setting


def scout(world: World, epochs: float = 40.0, **given: Any) -> tuple[Scouted, list[str]]:
    said: list[str] = []
    options = {"goal": "eval", "planned": PLANNED, "budget": Budget(tokens=epochs * EPOCH_TOKENS), **given}
    setting = Setting(prices=lambda: PRICES, rows=ROWS, **options)
    return scout_runs(setting, make=world, tell=said.append), said


def test_the_first_round_is_a_bracket_on_the_same_batches() -> None:
    world = World()
    scout(world)
    probes = world.made[0]
    assert [order.recipe.learning_rate for order in probes] == [5e-4, 1e-3, 2e-3]
    assert len({(order.recipe.seed, order.recipe.num_train_epochs, order.recipe.warmup_steps) for order in probes}) == 1
    assert all(order.recipe.lr_scheduler_type == "constant" and order.recipe.average_share for order in probes)


@pytest.mark.parametrize("best", [2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3, 8e-3])
def test_the_rate_is_found_wherever_it_lies(best: float) -> None:
    scouted, _ = scout(World(best_rate=best))
    assert scouted.first.learning_rate == pytest.approx(
        STRAIGHT_FACTOR * best, rel=0.05
    )  # it falls all the way to zero
    assert scouted.first.lr_scheduler_type == "linear"


def test_the_bracket_goes_on_while_the_best_lies_at_its_edge() -> None:
    world = World(best_rate=8e-3)
    _, said = scout(world)
    rates = [order.recipe.learning_rate for orders in world.made for order in orders if order.phase == "probe"]
    assert rates == [5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2]
    assert any("lies at the edge" in line for line in said)


def test_rates_that_break_are_no_reason_to_go_higher() -> None:
    world = World(best_rate=4e-3, breaks_above=1.5e-3)
    scouted, said = scout(world)
    assert scouted.first.learning_rate == pytest.approx(STRAIGHT_FACTOR * 1e-3)
    assert any("was ended after step 20: non-finite" in line for line in said)


def test_a_neighbour_that_broke_does_not_race_for_it_left_nothing_to_go_on_from() -> None:
    world = World(breaks=(5e-4,))
    scout(world)
    broken = world.made[0][0]
    assert broken.recipe.learning_rate == 5e-4
    assert broken.name not in [order.after for orders in world.made for order in orders]
    assert any(order.phase in ("race", "trunk") for orders in world.made for order in orders)


def test_a_share_somebody_set_is_what_short_runs_average() -> None:
    world = World()
    scout(world, planned=PLANNED.changed(average_share=0.5))
    assert {order.recipe.average_share for order in world.made[0]} == {0.5}


@pytest.mark.parametrize(("given", "share"), [(frozenset[str](), 0.3), (frozenset({"average_share"}), 0.0)])
def test_a_last_run_whose_rate_is_held_keeps_its_mean_unless_somebody_said_otherwise(
    given: frozenset[str], share: float
) -> None:
    scouted, _ = scout(World(), planned=PLANNED.changed(lr_scheduler_type="constant"), given=given)
    assert scouted.first.average_share == share


def test_no_last_run_is_announced_that_the_budget_does_not_hold() -> None:
    scouted, said = scout(World(), epochs=12.0)
    left = 12.0 * EPOCH_TOKENS - scouted.spent.cost
    assert any(line.startswith("next:") for line in said) == (left >= 0.25 * PRICES(scouted.first).tokens)


def test_when_every_rate_breaks_lower_ones_are_tried() -> None:
    scouted, _ = scout(World(best_rate=1e-4, breaks_above=3e-4))
    assert scouted.first.learning_rate <= 5e-4


def test_a_longer_run_begins_where_the_shorter_one_ended() -> None:
    world = World()
    scout(world)
    known = {order.name: order for orders in world.made for order in orders}
    longer = [order for order in known.values() if order.after]
    assert longer
    for order in longer:
        before = known[order.after]
        assert order.at_step in before.kept_at
        assert order.recipe.learning_rate == before.recipe.learning_rate
        assert order.recipe.warmup_steps == before.recipe.warmup_steps
        assert order.at_step == round(before.recipe.num_train_epochs * PER_EPOCH)


@pytest.mark.parametrize("turns_at", [3.0, 6.0, 12.0])
def test_the_length_is_found_where_the_looks_of_a_trunk_turn(turns_at: float) -> None:
    world = World(turns_at=turns_at)
    scouted, said = scout(world, epochs=100.0, goal="balanced")
    best = min(range(5, 3000), key=lambda step: world.loss(scouted.first, step)) / PER_EPOCH
    assert scouted.first.num_train_epochs == pytest.approx(best, rel=0.45)
    assert any("no gain beyond noise" in line or "was ended" in line for line in said)


def test_without_a_turn_the_planned_length_stands() -> None:
    scouted, _ = scout(World(), epochs=16.0, goal="balanced")
    assert scouted.first.num_train_epochs == PLANNED.num_train_epochs


@pytest.mark.parametrize("epochs", [0.5, 2.0, 5.0, 9.0, 12.0, 16.0, 24.0, 60.0])
def test_where_old_skills_count_the_short_runs_leave_room_for_the_planned_one(epochs: float) -> None:
    scouted, said = scout(World(), epochs=epochs, goal="balanced")
    budget = epochs * EPOCH_TOKENS
    short = [step for step in scouted.steps if step.phase != "run"]
    planned = PLANNED.num_train_epochs * EPOCH_TOKENS
    assert sum(step.outcome.spent.cost for step in short) <= budget - min(planned, 0.8 * budget)
    assert scouted.spent.cost <= budget
    assert scouted.steps or any("no probes" in line for line in said)


@pytest.mark.parametrize("epochs", [0.5, 2.0, 5.0, 9.0, 12.0, 16.0, 24.0, 60.0])
def test_where_the_loss_alone_counts_they_may_take_all_of_it_and_no_more(epochs: float) -> None:
    scouted, said = scout(World(), epochs=epochs)
    assert scouted.spent.cost <= epochs * EPOCH_TOKENS
    assert scouted.steps or any("no probes" in line for line in said)


@pytest.mark.parametrize("epochs", [6.0, 10.0, 17.0])
def test_a_trunk_that_still_gained_goes_on_to_its_end_for_what_is_left(epochs: float) -> None:
    world = World(noise=0.0)
    scouted, said = scout(world, epochs)
    *_, before, [last] = world.made
    start = round(max(order.recipe.num_train_epochs for order in before) * PER_EPOCH)
    total = round(last.recipe.num_train_epochs * PER_EPOCH)
    assert (last.phase, last.at_step) == ("trunk", start)
    assert last.after in [order.name for order in before]
    assert last.recipe.lr_scheduler_type == "wsd"
    assert round(last.recipe.decay_share * total) == total - start  # the same run up to there
    assert not last.recipe.average_share
    assert {change.key for change in last.changes} >= {"lr_scheduler_type", "decay_share"}  # each with its reason
    assert 0 < total - start <= 0.5 * start
    assert scouted.spent.cost <= epochs * EPOCH_TOKENS
    assert any("its rate falls to zero" in line for line in said)


@pytest.mark.parametrize(("turns_at", "goal"), [(2.0, "eval"), (math.inf, "balanced")])
def test_a_trunk_that_turned_or_that_another_run_follows_does_not(turns_at: float, goal: str) -> None:
    world = World(turns_at=turns_at)
    scout(world, 17.0, goal=goal)
    assert not [order for orders in world.made for order in orders if order.recipe.lr_scheduler_type == "wsd"]


def test_what_is_left_goes_to_neighbours_of_the_last_run() -> None:
    scouted, said = scout(World(turns_at=3.0), epochs=100.0, goal="balanced")
    whole = [step.outcome.recipe for step in scouted.steps if step.phase == "run"]
    assert whole[0] == scouted.first
    assert len({(recipe.learning_rate, recipe.num_train_epochs, recipe.lora_rank) for recipe in whole}) == 5
    assert [recipe.lora_rank for recipe in whole] == [16, 16, 16, 16, 2]
    assert any("so beside it" in line for line in said)


def test_two_rates_that_tie_are_no_reason_for_two_trunks() -> None:
    world = World(best_rate=1.45e-3, noise=0.01)
    _, said = scout(world)
    trunks = [orders for orders in world.made if orders[0].phase == "trunk"]
    assert trunks
    assert all([order.recipe.learning_rate for order in orders] == [1e-3] for orders in trunks)
    assert "1e-3 and 2e-3 are a tie: the lower rate goes on" in said


def test_one_run_is_the_planned_one() -> None:
    scouted, said = scout(World(), budget=Budget(runs=1))
    assert (scouted.first, scouted.steps) == (PLANNED, ())
    assert said == ["no probes: the budget does not hold three probes of 20 steps beside the run they are for"]


def test_forgetting_seen_in_a_probe_is_answered_in_all_that_follows() -> None:
    world = World(forgets=0.3)
    scouted, said = scout(world, goal="balanced")
    assert all(order.recipe.replay is None for order in world.made[0])
    assert scouted.first.replay is not None
    assert "replay" in [change.key for change in scouted.changes]
    assert all(order.recipe.replay and not order.after for orders in world.made[1:] for order in orders)
    assert any("forgets" in line and "in every run from here" in line for line in said)


def test_under_goal_eval_nothing_is_done_about_forgetting() -> None:
    scouted, _ = scout(World(forgets=0.3), goal="eval")
    assert scouted.first.replay is None


def test_a_warm_up_somebody_set_is_kept() -> None:
    world = World()
    scouted, _ = scout(world, planned=PLANNED.changed(warmup_steps=3), given=frozenset({"warmup_steps"}))
    assert {order.recipe.warmup_steps for orders in world.made for order in orders} == {3}
    assert scouted.first.warmup_steps == 3


def test_the_same_outcomes_give_the_same_orders() -> None:
    one, other = World(turns_at=4.0), World(turns_at=4.0)
    scout(one), scout(other)
    assert [[(order.name, order.recipe) for order in orders] for orders in one.made] == [
        [(order.name, order.recipe) for order in orders] for orders in other.made
    ]


def test_every_difference_from_the_plan_has_a_reason() -> None:
    scouted, _ = scout(World(best_rate=2e-3, turns_at=4.0), epochs=100.0, goal="balanced")
    assert {change.key for change in scouted.changes} >= {"learning_rate", "num_train_epochs"}
    assert all(change.why and change.source and change.before != change.after for change in scouted.changes)
    assert math.isfinite(scouted.spent.cost)


@pytest.mark.parametrize(
    ("turns_at", "given", "ranks"),
    [
        (math.inf, frozenset[str](), {16}),
        (3.0, frozenset({"lora_rank"}), {16}),
        (3.0, frozenset[str](), {16, 2}),
    ],
)
def test_a_lower_rank_is_tried_only_where_longer_runs_brought_no_more(
    turns_at: float, given: frozenset[str], ranks: set[int]
) -> None:
    scouted, _ = scout(World(turns_at=turns_at), epochs=100.0, given=given, goal="balanced")
    assert {step.outcome.recipe.lora_rank for step in scouted.steps} == ranks
