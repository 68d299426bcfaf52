"""Which learning rate: three around the planned one, more while the best lies at the edge, the likely for longer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunewright.doctor.thresholds import FORGETTING_NATS
from tunewright.planner.run_length import warmup_for
from tunewright.planner.words import figure, two_digits
from tunewright.prescribe.prescribe import prescribe
from tunewright.prescribe.rule import describe_changes
from tunewright.tuner.order import Order
from tunewright.tuner.rungs import Rung, better, leader
from tunewright.tuner.scouting import Scouting, listed
from tunewright.tuner.tuning import case_of

FACTOR = 2.0
"""Learning rates a factor 2 apart: 0.43 % of loss on average for being one off, over 26 public models."""
LEAST_STEPS = 20
"""A probe shorter than this says more about its warm-up than about its rate."""
USUAL_STEPS = 40
EPOCH_SHARE, RUN_SHARE = 0.25, 1 / 16
"""A probe wants this much of an epoch and of the planned run, if that is more than 40 steps."""
BRACKET_SHARE = 0.6
"""Of what the short runs may spend, the three probes take this; the rest is for what they show to be needed."""
MOST_WIDENINGS = 3
RACE_FACTOR = 2.5
"""How much longer a race is than a probe."""


def probe_steps(scouting: Scouting) -> int:
    """Steps of a probe, as many as wanted or as the budget allows; 0 when even short ones do not fit."""
    planned_steps = scouting.setting.planned.num_train_epochs * scouting.per_epoch
    steps = math.floor(max(USUAL_STEPS, EPOCH_SHARE * scouting.per_epoch, RUN_SHARE * planned_steps))
    rates = bracket_rates(scouting)
    while steps >= LEAST_STEPS and not scouting.fits(_probes(scouting, rates, steps), share=BRACKET_SHARE):
        steps = min(steps - 1, math.floor(0.9 * steps))
    if steps >= LEAST_STEPS:
        return steps
    scouting.tell(
        f"no probes: the budget does not hold three probes of {LEAST_STEPS} steps beside the run they are for"
    )
    return 0


def bracket_rates(scouting: Scouting) -> list[float]:
    middle = scouting.setting.planned.learning_rate
    return [two_digits(middle / FACTOR), middle, two_digits(middle * FACTOR)]


def _probes(scouting: Scouting, rates: Sequence[float], steps: int) -> list[Order]:
    why = f"probing the learning rate: {steps} steps on the same batches, the mean of the weights measured"
    return [scouting.order("probe", rate, steps, why, number=number) for number, rate in enumerate(rates)]


def bracket(scouting: Scouting, steps: int) -> None:
    """Three rates around the planned one, and further ones while the best lies at the edge of what was tried."""
    rates = bracket_rates(scouting)
    scouting.warmup = _warmup(scouting, steps)
    scouting.tell(
        f"probing learning rates {listed(rates)}: {steps} steps each ({steps / scouting.per_epoch:.2g} epochs), side "
        "by side on the same batches; what is compared is the mean of their weights, as settled as after a decay"
    )
    scouting.run(_probes(scouting, rates, steps))
    mind_old_skills(scouting)
    for _ in range(MOST_WIDENINGS):
        best, further = leader(scouting.rungs), _beyond(scouting)
        if further is None:
            return
        orders = _probes(scouting, [further], steps)
        if not scouting.fits(orders):
            scouting.tell(f"{figure(best.rate)} lies at the edge, but the budget has no room for {figure(further)}")
            return
        scouting.tell(f"{figure(best.rate)} lies at the edge of what was tried: {figure(further)} is probed too")
        scouting.run(orders)


def _warmup(scouting: Scouting, steps: int) -> int:
    given = scouting.setting.planned.warmup_steps if scouting.keeps_warmup else None
    return max(2, min(warmup_for(scouting.per_epoch), steps // 5)) if given is None else given


def _beyond(scouting: Scouting) -> float | None:
    """The next rate past the edge that the best lies at; None when it lies inside."""
    tried, best = [rung.rate for rung in scouting.rungs], leader(scouting.rungs)
    if best.rate == min(tried) or not math.isfinite(best.loss):
        return two_digits(min(tried) / FACTOR)
    # where old skills are already being lost a higher rate would lose more
    if best.rate == max(tried) and not scouting.replay:
        return two_digits(best.rate * FACTOR)
    return None


def mind_old_skills(scouting: Scouting) -> None:
    """When the best probe already forgets, all that follows mixes in general rows."""
    best = leader(scouting.rungs)
    if scouting.setting.goal != "balanced" or best.forgetting <= FORGETTING_NATS.value:
        return
    asked = prescribe(case_of(scouting.steps, best.step, scouting.setting.rows), "evidence")
    scouting.replay = tuple(change for change in asked.changes if change.key == "replay")
    if scouting.replay:
        scouting.recipe = scouting.recipe.changed(replay=scouting.replay[0].after)
        scouting.tell(
            f"{best.name} forgets {best.forgetting:.2f} nats per token after {best.total} steps, above "
            f"{FORGETTING_NATS.value:g}: {describe_changes(scouting.replay)} in every run from here"
        )


def race(scouting: Scouting) -> None:
    """The leader and its neighbours for longer: short runs favour high rates, so the lower one always goes on."""
    best = leader(scouting.rungs)
    if not math.isfinite(best.loss):
        return
    field = _field(scouting, best)
    plain = scouting.setting.prices().per_epoch(scouting.setting.planned)
    total = round(RACE_FACTOR * best.total * scouting.per_epoch / plain)
    orders = [scouting.longer("race", rung, total, number) for number, rung in enumerate(field)]
    # with old skills at stake the planned run is what must stay in reach, else one as long as the race
    last_epochs = None if scouting.replay else total / scouting.per_epoch
    if len(field) > 2 and not scouting.fits(orders, last_epochs=last_epochs):
        field, orders = field[:2], orders[:2]
    if len(field) < 2 or not scouting.fits(orders, last_epochs=last_epochs):
        scouting.tell(f"learning rate {figure(best.rate)}: no race, {scouting.no_room}")
        return
    rates = listed(sorted(rung.rate for rung in field))
    scouting.tell(f"racing {rates} to {total} steps: short runs favour high rates, so the lower neighbour goes on too")
    scouting.run(orders)


def _field(scouting: Scouting, best: Rung) -> list[Rung]:
    """Who races, the most likely to win first. Where old skills are at stake only lower rates: they keep more."""
    near = sorted((rung for rung in scouting.rungs if rung.whole), key=lambda rung: rung.rate)  # others left no end
    place = near.index(best)
    lower, upper = near[max(0, place - 1) : place], near[place + 1 : place + 2]
    if scouting.replay:
        return [*lower, best, *near[max(0, place - 2) : max(0, place - 1)]]
    return [*lower, best, *(rung for rung in upper if not better(best, rung))]
