"""For how long: the best run goes on, each time to a greater length, until it brought no more than noise.

Where the budget ends that first, the best goes on once more for what is left of it, and its rate comes down: no new run
that is shorter than one that still gained would end below it.
"""

from __future__ import annotations

import math

from tunewright.planner.words import figure
from tunewright.tuner.order import Order
from tunewright.tuner.rungs import Rung, better, difference, leader, turning_point
from tunewright.tuner.scouting import LAST_SHARE, Scouting

GROWTH, LATE_GROWTH = 2.0, 1.5
"""How much longer the next length is, up to the planned one; beyond it, and where twice is too much to pay."""

LEAST_TAIL = 0.05
"""Of its length so far: a run goes on to its end for at least this."""


def lengthen(scouting: Scouting) -> None:
    """One goes on while its last length gained more than noise: the best, or the lowest rate that ties with it."""
    if not any(math.isfinite(rung.loss) for rung in scouting.current()):
        return
    longer: Rung | None = _first(scouting)
    while longer is not None:
        shorter = _shorter(scouting, longer)
        if shorter is not None and not (longer.whole and better(longer, shorter)):
            scouting.turned = True
            _say_turned(scouting, shorter, longer)
            scouting.target_epochs = _turn(longer) / scouting.per_epoch
            return
        longer = _next_length(scouting, longer)


def settle(scouting: Scouting) -> None:
    """The best to its end, for what is left of the budget, unless longer runs brought no more or one is to follow."""
    if scouting.turned or LAST_SHARE[scouting.setting.goal] > 0 or not scouting.alive:
        return
    best = scouting.best()
    longest = round(LATE_GROWTH * best.total)
    order = _to_its_end(scouting, best, longest)
    while not scouting.fits([order], spare_runs=0) and longest > best.total:
        longest = min(longest - 1, best.total + math.floor(0.95 * (longest - best.total)))
        order = _to_its_end(scouting, best, longest)
    if longest >= (1 + LEAST_TAIL) * best.total:
        scouting.tell(f"{best.name} still gained: it goes on to step {longest}, and its rate falls to zero on the way")
        scouting.run([order])


def _to_its_end(scouting: Scouting, trunk: Rung, total: int) -> Order:
    """The same run, longer: from where the shorter one ended its rate falls to zero."""
    return scouting.order(
        "trunk",
        trunk.rate,
        total,
        f"{trunk.name} goes on from step {trunk.total} to {total}, its rate falling to zero",
        after=trunk.name,
        start=trunk.total,
        lr_scheduler_type="wsd",
        decay_share=1 - trunk.total / total,
        average_share=scouting.setting.planned.average_share,
    )


def _shorter(scouting: Scouting, longer: Rung) -> Rung | None:
    """The run that this one went on from, or the next shorter one at its rate; None for the shortest."""
    shorter = [rung for rung in scouting.current() if rung.rate == longer.rate and rung.total < longer.total]
    return max(shorter, key=lambda rung: rung.total, default=None)


def _first(scouting: Scouting) -> Rung:
    """Of the longest runs the best; where others tie with it the lowest rate, as short runs favour high ones."""
    finals = scouting.finals()
    best = leader(finals)
    lowest = min((rung for rung in finals if not better(best, rung)), key=lambda rung: rung.rate)
    if lowest is not best:
        scouting.tell(f"{figure(lowest.rate)} and {figure(best.rate)} are a tie: the lower rate goes on")
    return lowest


def _next_length(scouting: Scouting, trunk: Rung) -> Rung | None:
    """The trunk, longer; None when there is no room for it."""
    for growth in (GROWTH, LATE_GROWTH) if trunk.total < _planned_steps(scouting) else (LATE_GROWTH,):
        total = round(trunk.total * growth)
        epochs = total / scouting.per_epoch
        order = scouting.longer("trunk", trunk, total)
        if scouting.fits([order], last_epochs=epochs):
            scouting.target_epochs = max(scouting.target_epochs, epochs)
            return scouting.run([order])[0]
    scouting.tell(f"the trunk ends at {trunk.total} steps: {scouting.no_room}")
    return None


def _planned_steps(scouting: Scouting) -> float:
    return scouting.setting.planned.num_train_epochs * scouting.per_epoch


def _say_turned(scouting: Scouting, shorter: Rung, longer: Rung) -> None:
    if longer.whole:
        behind, error = difference(longer, shorter)
        said = f"{behind:+.4f} ± {error:.4f}, no gain beyond noise"
        scouting.tell(f"{longer.name} ({longer.total} steps) against {shorter.name} ({shorter.total}): {said}")


def _turn(longer: Rung) -> float:
    """The step at which the looks of a trunk were lowest, between looks where they bend."""
    evals = longer.step.outcome.curve.eval_loss.finite()
    points = [(float(step), float(loss)) for step, loss in zip(evals.steps, evals.values, strict=True) if step > 0]
    lowest = min(points, key=lambda point: point[1], default=(float(longer.total), math.inf))
    return turning_point(points) or lowest[0]
