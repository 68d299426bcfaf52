"""For how long: the best run goes on, each time to a greater length, until it brought no more than noise.

Where the budget ends that first, the best goes on once more for what is left of it, and its rate comes down: no new run
that is shorter than one that still gained would end below it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunewright.planner.words import figure
from tunewright.tuner.rungs import Rung, clearly_worse, difference, gained, leader, turning_point
from tunewright.tuner.scouting import LAST_SHARE, Scouting

GROWTH, LATE_GROWTH = 2.0, 1.5
"""How much longer the next length is, up to the planned one; beyond it, and where twice is too much to pay."""

LEAST_TAIL = 0.05
"""Of its length so far: a run goes on to its end for at least this."""


def lengthen(scouting: Scouting) -> None:
    """The best goes on while its last length gained more than noise; two of them while their losses are a tie."""
    if not any(math.isfinite(rung.loss) for rung in scouting.current()):
        return
    made = scouting.finals()
    while made:
        longer = leader(made)
        shorter = _shorter(scouting, longer)
        if shorter is not None and not (longer.whole and gained(longer, shorter)):
            scouting.turned = True
            _say_turned(scouting, shorter, longer)
            scouting.target_epochs = _turn(longer) / scouting.per_epoch
            return
        made = _next_lengths(scouting, _front(made))


def settle(scouting: Scouting) -> None:
    """The best to its end, for what is left of the budget, unless longer runs brought no more or one is to follow."""
    if scouting.turned or LAST_SHARE[scouting.setting.goal] > 0 or not scouting.alive:
        return
    best = scouting.best()
    longest = round(LATE_GROWTH * best.total)
    order = scouting.settling(best, longest)
    while not scouting.fits([order]) and longest > best.total:
        longest = min(longest - 1, best.total + math.floor(0.95 * (longest - best.total)))
        order = scouting.settling(best, longest)
    if longest >= (1 + LEAST_TAIL) * best.total:
        scouting.tell(f"{best.name} still gained: it goes on to step {longest}, and its rate falls to zero on the way")
        scouting.run([order])


def _shorter(scouting: Scouting, longer: Rung) -> Rung | None:
    """The run that this one went on from, or the next shorter one at its rate; None for the shortest."""
    shorter = [rung for rung in scouting.current() if rung.rate == longer.rate and rung.total < longer.total]
    return max(shorter, key=lambda rung: rung.total, default=None)


def _front(rungs: Sequence[Rung]) -> list[Rung]:
    """The best, and the next when it is not clearly worse."""
    best, *others = sorted(rungs, key=lambda rung: (rung.loss, rung.rate))
    return [best, *(rung for rung in others if not clearly_worse(rung, best))][:2]


def _next_lengths(scouting: Scouting, trunks: list[Rung]) -> list[Rung]:
    """The next round, of one trunk when there is no room for two; empty when there is none for one."""
    shorter = trunks[0].total
    for growth in (GROWTH, LATE_GROWTH) if shorter < _planned_steps(scouting) else (LATE_GROWTH,):
        total = round(shorter * growth)
        epochs = total / scouting.per_epoch
        orders = [scouting.longer("trunk", rung, total, number) for number, rung in enumerate(trunks)]
        fitting = next((some for some in (orders, orders[:1]) if scouting.fits(some, last_epochs=epochs)), [])
        if len(fitting) > 1:
            scouting.tell(f"{figure(trunks[0].rate)} and {figure(trunks[1].rate)} are a tie: both go on")
        if fitting:
            scouting.target_epochs = max(scouting.target_epochs, epochs)
            return scouting.run(fitting)
    scouting.tell(f"the trunk ends at {shorter} steps: {scouting.no_room}")
    return []


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
