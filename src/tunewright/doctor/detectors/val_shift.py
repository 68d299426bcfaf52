"""Validation does not follow training although no row was repeated yet: validation rows of another kind."""

from __future__ import annotations

import math

import numpy as np

from tunewright.doctor import statistics as st
from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found, percent
from tunewright.doctor.view import View

_CAUSES = (
    "validation rows of another source or kind than the training rows",
    "the same few rows many times in the training data",
)


def detect(view: View) -> Answer:
    """In the first epoch, before any row is repeated, both losses measure the same thing if the rows are alike. Fires
    when validation does not follow the training loss there, or lies far above it. Silent where validation
    jumped to 1.5 times its beginning on the way: that run was out of control."""
    values = view.evals.values
    if not len(values) or float(values.max()) > th.BLOWN_UP.value * float(values[0]):
        return None
    return _does_not_follow(view) or _far_above(view)


def _does_not_follow(view: View) -> Answer:
    """Within the first epoch: the training loss falls 10 % or more (z > 6) and validation, from step 0 on, by less
    than a quarter of that.

    Before any row is repeated both losses measure the same thing, so they fall together when the rows are alike.
    Silent where validation rises (that is overfitting's business), and where step 0 or the epoch is not known.
    """
    per_epoch, evals = view.curve.steps_per_epoch, view.evals
    if not per_epoch or not view.enough or len(evals) < 2 or evals.steps[0] != 0:
        return None
    inside = evals.steps <= per_epoch * (1 + th.EPOCH_SLACK.value)
    last = int(evals.steps[inside][-1])
    upto = int((view.loss.steps <= last).sum())
    width = max(3, upto // 10)
    if last < th.START_STEPS.value or upto < th.FEWEST_LOSSES.value or view.loss.steps[width - 1] > 0.2 * last:
        return None
    fell = view.level(0, width) - view.level(upto - width, upto)
    # batches of mixed kinds have tails that a robust scale does not see, and windows here are short
    spread = max(view.noise, float(np.std(np.diff(view.y[:upto]))) / math.sqrt(2))
    error = st.median_error(spread, width, width)
    if fell < math.log1p(th.SHIFT_TRAIN_FALL.value) or fell < th.SHIFT_Z.value * error:
        return None
    followed = math.log(float(evals.values[0])) - math.log(float(evals.values[inside][-1]))
    rose = followed < -math.log1p(th.OVERFIT_RISE.value)
    if rose or followed > th.SHIFT_SHARE.value * fell - view.eval_noise:
        return None
    evidence = {
        "train_fell": -st.relative(-fell),
        "eval_fell": -st.relative(-followed),
        "share": followed / fell,
        "z": fell / error,
        "until_step": last,
    }
    why = (
        f"by step {last}, before any row was repeated, the training loss fell {percent(-st.relative(-fell))} "
        f"and the validation loss {percent(-st.relative(-followed))}: the rows are of another kind"
    )
    return found("val_shift", (0, last), why, evidence, _CAUSES)


def _far_above(view: View) -> Answer:
    """The last evaluation of the first epoch above 1.5 times the training loss just before it (z > 6), and hardly
    lower than the first one. (Where validation fell along at first, few rows repeated often are likelier.)"""
    per_epoch, evals = view.curve.steps_per_epoch, view.evals
    if not per_epoch or not view.some or not len(evals):
        return None
    inside = np.flatnonzero((evals.steps > 0) & (evals.steps <= per_epoch * (1 + th.EPOCH_SLACK.value)))
    if not len(inside):
        return None
    step, value = int(evals.steps[inside[-1]]), float(evals.values[inside[-1]])
    upto = int((view.loss.steps <= step).sum())
    if upto < 3 or step < th.START_STEPS.value:
        return None
    apart = math.log(value) - view.level(upto - 3, upto)
    spread = max(view.noise, float(np.std(np.diff(view.y[max(0, upto - 20) : upto]))) / math.sqrt(2))
    if apart <= math.log(th.SHIFT_RATIO.value) or apart <= th.SHIFT_Z.value * st.median_error(spread, 3):
        return None
    followed = math.log(float(evals.values[0])) - math.log(value)
    fell = view.level(0, 3) - view.level(upto - 3, upto)
    if followed < -math.log1p(th.OVERFIT_RISE.value) or followed > th.SHIFT_SHARE.value * max(fell, 0.0):
        return None
    near = math.exp(view.level(upto - 3, upto))
    evidence = {"eval_loss": value, "train_loss": near, "ratio": math.exp(min(apart, 50.0)), "step": step}
    why = (
        f"at step {step}, before any row was repeated, validation is at {value:.3f} and the training loss at "
        f"{near:.3f}: the rows are of another kind"
    )
    return found("val_shift", (0, step), why, evidence, _CAUSES)
