"""Is it the learning rate? A few constant rates side by side for a few steps, from the untouched base.

Too low is asked with x1, x5 and x10, the guide's own range; too high with x1, x1/3 and x1/10; either way beside the
rate that such a run is planned with, where that is further away. A short run favours high rates, so a higher one counts
only where the run's own rate hardly moves the loss, and then the lowest that does well.

Source: "Mastering Large Model Training: Practical Parameter Tuning" (undated), "loss stuck".
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from tunewright.engine.base import Base
from tunewright.prescribe.values import as_times
from tunewright.probes.short_runs import OnProgress, ShortRun, no_progress, short_recipe, short_runs
from tunewright.schema.probe import ProbeAnswer, ProbeVerdict
from tunewright.schema.recipe import Recipe

if TYPE_CHECKING:
    from tunewright.data.tokens import TokenRow

Suspect = Literal["too low", "too high"]
FACTORS: dict[Suspect, tuple[float, ...]] = {"too low": (1.0, 5.0, 10.0), "too high": (1.0, 1 / 3, 0.1)}
STEPS, WARMUP_STEPS = 30, 3
MOVED = 0.02
"""Share of the loss: a smaller fall is not told from none in so short a run."""
HARDLY = 1 / 3
"""The run's own rate hardly moves the loss when it brings less than this of what another brings."""
NEARLY = 0.8
"""Of two rates the one nearer the run's own is taken when it brings this share of the better one's fall."""


def probe_rates(
    base: Base,
    recipe: Recipe,
    train: Sequence[TokenRow],
    look_at: Sequence[TokenRow],
    suspect: Suspect,
    planned_rate: float | None = None,
    *,
    steps: int = STEPS,
    on_progress: OnProgress = no_progress,
    should_stop: Callable[[], bool] = lambda: False,
) -> ProbeAnswer:
    """Train ``steps`` steps at each factor on the run's own rate and compare the losses of ``look_at``.

    evidence: fell (factor -> share of the loss that went), factor (the one to take; 1 when it is not the rate).
    """
    began_s = time.perf_counter()
    factors = factors_for(suspect, None if planned_rate is None else planned_rate / recipe.learning_rate)
    constant = {"lr_scheduler_type": "constant", "warmup_steps": WARMUP_STEPS, "max_steps": steps}
    recipes = {
        as_times(factor): short_recipe(recipe, learning_rate=recipe.learning_rate * factor, **constant)
        for factor in factors
    }
    runs = short_runs(
        base, recipes, train, look_at, what="learning rates", on_progress=on_progress, should_stop=should_stop
    )
    fell = {factor: runs[as_times(factor)].fell for factor in factors}
    factor, verdict = judge_rates(fell)
    tokens = sum(run.tokens for run in runs.values())
    return ProbeAnswer(
        probe="learning_rate",
        question=f"Is the learning rate {suspect}?",
        verdict=verdict,
        answer=_said(suspect, factor, verdict, runs, recipe, steps),
        evidence={"fell": {as_times(one): _finite(share) for one, share in fell.items()}, "factor": factor},
        tokens=tokens,
        seconds=time.perf_counter() - began_s,
    )


def factors_for(suspect: Suspect, planned: float | None) -> tuple[float, ...]:
    """The factors on the run's own rate that are tried; ``planned``: what takes it to the planned one.

    >>> factors_for("too low", 1500.0), factors_for("too low", 3.0), factors_for("too high", 0.01)
    ((1.0, 5.0, 10.0, 1500.0), (1.0, 5.0, 10.0), (1.0, 0.3333333333333333, 0.1, 0.01))
    """
    usual = FACTORS[suspect]
    further = planned is not None and (planned > 2 * max(usual) if suspect == "too low" else planned < min(usual) / 2)
    return (*usual, planned) if further and planned is not None else usual


def judge_rates(fell: dict[float, float]) -> tuple[float, ProbeVerdict]:
    """The factor to take and the verdict, from the share of the loss that each factor brought down.

    >>> judge_rates({1.0: 0.001, 5.0: 0.20, 10.0: 0.22})
    (5.0, 'fault')
    >>> judge_rates({1.0: 0.20, 5.0: 0.25, 10.0: -0.5}), judge_rates({1.0: 0.001, 5.0: 0.002, 10.0: 0.004})
    ((1.0, 'fine'), (1.0, 'fine'))
    """
    own, best = fell[1.0], max(fell.values())
    if best < MOVED or own >= HARDLY * best:
        return 1.0, "fine"
    good = [factor for factor, share in fell.items() if share >= NEARLY * best]
    return min(good, key=lambda factor: abs(math.log(factor))), "fault"


def _said(
    suspect: Suspect, factor: float, verdict: ProbeVerdict, runs: dict[str, ShortRun], recipe: Recipe, steps: int
) -> str:
    losses = ", ".join(f"{name} {_loss(run.after)}" for name, run in runs.items())
    start = next(iter(runs.values())).before
    figures = f"from {start:.3f} in {steps} steps: {losses}"
    if verdict == "fault":
        taken = f"{as_times(factor)} ({recipe.learning_rate * factor:.3g})"
        return f"Yes: {taken} does what {as_times(1.0)} does not; {figures}"
    if max(run.fell for run in runs.values()) < MOVED:
        return f"No: the loss moves at none of these rates, so the cause is another; {figures}"
    return f"No: the run's own rate {recipe.learning_rate:.3g} brings the loss down; {figures}"


def _loss(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "not finite"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
