"""The run ended worse than the untouched model. The first question, and the one coarse logging cannot hide."""

from __future__ import annotations

import math

import numpy as np

from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found, percent
from tunewright.doctor.statistics import relative
from tunewright.doctor.view import View
from tunewright.schema.finding import Abstention
from tunewright.schema.median import median

_CAUSES = ("learning rate too high", "no warm-up", "labels that contradict the base model's format")
VOCABULARIES = (32000, 32064, 49152, 50257, 50304, 65536, 100352, 128256, 151936, 152064, 256000, 262144)
"""Common vocabulary sizes: a loss of exactly ln V is a model that guesses uniformly."""


def detect(view: View) -> Answer:
    """Compares the last evaluation with step 0, else the closing training losses with the very first one.

    Statistic: d = ln(end) - ln(start), z = d / error. Where the first logged loss is the mean over the first steps,
    an end above that mean is above some of them, so it counts too; an end below it tells nothing, and then this
    abstains. A log that begins later says nothing of the start.
    """
    if view.curve.base_eval_loss is not None and len(view.evals) >= 2 and view.evals.steps[0] == 0:
        return _by_evaluation(view)
    if not view.enough:
        return None
    found_worse = _by_training(view) if view.loss.steps[0] <= view.every else None
    if found_worse is not None or (view.every == 1 and view.loss.steps[0] <= 1):
        return found_worse
    return Abstention(
        "worse_than_start",
        f"no evaluation at step 0, and the first logged loss is already a mean over {view.every} steps",
    )


def _by_evaluation(view: View) -> Answer:
    base, last = float(view.evals.values[0]), float(view.evals.values[-1])
    change = math.log(last) - math.log(base)
    error = view.eval_noise * math.sqrt(2)
    if change <= math.log1p(th.WORSE_EVAL.value) or change <= th.WORSE_Z.value * error:
        return None
    if last - base < th.LEAST_NATS.value:
        return None
    fell = _training_fell(view, base)
    evidence = {
        "base_eval_loss": base,
        "eval_loss": last,
        "change": relative(change),
        "z": change / error,
        "train_fell": fell,
        **_uniform(last),
    }
    why = f"validation loss {last:.3f} is {percent(relative(change))} above the untouched model's {base:.3f}"
    causes = ("overfitting: the training loss fell while validation rose",) if fell else _CAUSES
    return found("worse_than_start", (0, int(view.evals.steps[-1])), why, evidence, causes)


def _training_fell(view: View, base: float) -> bool:
    """Whether the training loss ended clearly below its beginning and the untouched model's validation loss: then
    the optimisation itself is sound. (A blow-up that recovers falls too, but from far above.)"""
    if not view.enough:
        return False
    start, end = view.level(0, view.tail), view.level(-view.tail, len(view.y))
    return end < min(start, math.log(base)) - max(math.log1p(th.WORSE_EVAL.value), 2 * view.noise)


def _by_training(view: View) -> Answer:
    y = view.y
    closing = y[-view.tail :]
    change = float(median(closing) - y[0])
    error = view.noise * math.sqrt(1 + 1.57 / len(closing))
    # three quarters of the closing points must lie above: one easy first batch is no baseline
    above = float(np.quantile(closing, 0.25) - y[0])
    if above <= math.log1p(th.WORSE_TRAIN.value) or change <= th.WORSE_Z.value * error:
        return None
    end, start = math.exp(float(median(closing))), float(view.loss.values[0])
    evidence = {
        "first_loss": start,
        "final_loss": end,
        "change": relative(change),
        "z": change / error,
        "train_fell": False,
        **_uniform(end),
    }
    first = "the first step's" if view.every == 1 else f"the mean of the first {view.every} steps,"
    why = f"training loss {end:.3f} at the end is {percent(relative(change))} above {first} {start:.3f}"
    steps = (int(view.loss.steps[0]), int(view.loss.steps[-1]))
    return found("worse_than_start", steps, why, evidence, _CAUSES)


def _uniform(loss: float) -> dict[str, int]:
    size = next((v for v in VOCABULARIES if abs(loss - math.log(v)) < th.UNIFORM_OUTPUT.value), None)
    return {} if size is None else {"uniform_over_vocabulary": size}
