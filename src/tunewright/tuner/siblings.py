"""Less luck: the best run's last part again, its rows in other orders, for a mean that lies lower than any of them.

Runs that share their first part lie in one valley of the loss, whatever order their rows come in afterwards (Frankle et
al., Linear Mode Connectivity and the Lottery Ticket Hypothesis, 2019-12). So the mean of their weights is no worse than
they are, and depends less on the order (Gupta et al., Stochastic Weight Averaging in Parallel, 2020-01).
"""

from __future__ import annotations

import math

from tunewright.planner.words import counted
from tunewright.schema.recipe import Reshuffle
from tunewright.tuner.choice import eval_loss_of
from tunewright.tuner.order import Order
from tunewright.tuner.rungs import Rung
from tunewright.tuner.scouting import LAST_SHARE, Scouting

MOST = 4
"""Siblings of a run; a mean of four has half the spread of one."""
MOST_SHARED = 0.75
"""Of the steps to the lowest loss, what siblings may have in common: with less of their own they hardly differ."""
BEYOND = 1.2
"""They end this much past the step at which the loss was lowest: another order has its lowest elsewhere."""
SEEDS = 2**31


def siblings(scouting: Scouting) -> bool:
    """Make as many as the budget holds where longer runs brought no more; whether any were made.

    Not where a last run is to follow, for what that is for is not in the evaluation loss; not without a mean that can
    be measured; and not where they would share no whole epoch with the best run, or could not differ from it: an order
    within one step means nothing, and a recipe holds one change of order.
    """
    setting = scouting.setting
    able = setting.means > 0 and scouting.per_epoch > 1 and setting.planned.reshuffle is None
    if not scouting.turned or LAST_SHARE[setting.goal] > 0 or not scouting.alive or not able:
        return False
    best = min(scouting.current(), key=lambda rung: (eval_loss_of(rung.step), -rung.total))
    lowest = (best.step.outcome.summary.best_epoch or 0.0) * scouting.per_epoch
    trunk, epochs = _shared(scouting, best, MOST_SHARED * lowest)
    if epochs == 0:
        return False
    total = math.ceil(BEYOND * lowest)
    orders = [_order(scouting, trunk, epochs, total, number) for number in range(MOST)]
    while orders and not scouting.fits(orders, spare_runs=0):
        orders.pop()
    if orders:
        scouting.tell(
            f"{best.name} was best at step {lowest:.0f}: what is left of the budget makes "
            f"{counted(len(orders), 'sibling')} of it to step {total}, the same up to epoch "
            f"{epochs} and then with the rows in other orders, for a mean of their weights"
        )
        scouting.run(orders)
    return bool(orders)


def _shared(scouting: Scouting, best: Rung, latest: float) -> tuple[Rung, int]:
    """A run on the way to the best that was kept at the end of an epoch, and that epoch: the last one before step
    ``latest``; epoch 0 where none was kept."""
    same = [rung for rung in scouting.current() if rung.rate == best.rate and rung.whole]
    steps = [(step, rung) for rung in same for step in rung.kept_at if step <= latest]
    ends = [(step // scouting.per_epoch, rung) for step, rung in steps if step % scouting.per_epoch == 0]
    epochs, trunk = max(ends, key=lambda end: end[0], default=(0, best))
    return trunk, epochs


def _order(scouting: Scouting, trunk: Rung, epochs: int, total: int, number: int) -> Order:
    at_step = epochs * scouting.per_epoch
    return scouting.order(
        "sibling",
        trunk.rate,
        total,
        f"{trunk.name} again from step {at_step} to {total}, with the rows in another order",
        number=number,
        after=trunk.name,
        start=at_step,
        reshuffle=Reshuffle(from_epoch=epochs, seed=(scouting.setting.planned.seed + 1 + number) % SEEDS),
    )
