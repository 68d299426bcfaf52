"""How much a run learns goes with the area under its learning rate: what a shorter run, or another schedule, keeps.

A run cut to the steps of its lowest evaluation decays to zero by then and so learns less than the long run had by that
step. One of the same shape spends the same area when its length is that share of the long run's area; but under a
rate that comes down a given area learns more, and by heart as well. So a cut goes midway, to the geometric mean of the
two: no shorter than the steps, no longer than the area. A change of the schedule made with it changes the area only.
"""

from __future__ import annotations

import math

import numpy as np

from tunewright.prescribe.case import Case
from tunewright.prescribe.fit import lowest_as_range
from tunewright.prescribe.rule import Move
from tunewright.prescribe.values import show
from tunewright.schema.curve import EMPTY

FLAT = ("constant", "constant_with_warmup", "wsd", "warmup_stable_decay", "step")
"""Schedules that hold their peak; the others come down at once, and their mean is half of it."""
FEWEST_RATES = 5
CLEARLY = 0.1  # validation so far above its lowest, a share, has turned


def share_of_area(case: Case, step: float) -> float | None:
    """Share of the area under the learning rate that was spent by ``step``, 0 to 1; of the steps where none was logged.

    A straight line down to zero over T steps has 2 s / T - (s / T)^2 of its area behind it at step s. None without
    steps.
    """
    total = case.total_steps
    if total <= 0:
        return None
    rates = EMPTY if case.curve is None else case.curve.learning_rate.finite()
    if len(rates) < FEWEST_RATES or float(np.max(rates.values)) <= 0:
        return min(1.0, step / total)
    spent = np.concatenate([[0.0], np.cumsum(rates.values * np.diff(rates.steps, prepend=0))])
    return float(np.interp(step, np.concatenate([[0], rates.steps]), spent) / spent[-1])


def cut_to_lowest(case: Case, times: float = 1.0) -> tuple[Move, str]:
    """Midway between the steps of the lowest evaluation and the area spent by it, and a clause that says so.

    ``times``: the length that keeps the area under another change made with it. A factor of 1 or more moves nothing.
    """
    low, total = case.lowest_eval, case.total_steps
    share = None if low is None else share_of_area(case, low[0])
    if low is None or share is None or case.curve is None:
        return Move("duration", 1.0), ""
    says = f"the lowest evaluation loss {show(low[1])} was at step {low[0]} of {total}"
    if share > low[0] / total + 0.01:
        says += f", by which {share:.0%} of the area under the learning rate was spent"
    midway = math.sqrt(share * times * low[0] / total)
    return Move("duration", min(1.0, midway), predicted=lowest_as_range(case.curve)), says


def decay_to_lowest(case: Case) -> tuple[tuple[Move, Move], str]:
    """A cosine for a rate that never came down, with the cut to the lowest evaluation: a decay has the same area in
    twice the steps, and ends lower."""
    cut, where = cut_to_lowest(case, 2.0)
    steady = f"{where}; the learning rate never came down, and a decay ends lower"
    return (Move("lr_scheduler_type", to="cosine"), cut), steady


def ended_above_lowest(case: Case) -> bool:
    """Whether the last evaluation lies clearly above the lowest; False without evaluations."""
    low, last = case.lowest_eval, case.last_eval
    return low is not None and last is not None and last > low[1] * (1 + CLEARLY)


def with_warmup(case: Case, share: float) -> float:
    """Times the length that keeps the area when the warm-up becomes ``share`` of the run; 1 where no rates are known.

    The mean rate, as a share of the peak, is now what was logged, and then ``share / 2 + (1 - share) x after``, with
    ``after`` the mean once the peak was reached.
    """
    rates = EMPTY.values if case.curve is None else case.curve.learning_rate.finite().values
    if len(rates) < FEWEST_RATES or float(np.max(rates)) <= 0:
        return 1.0
    relative = np.asarray(rates, dtype=np.float64) / float(np.max(rates))
    after = relative[int(np.argmax(relative >= 0.99)) :]
    held = float(after.mean()) if len(after) >= FEWEST_RATES else 1.0 if _is_flat(case) else 0.5
    return min(1.0, float(relative.mean()) / (share / 2 + (1 - share) * held))


def never_decays(case: Case) -> bool:
    """Whether the learning rate is known to have stayed at its peak to the end, with nothing to settle the weights: the
    doctor does not name it where their mean is kept."""
    return case.has("lr_constant") and case.value("lr_scheduler_type") in ("constant", "constant_with_warmup", "step")


def _is_flat(case: Case) -> bool:
    return case.value("lr_scheduler_type") in FLAT
