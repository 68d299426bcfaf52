"""Can this set-up learn anything at all? A hundred rows or so, four times over, must drive their own loss down.

Source: "Mastering Large Model Training: Practical Parameter Tuning" (undated): 100-200 rows for 3-5 epochs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tunewright.engine.base import Base
from tunewright.planner.steps import steps_per_epoch
from tunewright.probes.short_runs import OnProgress, ShortRun, no_progress, short_recipe, short_runs
from tunewright.schema.probe import ProbeAnswer, ProbeVerdict
from tunewright.schema.recipe import Recipe

if TYPE_CHECKING:
    from tunewright.data.tokens import TokenRow

ROWS, EPOCHS = 150, 4
LEARNT = 0.1
"""Share of the rows' own loss that must go: rows seen four times are half memorised by anything that learns."""
ANOTHER_RATE = 1.5
"""Times: a planned rate this near the run's own is not tried beside it."""
QUESTION = "Can this set-up learn anything at all?"


def probe_sanity(
    base: Base,
    recipe: Recipe,
    train: Sequence[TokenRow],
    planned_rate: float | None = None,
    *,
    on_progress: OnProgress = no_progress,
    should_stop: Callable[[], bool] = lambda: False,
) -> ProbeAnswer:
    """Train on the first 150 rows for 4 epochs with the recipe, and at the planned learning rate where that is another.

    evidence: fell (by rate: share of the rows' own loss that went), rate (the one that learns; None when none does).
    """
    began_s = time.perf_counter()
    rows = train[:ROWS]
    per_epoch = steps_per_epoch(len(rows), recipe.per_device_train_batch_size, recipe.gradient_accumulation_steps)
    rates = [recipe.learning_rate, *_other(recipe.learning_rate, planned_rate)]
    steps = EPOCHS * per_epoch
    recipes = {f"{rate:.3g}": short_recipe(recipe, learning_rate=rate, max_steps=steps) for rate in rates}
    runs = short_runs(
        base, recipes, rows, rows, what="a run on a few rows", on_progress=on_progress, should_stop=should_stop
    )
    learning = [rate for rate in rates if runs[f"{rate:.3g}"].fell >= LEARNT]
    rate = None if not learning else learning[0]
    verdict: ProbeVerdict = "fine" if rate == recipe.learning_rate else "fault"
    fell = {name: run.fell if math.isfinite(run.fell) else None for name, run in runs.items()}
    return ProbeAnswer(
        probe="sanity",
        question=QUESTION,
        verdict=verdict,
        answer=_said(rate, recipe, runs, len(rows), steps),
        evidence={"fell": fell, "rate": rate, "rows": len(rows), "steps": steps},
        tokens=sum(run.tokens for run in runs.values()),
        seconds=time.perf_counter() - began_s,
    )


def _other(own: float, planned: float | None) -> list[float]:
    if planned is None or 1 / ANOTHER_RATE < planned / own < ANOTHER_RATE:
        return []
    return [planned]


def _said(rate: float | None, recipe: Recipe, runs: dict[str, ShortRun], rows: int, steps: int) -> str:
    shown = ", ".join(f"at {name} from {run.before:.3f} to {_loss(run.after)}" for name, run in runs.items())
    figures = f"the loss of {rows} rows in {steps} steps went {shown}"
    if rate is None:
        return f"No: {figures}; look at the masks, the template and what is trainable"
    if rate == recipe.learning_rate:
        return (
            f"Yes: {figures}; so rows, masks and optimizer are sound, and the cause is in the run's length or its data"
        )
    return f"Only at another learning rate: {figures}"


def _loss(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "no number"
