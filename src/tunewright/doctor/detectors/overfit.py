"""Validation loss rises while the training loss keeps falling."""

from __future__ import annotations

import math

import numpy as np

from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found, percent
from tunewright.doctor.view import View
from tunewright.schema.finding import Abstention
from tunewright.schema.median import median

_CAUSES = (
    "too many epochs for this much data",
    "learning rate or rank too high for it",
    "duplicates or too little data",
)


def detect(view: View) -> Answer:
    """Prechelt's generalisation loss GL = last / lowest - 1 over the evaluations, with its noise.

    Fires when the lower bound GL - 2 errors is above 3 %, with two rises since the minimum (one is enough above
    10 %), and the training loss did not rise as well. From 10 evaluations on 3 errors are taken off and the median
    of the last three must pass too: the lowest of many is low by luck. So a run that early stopping ended right
    after its minimum passes unless the rise is clear. Few evaluations that rise every single time show little
    noise, whatever their second differences say. Abstains without evaluations or with a single one.
    """
    if len(view.evals) < 2:
        none = (
            "no validation loss that is a number" if len(view.curve.eval_loss) else "no validation loss to compare with"
        )
        return Abstention("overfit", "one evaluation" if len(view.evals) else none)
    values, steps = view.evals.values, view.evals.steps
    best, last = view.best, len(view.evals) - 1
    rise = float(values[last]) / float(values[best]) - 1
    rises = int(np.sum(np.diff(values[best:]) > 0))
    error = _noise(view, rises) * math.sqrt(2)
    clear = rise > th.OVERFIT_CLEAR.value and rise > 4 * error and view.ended  # a living run may come back
    if float(values[last] - values[best]) < th.LEAST_NATS.value:
        return _undecided(view, error)
    if _sure_rise(view, error) <= th.OVERFIT_RISE.value or not (clear or rises >= th.OVERFIT_RISES.value):
        return _undecided(view, error)
    if best == 0 and steps[0] == 0 and not _trained_below(view, float(values[0])):
        return None  # never better than untouched, on either set: that is no overfitting
    if _training_rises(view, int(steps[best])):
        return None
    evidence = {
        "best_eval_loss": float(values[best]),
        "best_step": int(steps[best]),
        "eval_loss": float(values[last]),
        "rise": rise,
        "rises": rises,
        "standard_error": error,
        "grade": "clear" if clear else "mild",
        **_epochs(view, int(steps[best])),
        **_training(view, int(steps[best])),
    }
    why = (
        f"validation loss rose {percent(rise)} from {values[best]:.3f} at step {steps[best]} to {values[last]:.3f} "
        f"({rises} rises) while the training loss did not"
    )
    return found("overfit", (int(steps[best]), int(steps[last])), why, evidence, _CAUSES)


def _noise(view: View, rises: int) -> float:
    """Noise of one evaluation; not taken from the bend at the minimum where few evaluations rise every single time."""
    steady = rises == len(view.evals) - 1 - view.best
    if len(view.evals) >= th.MANY_EVALS.value or not steady or rises < th.OVERFIT_RISES.value:
        return view.eval_noise
    # two rises in a row come by chance once in six, three once in 24
    assumed = th.EVAL_NOISE_TWO_RISES if rises == th.OVERFIT_RISES.value else th.EVAL_NOISE_UNKNOWN
    return min(view.eval_noise, assumed.value)


def _sure_rise(view: View, error: float) -> float:
    """Lower bound of the relative rise since the lowest evaluation."""
    values, lowest = view.evals.values, float(view.evals.values[view.best])
    if len(values) < th.MANY_EVALS.value:
        return float(values[-1]) / lowest - 1 - 2 * error
    return min(float(values[-1]), float(median(values[-3:]))) / lowest - 1 - 3 * error


def _undecided(view: View, error: float) -> Answer:
    if len(view.evals) >= th.FEWEST_EVALS.value or not view.ended:
        return None
    least = float(f"{th.OVERFIT_RISE.value + 2 * error:.3g}")
    return Abstention("overfit", f"only {len(view.evals)} evaluations", least)


def _training_rises(view: View, best_step: int) -> bool:
    before, after = view.train_near(best_step), view.train_near(int(view.evals.steps[-1]))
    return before is not None and after is not None and after > before * (1 + th.OVERFIT_RISE.value) + 1e-3


def _trained_below(view: View, base: float) -> bool:
    """Whether the closing training loss is clearly below the untouched model's validation loss."""
    after = view.train_near(int(view.evals.steps[-1]))
    return after is not None and after < base * (1 - th.OVERFIT_CLEAR.value)


def _training(view: View, best_step: int) -> dict[str, float]:
    before, after = view.train_near(best_step), view.train_near(int(view.evals.steps[-1]))
    return {} if before is None or after is None else {"train_at_best": before, "train_at_end": after}


def _epochs(view: View, best_step: int) -> dict[str, float]:
    per_epoch = view.curve.steps_per_epoch
    return {"best_epoch": best_step / per_epoch, "epochs": view.last_step / per_epoch} if per_epoch else {}
