"""Training and validation loss on different scales: a logging fault, not a fault of the run."""

from __future__ import annotations

import math

import numpy as np

from tunewright.doctor import statistics as st
from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found
from tunewright.doctor.view import View
from tunewright.schema.median import median

_EARLY_SHARE = 0.25


def detect(view: View) -> Answer:
    """Validation / training at the same step, over the first quarter of the run: fires below 0.45.

    Early, because later memorising lowers the training loss and hides the factor. Some 2024 Trainers summed the loss
    over the accumulation steps. Training answers that cannot be learned raise the training loss too, but then it
    stays up; here it must fall at least half as far (in logs) as validation does, or the ratio be the same at three
    evaluations or more.
    """
    ratios = _early_ratios(view)
    if len(ratios) < th.SCALE_POINTS.value:
        return None
    middle = float(median(ratios))
    early = view.evals.steps[0] <= _EARLY_SHARE * view.last_step
    if middle >= math.log(th.SCALE_RATIO.value) or not ((early and _falls_along(view)) or _constant(view)):
        return None
    factor = math.exp(min(-middle, 50.0))
    why = f"the training loss is {factor:.1f} times the validation loss from the start: logged on another scale"
    last = int(view.evals.steps[-1])
    evidence = {"factor": factor, "points": len(ratios), "spread": float(np.std(ratios))}
    causes = ("loss summed over gradient accumulation (Trainer versions of 2024)", "loss summed over devices")
    return found("scale_mismatch", (int(view.loss.steps[0]), last), why, evidence, causes)


def _early_ratios(view: View) -> st.Floats:
    """ln(validation / training) at the early training points."""
    if not view.some or len(view.evals) < 2:
        return np.empty(0)
    middle = view.loss.steps - (view.every - 1) / 2
    first = float(view.evals.steps[0])
    early = (middle >= first) & (middle <= first + max(_EARLY_SHARE * (view.last_step - first), 3 * view.every))
    return np.asarray((view.eval_at_loss - view.y)[early])


def _falls_along(view: View) -> bool:
    """Whether validation fell over the run, and the training loss at least half as far."""
    first = min(max(3, len(view.y) // 20), 10)
    gained = view.level(0, first) - view.level(-view.tail, len(view.y))
    lowest = math.log(float(view.evals.values.min()))
    followed = float(median(view.eval_at_loss[:first])) - lowest
    fell = math.log(float(view.evals.values[0])) - lowest
    return gained >= 0.5 * followed and min(gained, fell) > math.log1p(th.LEARNED.value)


def _constant(view: View) -> bool:
    """Whether the ratio is the same at three evaluations or more after the start."""
    after = [(int(s), float(v)) for s, v in zip(view.evals.steps, view.evals.values, strict=True) if s > 0]
    near = [(value, view.train_near(step, share=0.02)) for step, value in after]
    ratios = np.array([value / train for value, train in near if train])
    return len(ratios) >= 3 and float(np.std(ratios)) <= th.SCALE_SPREAD.value * float(median(ratios))
