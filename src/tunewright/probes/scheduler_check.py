"""Does the learning rate do what the recipe says, and is enough of it high enough to teach? Nothing is trained."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from tunewright.doctor import thresholds as th
from tunewright.engine.schedule import LRSchedule
from tunewright.schema.curve import Series
from tunewright.schema.probe import ProbeAnswer, ProbeVerdict
from tunewright.schema.recipe import Recipe

QUESTION = "Does the learning rate do what the recipe says, and is enough of the run at a rate that teaches?"
USEFUL = 0.1
"""Share of the peak above which a step counts as taught."""
LEAST_USEFUL = 0.5
APART = 0.1
"""Share of the peak by which a logged rate may differ: tools round, and log before or after a step."""


def probe_schedule(recipe: Recipe, total_steps: int, logged: Series) -> ProbeAnswer:
    """The recipe's schedule over ``total_steps`` steps, and the ``logged`` rates beside it where there are any.

    A fault: the warm-up takes more than 40 % of the steps, the last 15 % or more have no rate left, fewer than half of
    the steps have a tenth of the peak, or a logged rate is a tenth of the peak away from what the recipe says. A rate
    that is halved on a plateau follows the losses, so nothing logged is held against it.
    """
    began_s = time.perf_counter()
    schedule = LRSchedule.of(recipe, total_steps)
    shares_S = np.array([schedule.multiplier(step) for step in range(total_steps)])
    evidence: dict[str, Any] = {
        "total_steps": total_steps,
        "warmup_steps": schedule.warmup,
        "useful_share": float((shares_S >= USEFUL).mean()) if total_steps else 0.0,
        "zero_tail_share": _zero_tail(shares_S),
        "furthest_from_recipe": _furthest(shares_S, logged, recipe),
    }
    faults = _faults(evidence, total_steps)
    verdict: ProbeVerdict = "fault" if faults else "fine"
    shape = (
        f"{recipe.lr_scheduler_type} over {total_steps} steps, {schedule.warmup} of them warm-up, "
        f"{evidence['useful_share']:.0%} at a tenth of the peak or more"
    )
    answer = f"No: {'; '.join(faults)} ({shape})" if faults else f"Yes: {shape}"
    evidence["shorter_warmup"] = bool(faults) and schedule.warmup > th.LATE_PEAK.value * total_steps
    return ProbeAnswer("schedule", QUESTION, verdict, answer, evidence, 0, time.perf_counter() - began_s)


def _zero_tail(shares_S: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Share of the run after the last step with 1 % of the peak."""
    used = np.flatnonzero(shares_S >= th.ZERO_LR.value)
    return 1 - (int(used[-1]) + 1) / len(shares_S) if len(used) else 1.0


def _furthest(shares_S: np.ndarray[Any, np.dtype[np.float64]], logged: Series, recipe: Recipe) -> float | None:
    """The largest distance of a logged rate from the recipe's at its step or a neighbouring one, share of the peak."""
    if recipe.lr_scheduler_type == "reduce_lr_on_plateau" or not len(shares_S):
        return None
    points = logged.finite()
    furthest = None
    for step, rate in zip(points.steps.tolist(), points.values.tolist(), strict=True):
        near = shares_S[max(0, step - 2) : step + 1]
        if len(near):
            away = float(np.abs(near - rate / recipe.learning_rate).min())
            furthest = away if furthest is None else max(furthest, away)
    return furthest


def _faults(evidence: dict[str, Any], total: int) -> list[str]:
    faults = []
    if total and evidence["warmup_steps"] > th.LATE_PEAK.value * total:
        faults.append(f"the warm-up takes {evidence['warmup_steps'] / total:.0%} of the run")
    if evidence["zero_tail_share"] > th.ZERO_TAIL.value:
        faults.append(f"the last {evidence['zero_tail_share']:.0%} of the steps have no learning rate left")
    elif evidence["useful_share"] < LEAST_USEFUL:
        faults.append(f"only {evidence['useful_share']:.0%} of the steps have a tenth of the peak")
    away = evidence["furthest_from_recipe"]
    if away is not None and away > APART:
        faults.append(f"a logged learning rate is {away:.0%} of the peak away from what the recipe says")
    return faults
