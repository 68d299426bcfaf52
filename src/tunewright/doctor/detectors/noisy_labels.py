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

_CAUSES = (
    "wrong or random answers in part of the training rows",
    "training rows that are much harder than the validation rows",
)


def detect(view: View) -> Answer:
    """Validation / training at the same step, over the evaluations of the last half: fires when all are below 0.8
    and vary (a constant ratio below 0.4 is a matter of scale), and training gained less than half of what validation
    gained.

    Validation somewhat below training is normal: the training loss is a mean over steps before the evaluation, with
    dropout on. Abstains when the configured dropout alone explains it.
    """
    evals = view.evals
    late = evals.steps >= max(0.5 * view.last_step, 1)
    if not view.enough or late.sum() < th.NOISY_EVALS.value or not len(evals) or evals.steps[0] != 0:
        return None
    near = [view.train_near(int(step)) for step in evals.steps[late]]
    ratios = np.array([value / train for value, train in zip(evals.values[late], near, strict=True) if train])
    if len(ratios) < th.NOISY_EVALS.value or float(ratios.max()) >= th.NOISY_RATIO.value:
        return None
    first = min(max(3, len(view.y) // 20), 10)
    train_gain = view.level(0, first) - view.level(-view.tail, len(view.y))
    eval_gain = math.log(float(evals.values[0])) - math.log(float(evals.values[-1]))
    unsure = th.DETECTABLE_Z.value * st.median_error(view.noise, first, view.tail)
    if train_gain + unsure > 0.5 * eval_gain or eval_gain <= 0:
        return None
    dropout = float(view.curve.config.get("lora_dropout") or 0.0)
    if dropout >= th.HEAVY_DROPOUT.value:
        return Abstention("noisy_labels", f"with dropout {dropout:g} the training loss lies above validation anyway")
    middle = max(float(np.median(ratios)), 1e-9)
    evidence = {"ratio": middle, "evals": len(ratios), "train_gain": train_gain, "eval_gain": eval_gain}
    why = (
        f"the training loss stays {percent(1 / middle - 1)} above validation at the same steps and fell far less: "
        "part of the training answers cannot be learned"
    )
    return found("noisy_labels", (int(evals.steps[late][0]), int(evals.steps[-1])), why, evidence, _CAUSES)
