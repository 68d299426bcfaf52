"""The training loss stays far above validation at the same weights: answers in the training data that nobody can
learn."""

from __future__ import annotations

import math

import numpy as np

from tunewright.doctor import statistics as st
from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found, percent
from tunewright.doctor.view import View
from tunewright.schema.finding import Abstention
from tunewright.schema.median import median

_CAUSES = (
    "wrong or random answers in part of the training rows",
    "training rows that are much harder than the validation rows",
)


def detect(view: View) -> Answer:
    """r = ln(validation / training) at the training points of the last half, validation interpolated. Fires when its
    median is below ln 0.8 (z > 6) and at least 25 % below what it was at the first eighth (z > 4): both losses began
    at one level, and the training loss stayed behind.

    Validation somewhat below training is normal: the training loss is a mean over steps before the evaluation, with
    dropout on. Training rows that are simply harder are so from the start, and a factor on the logged loss is too.
    Abstains when the configured dropout alone explains it.
    """
    evals, y = view.evals, view.y
    late = view.loss.steps >= 0.5 * view.last_step
    known = len(evals) >= th.NOISY_EVALS.value and evals.steps[0] == 0
    if not view.enough or not known or late.sum() < th.FEWEST_LEVELS.value:
        return None
    ratios = (view.eval_at_loss - y)[late]
    spread = max(view.noise, float(np.std(np.diff(y))) / math.sqrt(2))
    middle, error = float(median(ratios)), st.median_error(spread, int(late.sum()))
    first = min(max(5, len(y) // 8), 20)
    start = float(median((view.eval_at_loss - y)[:first]))
    away = start - middle
    low = middle < math.log(th.NOISY_RATIO.value) and -middle > th.SHIFT_Z.value * error
    if not low or away < math.log(th.NOISY_AWAY.value):
        return None
    if away < th.WORSE_Z.value * math.hypot(error, st.median_error(spread, first)):
        return None
    dropout = float(view.curve.config.get("lora_dropout") or 0.0)
    if dropout >= th.HEAVY_DROPOUT.value:
        return Abstention("noisy_labels", f"with dropout {dropout:g} the training loss lies above validation anyway")
    ratio = math.exp(max(middle, -50.0))
    evidence = {"ratio": ratio, "ratio_at_start": math.exp(min(start, 50.0)), "z": -middle / error}
    why = (
        f"the training loss stays {percent(1 / ratio - 1)} above validation over the last half of the run, although "
        "both began alike: part of the training answers cannot be learned"
    )
    span = (int(view.loss.steps[late][0]), view.last_step)
    return found("noisy_labels", span, why, evidence, _CAUSES)
