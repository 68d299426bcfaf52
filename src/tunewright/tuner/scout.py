"""Short runs before the real one: which learning rate, for how long, and with general rows or without.

Pure but for what ``make`` does: given the same outcomes it asks for the same runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tunewright.planner.run_length import warmup_for
from tunewright.planner.words import figure, two_digits
from tunewright.prescribe.rule import describe_changes
from tunewright.schema.prescription import Change
from tunewright.schema.recipe import Recipe
from tunewright.tuner.bracket import bracket, probe_steps, race
from tunewright.tuner.budget import Spent
from tunewright.tuner.order import AVERAGE_SHARE, Maker
from tunewright.tuner.rungs import leader, turning_point
from tunewright.tuner.scouting import Scouting, Setting, changes_between
from tunewright.tuner.siblings import siblings
from tunewright.tuner.step import Step
from tunewright.tuner.trunk import lengthen, settle
from tunewright.tuner.tuning import LEAST_LAST_SHARE, PLANNED, STRAIGHT

DONE = "no change left whose predicted gain exceeds noise: longer runs were seen to bring no more"
"""Why a tuning ends with the siblings of its best run."""
STRAIGHT_FACTOR = 1.4
"""A rate that falls to zero over the whole run wants more than one that holds: about twice on one model of the bundled
size, no more than the same on three others tried (held ones decayed at their end there); so the middle, and twice
beside it where it fits."""
RANK_FACTOR = 8
"""How much lower the rank is that is tried beside the last run; a pack holds ranks up to this factor apart."""
LONGER_BAR = 1.25
"""Runs are not made longer than this past the length at which the loss of a trunk turned."""


LONGER = 1.4
NEIGHBOURS = ((1.0, 1.0), (1.4, 1.0), (1.0, LONGER), (0.7, 1.0))
"""(rate, epochs) of the last run and of those beside it, as factors; as many as the rest of the budget pays for."""


@dataclass(frozen=True)
class Scouted:
    """What scouting arrives at.

    first   : the recipe of the last run, still to be made unless ``done``; with what makes it differ from the plan
    steps   : the runs that were made, whole ones among them when there was room for several at once
    longest : epochs past which longer runs brought no more; None when none turned
    done    : why no run is to follow; empty when ``first`` is
    """

    first: Recipe
    changes: tuple[Change, ...]
    why: str
    steps: tuple[Step, ...]
    spent: Spent
    longest: float | None = None
    done: str = ""


def scout(
    setting: Setting,
    *,
    make: Maker,
    tell: Callable[[str], None] = lambda text: None,
    on_step: Callable[[tuple[Step, ...], Step], None] = lambda steps, best: None,
) -> Scouted:
    """Bracket, race, lengthen, siblings; without room for a bracket the plan is returned as it is.

    ``tell`` gets one line of plain text for every decision; ``on_step`` all runs and the best one after each round.
    """
    scouting = Scouting(setting, make=make, tell=tell, on_step=on_step)
    steps = probe_steps(scouting)
    if steps:
        bracket(scouting, steps)
        race(scouting)
        lengthen(scouting)
        settle(scouting)
        if siblings(scouting):
            return Scouted(scouting.recipe, scouting.replay, PLANNED, scouting.steps, scouting.used, done=DONE)
    if not scouting.alive:
        return Scouted(scouting.recipe, scouting.replay, PLANNED, scouting.steps, scouting.used)
    return _arrived(scouting)


def _arrived(scouting: Scouting) -> Scouted:
    """The last run at the rate and the length that the short ones speak for, with its neighbours where they fit."""
    longest = LONGER_BAR * scouting.target_epochs if scouting.turned else None
    recipes = [_last_recipe(scouting, rate, epochs) for rate, epochs in NEIGHBOURS]
    first, why = recipes[0], _reason(scouting)
    if scouting.turned and "lora_rank" not in scouting.setting.given and first.lora_rank >= RANK_FACTOR:
        # a low rank learns by heart later, so where longer runs brought no more it may be the better bound; last,
        # because beside the other runs it won 1 of 5 times, on three models
        recipes.append(_last_recipe(scouting, 1.0, LONGER).changed(lora_rank=first.lora_rank // RANK_FACTOR))
    changed = changes_between(scouting.setting.planned, first, why, "tuner.scout")
    if scouting.pays_for(LEAST_LAST_SHARE, first):
        scouting.tell(f"next: {describe_changes(changed) if changed else 'the rate and the length of the plan'}; {why}")
    orders = [scouting.whole(recipe, why, number) for number, recipe in enumerate(recipes)]
    fitting = () if scouting.replay else scouting.affordable(orders)
    if len(fitting) > 1:
        beside = "; ".join(_described(order.recipe) for order in fitting[1:])
        scouting.tell(f"the budget holds {len(fitting)} runs of this length, so beside it: {beside}")
        scouting.run(fitting)
    return Scouted(first, (*changed, *scouting.replay), why, scouting.steps, scouting.used, longest)


def _last_recipe(scouting: Scouting, rate_factor: float, epochs_factor: float) -> Recipe:
    planned = scouting.setting.planned
    rate, straight = _last_rate(scouting)
    epochs = round(scouting.target_epochs * epochs_factor, 1)
    recipe = scouting.recipe.changed(
        learning_rate=two_digits(rate * straight * rate_factor), num_train_epochs=epochs, max_steps=None
    )
    if recipe.lr_scheduler_type == "constant" and "average_share" not in scouting.setting.given:
        recipe = recipe.changed(average_share=recipe.average_share or AVERAGE_SHARE)  # or nothing settles the weights
    if scouting.keeps_warmup or epochs == planned.num_train_epochs:
        return recipe
    return recipe.changed(warmup_steps=warmup_for(round(epochs * scouting.per_epoch)))


def _last_rate(scouting: Scouting) -> tuple[float, float]:
    """The rate that the short runs speak for, and its factor under the last run's schedule.

    The rate is where the losses of the longest runs that compare three rates have their lowest point. With old skills
    at stake the factor is 1, and without a race among runs that keep them the plan is the limit.
    """
    planned = scouting.setting.planned
    if not scouting.current():
        return min(planned.learning_rate, leader(scouting.rungs).rate), 1.0
    if scouting.replay:
        return scouting.best().rate, 1.0
    best = scouting.best()
    between = turning_point([(rung.rate, rung.loss) for rung in scouting.rungs if rung.total == best.total])
    return between or best.rate, STRAIGHT_FACTOR if planned.lr_scheduler_type in STRAIGHT else 1.0


def _reason(scouting: Scouting) -> str:
    rate, factor = _last_rate(scouting)
    epochs = f"{scouting.target_epochs:.3g} epochs"
    planned = scouting.target_epochs == scouting.setting.planned.num_train_epochs
    longest = "as planned" if planned else "the longest that was made"
    length = "where the loss turned" if scouting.turned else f"{longest}, no loss had turned"
    if scouting.replay:
        return f"rate {figure(rate)}, no higher because old skills are at stake; {epochs}, {length}"
    higher = f", times {factor:g} because it falls all the way to zero" if factor != 1 else ""
    return f"learning rate {figure(two_digits(rate))} was best in the short runs{higher}; {epochs}, {length}"


def _described(recipe: Recipe) -> str:
    return f"{figure(recipe.learning_rate)} for {recipe.num_train_epochs:g} epochs at rank {recipe.lora_rank}"
