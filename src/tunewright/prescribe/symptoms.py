"""Groups of symptoms that several rules ask about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunewright.doctor.detectors.spike import spikes_of
from tunewright.doctor.guide_reading import interpretation
from tunewright.doctor.view import View
from tunewright.prescribe.case import Case
from tunewright.prescribe.fit import least_gain
from tunewright.prescribe.values import is_number, show
from tunewright.schema.finding import Finding

BLOWN_UP = ("non_finite", "divergence", "worse_than_start")
UNSTABLE = (*BLOWN_UP, "oscillation")
STUCK = ("no_learning", "weights_not_updating")
FAR_BELOW, FAR_ABOVE, FAR_ABOVE_FULL = 3.0, 5.0, 10.0
"""Times: a learning rate this far from the planned one is itself the suspect. Plans start low, above all those of full
fine-tuning, so more is asked of one above."""
SLIP = 10.0
"""Times the planned rate, or below it; twice that above the plan of a full fine-tuning, which starts low."""
PLAN_REACH = 2.0  # times: a plan brackets its learning rate by this factor
CALM_RISE = 1.3  # a training loss that was never this many times its own lowest before it broke had not diverged
LONG_CALM = 0.5  # share of the run, well past any warm-up
FEWEST_FALLS = 4  # in a row; by chance once in 24 times
HARMED, GAINED = 0.1, 0.03  # shares of the untouched model's loss: above it on the way, and below it at the end
EARLY_SHARE = 0.05  # a blow-up within the first 5 % of the steps is the learning rate itself, not its late effect
_RISE = 1.2  # a training loss this many times the first one counts as blown up


def blow_up(case: Case) -> Finding | None:
    """The finding that says the run blew up; None if none, or if "worse than the start" is plain over-fitting, or
    the only numbers that broke are evaluations.

    An over-fitted run may also end above its start; then the training loss kept falling and the steps were not too
    large, so the over-fitting rules speak instead.
    """
    found = (finding for finding in case.diagnosis.findings if finding.symptom in BLOWN_UP)
    finding = next((one for one in found if not of_validation_alone(one)), None)
    if finding is not None and finding.symptom == "worse_than_start" and case.has("overfit"):
        return None
    return finding


def of_validation_alone(finding: Finding) -> bool:
    """Whether evaluations are no numbers while the training loss is one: weights that broke would break both."""
    return finding.symptom == "non_finite" and finding.evidence.get("where") == "eval_loss"


def came_to_nothing(case: Case) -> str:
    """What says that training did harm and left nothing: a finished run of which an evaluation was more than a tenth
    above the untouched model's, and the last is not 3 % below it. "" otherwise, where that is not known, and where it
    learned by heart, which the over-fitting rules speak of."""
    curve, last = case.curve, case.last_eval
    if curve is None or curve.base_eval_loss is None or last is None or case.has("prefix_log", "overfit"):
        return ""
    before, worst = curve.base_eval_loss, int(np.argmax(case.evals.values))
    highest = float(case.evals.values[worst])
    if not highest > (1 + HARMED) * before or last < (1 - GAINED) * before:
        return ""
    low, at = show(float(case.evals.values.min())), int(case.evals.steps[int(np.argmin(case.evals.values))])
    return (
        f"it ended no better than it began: the evaluation loss was {show(before)} before training, {show(highest)} at "
        f"step {int(case.evals.steps[worst])}, {low} at its lowest at step {at} and {show(last)} at the end"
    )


def blew_up_early(case: Case, finding: Finding) -> bool:
    """Whether the blow-up began within the first 5 % of the steps; False when that cannot be told."""
    total = case.total_steps
    start = finding.steps[0] if finding.symptom != "worse_than_start" else _first_rise(case)
    return start is not None and total > 0 and start <= max(1.0, EARLY_SHARE * total)


def _first_rise(case: Case) -> int | None:
    """First step whose training loss is far above the first logged one (that finding itself spans the whole run)."""
    if case.curve is None:
        return None
    points = case.curve.loss.finite()
    if not len(points):
        return None
    start = case.curve.base_eval_loss or float(points.values[0])
    above = np.flatnonzero(points.values > _RISE * start)
    return int(points.steps[above[0]]) if len(above) else None


def rate_far_above(case: Case, share: float = 1.0) -> bool:
    """Whether the learning rate is known to lie far above where such a run starts, or above ``share`` of that; False
    when that is not known."""
    times = case.times_usual("learning_rate")
    far = FAR_ABOVE_FULL if case.value("method") == "full" else FAR_ABOVE
    return times is not None and times > far * share


def rate_by_mistake(case: Case) -> bool:
    """Whether the learning rate is known to lie so far from the planned one that it must be a slip."""
    return rate_far_below(case, SLIP) or rate_far_above(case, SLIP / FAR_ABOVE)


def bears_its_rate(case: Case) -> bool:
    """Whether every evaluation is lower than the one before, the untouched model's included, and nothing swung or
    jumped: then no step was too large, whatever rate was planned. False where too few were made to tell."""
    if case.has(*UNSTABLE, "spike") or case.curve is None or case.curve.base_eval_loss is None:
        return False
    values = np.concatenate([[case.curve.base_eval_loss], case.evals.values])
    return len(values) > FEWEST_FALLS and bool(np.all(np.diff(values) < 0))


def untold_learning(case: Case) -> str:
    """Why it cannot be told whether the run learned anything, and what would tell; "" when that is not open.

    Evaluations after training began may settle it too: a fall of more than their noise is learning. A run that ends
    where a guide sees random guessing is not called fine either, however calm its curve.
    """
    because = next((one.because for one in case.diagnosis.abstained if one.symptom == "no_learning"), "")
    if not because or _evaluations_fell(case):
        return _as_if_guessing(case)
    tell = "evaluate before the first step too (eval_on_start of the Trainer)"
    if not case.has_eval:
        tell = "hold rows out (val_size 0.1) and evaluate before the first step too (eval_on_start of the Trainer)"
    if case.diagnosis.source.kind == "tunewright":
        tell = f"tunewright next {case.diagnosis.source.path} --probe"
    return f"whether this run learned anything cannot be told: {because}; what would tell: {tell}"


def _as_if_guessing(case: Case) -> str:
    """A finished run whose final training loss is in the first guide's band "random guessing"; "" otherwise, and where
    its learning rate is known and no slip: then its rows are hard."""
    loss = case.final_loss
    if case.times_usual("learning_rate") is not None and not rate_by_mistake(case):
        return ""
    band = None if loss is None or case.has("prefix_log") else interpretation(loss)
    if band is None or band.name != "no_idea":
        return ""
    rate = case.number("learning_rate")
    tried = "its learning rate" if rate is None else f"the learning rate {show(rate)}"
    return (
        f"a final training loss of {show(loss)} is in the first guide's band of random guessing ({band.low:g}+), and "
        "one calm curve does not tell hard rows from a learning rate far off; what would tell: "
        f"short runs with {tried} / 10 and x 10"
    )


def _evaluations_fell(case: Case) -> bool:
    if case.curve is None or len(case.evals) < 2:
        return False
    return float(case.evals.values[0] - case.evals.values[-1]) > (least_gain(case.curve) or 0.0)


def rate_as_planned(case: Case) -> bool:
    """Whether the learning rate is known to be no higher than the bracket such runs start in; False when unknown."""
    times = case.times_usual("learning_rate")
    return times is not None and times <= PLAN_REACH


def spikes_before(case: Case, step: object) -> tuple[int, ...]:
    """Steps between the evaluation before ``step`` and ``step`` where the training loss spiked; none when unknown."""
    if case.curve is None or not is_number(step):
        return ()
    before = case.evals.steps[case.evals.steps < step]
    view = View(case.curve)
    at = [int(view.loss.steps[place]) for spike in spikes_of(view) for place in range(spike.first, spike.last + 1)]
    return tuple(one for one in at if (int(before[-1]) if len(before) else 0) < one <= step)


def rate_far_below(case: Case, far: float = FAR_BELOW) -> bool:
    """Whether the learning rate is known to lie far below where such a run starts; False when that is not known."""
    times = case.times_usual("learning_rate")
    return times is not None and times < 1 / far


def broke_out_of_calm(case: Case, finding: Finding) -> bool:
    """Whether the numbers broke in a run whose loss had not risen before: then its steps were not too large.

    The lowest and the last level before the first number that is not finite are medians of five points, so one
    unlucky batch is no rise. A rate far above the planned one is trusted only after it was borne for half of the run.
    False without five points to look at.
    """
    before = _losses_before(case, finding)
    if before is None or len(before) < 5:
        return False
    if rate_far_above(case) and finding.steps[0] <= LONG_CALM * case.total_steps:
        return False
    levels = np.median(np.lib.stride_tricks.sliding_window_view(before, 5), axis=1)
    return bool(levels[-1] <= CALM_RISE * levels.min())


def rose_before(case: Case, finding: Finding) -> bool:
    """Whether the training loss stood clearly above its first level when the numbers broke; True where they were not
    what broke. A break in the first steps leaves no rise to see."""
    before = _losses_before(case, finding)
    if before is None:
        return True
    return len(before) > 0 and float(np.median(before[-5:])) > CALM_RISE * float(np.median(before[:5]))


def _losses_before(case: Case, finding: Finding) -> NDArray[np.float64] | None:
    """Training losses before the first number that is not finite; None where no number broke, or without a curve."""
    if finding.symptom != "non_finite" or case.curve is None:
        return None
    points = case.curve.loss.finite()
    return points.values[points.steps < finding.steps[0]]
