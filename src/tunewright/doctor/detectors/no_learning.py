"""The loss does not fall from the start on."""

from __future__ import annotations

import math

from tunewright.doctor import statistics as st
from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found, percent
from tunewright.doctor.view import View
from tunewright.schema.finding import Abstention

_CAUSES = (
    "learning rate too low",
    "template or column mapping that gives the model nothing to learn",
    "rank too small or weight decay too strong",
)


def detect(view: View) -> Answer:
    """Improvement I = 1 - closing level / opening level of the training loss, with its standard error.

    Fires when even I + 2 errors is below 5 %, or I is within its noise and validation, measured from step 0,
    improved by less than 1 % (evaluations share their rows, so they decide more). Abstains when the error is too
    large, or the log begins after the part of the run that matters.
    """
    if not view.far or _validation_learned(view):
        return None
    if view.curve.total_steps is None and view.last_step < th.FEWEST_STEPS.value and _eval_gain(view) is None:
        return None
    if not view.enough:
        return _by_validation(view)
    first, last = min(max(5, len(view.y) // 20), 10), max(5, int(0.15 * len(view.y)))
    error = st.median_error(view.noise, first, last)
    fall = view.level(0, first) - view.level(-last, len(view.y))
    if fall >= th.DETECTABLE_Z.value * error and -st.relative(-fall) > th.LEARNED_EVAL.value:
        return None
    by_validation = _by_validation(view)  # evaluations share their rows: where batches vary too much, they decide
    if by_validation is not None and error > th.LEARNED_SE.value / 2:
        return by_validation
    unsure = _unsure(view, fall, error, first)
    if unsure is not None:
        return unsure
    evidence = {
        "first_level": math.exp(view.level(0, first)),
        "final_level": math.exp(view.level(-last, len(view.y))),
        "improvement": -st.relative(-fall),
        "standard_error": error,
        **_eval_evidence(view),
    }
    why = f"the training loss changed by {percent(-st.relative(-fall))} in {view.last_step} steps, not beyond its noise"
    return found("no_learning", view.steps, why, evidence, _CAUSES)


def _unsure(view: View, fall: float, error: float, first: int) -> Abstention | None:
    """Why the training loss cannot tell: too noisy a log, too small a change, or one that begins too late."""
    least = float(f"{th.DETECTABLE_Z.value * error:.3g}")
    if error > th.LEARNED_SE.value or view.noise > th.NOISIEST.value:
        return Abstention("no_learning", f"the loss of one point varies by {percent(view.noise)}", least)
    if _eval_gain(view) is not None:  # validation says the same
        return None
    if -st.relative(-(fall + 2 * error)) > th.LEARNED.value:
        return Abstention("no_learning", "the change of the loss is within its noise", least)
    opening = int(view.loss.steps[first - 1])
    if opening > max(th.START_STEPS.value, view.warmup_end):
        because = f"the first {first} logged points already reach to step {opening}: an early fall would not show"
        return Abstention("no_learning", because, least)
    return None


def _validation_learned(view: View) -> bool:
    gain = _eval_gain(view)
    return gain is not None and gain >= th.LEARNED_EVAL.value


def _eval_gain(view: View) -> float | None:
    """Relative fall of the best evaluation below step 0; None without both."""
    base = view.curve.base_eval_loss
    if base is None or not math.isfinite(base) or base <= 0 or len(view.evals) < 2:
        return None
    return 1 - float(view.evals.values[1:].min()) / base


def _eval_evidence(view: View) -> dict[str, float]:
    gain = _eval_gain(view)
    return {} if gain is None else {"eval_improvement": gain}


def _by_validation(view: View) -> Answer:
    """With too few training points: four evaluations from step 0 on that never fell by 1 %."""
    gain = _eval_gain(view)
    if gain is None or len(view.evals) < th.FEWEST_EVALS.value or view.eval_noise > th.EVAL_NOISE_UNKNOWN.value:
        return None
    why = f"validation loss never fell by more than {percent(gain)} below the untouched model"
    return found("no_learning", view.steps, why, {"eval_improvement": gain, "evals": len(view.evals)}, _CAUSES)
