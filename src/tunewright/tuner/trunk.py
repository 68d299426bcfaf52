"""For how long: one decay branch after another, each longer, until the last one brought no more than noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunewright.planner.words import figure
from tunewright.tuner.order import fork_step, kept_between, total_for
from tunewright.tuner.rungs import BAR_SHARE, Rung, difference, gained, leader, turning_point
from tunewright.tuner.scouting import Scouting

GROWTH, LATE_GROWTH = 2.0, 1.5
"""How much longer the next branch is, up to the planned length; beyond it, and where twice is too much to pay."""


def lengthen(scouting: Scouting) -> None:
    """The trunk goes on while its last branch gained more than noise; two of them while their losses are a tie."""
    if not any(math.isfinite(rung.loss) for rung in scouting.current()):
        return
    trunks = _front(scouting.finals())
    while True:
        before = {rung.rate: rung for rung in trunks}
        made = _next_branches(scouting, trunks)
        if not made:
            return
        longer = leader(made)
        shorter = before[longer.rate]
        if not longer.whole or not gained(longer, shorter):
            scouting.turned = True
            _place_branches(scouting, shorter, longer)
            return
        trunks = _front(made)


def _front(rungs: Sequence[Rung]) -> list[Rung]:
    """The best, and the next when it is less than 0.5 % behind."""
    best, *others = sorted(rungs, key=lambda rung: (rung.loss, rung.rate))
    return [best, *(rung for rung in others if rung.loss - best.loss < BAR_SHARE * best.loss)][:2]


def _next_branches(scouting: Scouting, trunks: list[Rung]) -> list[Rung]:
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
    scouting.tell(f"the trunk ends at {shorter} steps: what is left of the budget is kept for the last run")
    return []


def _planned_steps(scouting: Scouting) -> float:
    return scouting.setting.planned.num_train_epochs * scouting.per_epoch


def _place_branches(scouting: Scouting, shorter: Rung, longer: Rung) -> None:
    """No more gain: decay branches at kept steps between the two, while the losses have their lowest point there."""
    if longer.whole:
        behind, error = difference(longer, shorter)
        said = f"{behind:+.4f} ± {error:.4f}, no gain beyond noise"
        scouting.tell(f"{longer.name} ({longer.total} steps) against {shorter.name} ({shorter.total}): {said}")
    for step in kept_between(shorter.total, longer.total):
        if _worth_a_branch(scouting, shorter, longer, step):
            scouting.branch(longer, step)
    scouting.target_epochs = _turn(scouting, longer.rate) / scouting.per_epoch


def _worth_a_branch(scouting: Scouting, shorter: Rung, longer: Rung, step: int) -> bool:
    """Of a trunk that was cut short: up to where its evaluations rose. Else: near the lowest point of the losses."""
    if not longer.whole:
        return step <= _lowest_evaluation(longer, after=fork_step(shorter.total))
    turn = _turn(scouting, longer.rate)
    return shorter.total < turn and total_for(step) < math.sqrt(turn * longer.total)


def _lowest_evaluation(rung: Rung, *, after: int) -> int:
    """The step of the lowest evaluation past ``after``; 0 without any."""
    evals = rung.step.outcome.curve.eval_loss.finite()
    points = zip(evals.values.tolist(), evals.steps.tolist(), strict=True)
    return min((point for point in points if point[1] > after), default=(0.0, 0))[1]


def _turn(scouting: Scouting, rate: float) -> float:
    """Steps at which the annealed losses of this rate are lowest, between the runs where they bend."""
    chain = [rung for rung in scouting.current() if rung.rate == rate]
    return turning_point([(rung.total, rung.loss) for rung in chain]) or leader(chain).total
