"""The run ended while it was still learning. Information: more training is advice, not repair."""

from __future__ import annotations

import math

import numpy as np

from tunewright.doctor import statistics as st
from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found, percent
from tunewright.doctor.view import View
from tunewright.schema.finding import Abstention
from tunewright.schema.median import median

_CAUSES = ("too few epochs", "learning rate too low", "rank too small for the task")


def detect(view: View) -> Answer:
    """With evaluations: the last is the lowest, and one of two things holds.

    Still falling: the last third of the steps brought 1.5 % beyond noise, and ``L = a + b ln t`` through the later
    evaluations predicts 2 % or more from one more epoch. Starved: the descent per unit of learning rate never
    flattened (late / early above 0.4); a schedule that decays to 0 flattens every curve over steps, so
    the clock there is the sum of the learning rates. Without evaluations only a single-epoch run can be judged:
    later epochs fall by memorising too.
    """
    if not view.ended:
        return None
    if len(view.evals) >= th.FEWEST_EVALS.value or _three_falling(view):
        return _by_validation(view)
    if not view.enough:
        return None
    if view.epochs is None or view.epochs > 1.2:
        why = "too few evaluations, and in repeated epochs the training loss falls by memorising too"
        return Abstention("underfit", why)
    return _by_training(view)


def _three_falling(view: View) -> bool:
    """Three evaluations that fall each time: enough to ask whether the last fall was more than noise."""
    return len(view.evals) == 3 and bool(np.all(np.diff(view.evals.values) < 0))


def log_fit(steps: st.Floats, values: st.Floats) -> tuple[float, float]:
    """a, b of ``L = a + b ln(step)`` by least squares; steps > 0, at least 2 points."""
    b, a = np.polyfit(np.log(steps), values, 1)
    return float(a), float(b)


def _by_validation(view: View) -> Answer:
    values, last = view.evals.values, float(view.evals.steps[-1])
    end = float(values[-1])
    if end > float(values.min()) * (1 + view.eval_noise) or last <= 0:
        return None
    fell = 1 - end / _eval_at(view, 2 * last / 3)
    epoch = min(view.curve.steps_per_epoch or last / 2, last)
    more = math.log((last + epoch) / last)
    falling = _falling_gain(view, fell, more)
    starved = _starved_gain(view, more)
    gain = -math.expm1(-max(falling, starved))  # in log-loss, so that no fit promises more than all of it
    if falling < th.UNDERFIT_GAIN.value and starved <= 0:
        return _within_noise(view, fell)
    evidence = {
        "eval_loss": end,
        "fell_last_third": fell,
        "fell_last_quarter": 1 - end / _eval_at(view, 0.75 * last),
        "fell_total": 1 - end / float(values[0]),
        "gain_one_more_epoch": gain,
        "never_flattened": starved > 0,
        "epoch_known": view.curve.steps_per_epoch is not None,
    }
    lowest = "lowest" if end == float(values.min()) else "within noise of its lowest"
    why = (
        f"validation loss is {lowest} at the end and fell {percent(fell)} over the last third of the run; "
        f"a fit predicts about {percent(gain)} more from {_more_steps(view, last)}"
    )
    return found("underfit", (int(2 * last / 3), int(last)), why, evidence, _CAUSES)


def _more_steps(view: View, last: float) -> str:
    """What the predicted gain is of: an epoch, where the log tells how long one is and the run had one."""
    per_epoch = view.curve.steps_per_epoch
    if per_epoch is None:
        return "half as many steps again"
    return "one more epoch" if per_epoch <= last else "as many steps again"


def _within_noise(view: View, fell: float) -> Abstention | None:
    """A fall that would count were it not for how much single evaluations vary."""
    least = th.DETECTABLE_Z.value * _noise_of_fall(view)
    if not th.UNDERFIT_DROP.value <= fell < least:
        return None
    because = f"the last third of the run brought {percent(fell)}, and single evaluations vary by {percent(least / 3)}"
    return Abstention("underfit", because, float(f"{least:.3g}"))


def _eval_at(view: View, step: float) -> float:
    return float(np.interp(step, view.evals.steps, view.evals.values))


def _falling_gain(view: View, fell: float, more: float) -> float:
    """Relative gain that ``L = a + b ln t`` predicts, the smaller of a fit to the later evaluations and of the last
    third alone; 0 when that third's fall is within noise. ``more`` = ln((T + epoch) / T)."""
    if fell < max(th.UNDERFIT_DROP.value, th.DETECTABLE_Z.value * _noise_of_fall(view)):
        return 0.0
    steps, values = view.evals.steps.astype(float), view.evals.values
    if fell >= 1 or values[-1] <= 0:  # beside the loss before, nothing is left to gain
        return 0.0
    later = steps >= max(steps[-1] / 4, 1.0)
    if later.sum() < 3:
        later = steps > 0
    local = fell / (1 - fell) / math.log(1.5)
    fitted = -log_fit(steps[later], values[later])[1] / float(values[-1]) if later.sum() > 1 else local
    return min(local, fitted, _before_decay(view)) * more


def _noise_of_fall(view: View) -> float:
    """Noise of one evaluation, not taken from the bend of a short, steep curve.

    Second differences take curvature for noise. Evaluations that fall every single time after the first show little
    noise whatever they say: four in a row by chance happen once in 24 times.
    """
    trained = view.evals.values[view.evals.steps > 0]
    steady = len(trained) >= th.FEWEST_EVALS.value and bool(np.all(np.diff(trained) < 0))
    return min(view.eval_noise, th.EVAL_NOISE_UNKNOWN.value) if steady else view.eval_noise


def _before_decay(view: View) -> float:
    """The same slope over the middle third when the learning rate stayed high until then and decayed after (WSD):
    the fall in such a decay is the decay's own, and more epochs do not repeat it. Infinite for other schedules."""
    last = float(view.evals.steps[-1])
    rate = view.rate
    if len(rate) < 3 or float(rate.values.max()) <= 0:
        return math.inf
    middle, end = np.interp([2 * last / 3, last], rate.steps, rate.values / rate.values.max())
    if middle < 0.9 or end > 0.5:
        return math.inf
    level = _eval_at(view, 2 * last / 3)
    return (_eval_at(view, last / 3) - level) / level / math.log(2.0)


def _starved_gain(view: View, more: float) -> float:
    """The same prediction on the clock of summed learning rates; 0 when the descent flattened, is noise, or would
    bring less than half a percent even straight on."""
    last = float(view.evals.steps[-1])
    clock = _clock(view, np.array([0.0, last / 3, 2 * last / 3, last]))
    levels = np.array([_eval_at(view, share * last) for share in (0.0, 1 / 3, 2 / 3, 1.0)])
    if view.evals.steps[0] > last / 10 or np.any(np.diff(clock) <= 0):
        return 0.0
    rates = -np.diff(levels) / np.diff(clock)
    drop = float(levels[1] - levels[3])
    noise = th.DETECTABLE_Z.value * view.eval_noise * math.sqrt(2) * levels[3]
    if rates[0] <= 0 or float(rates[1:].min()) < th.STARVED.value * rates[0] or drop <= noise:
        return 0.0
    straight = float(rates[1:].min() * clock[3] * math.expm1(more) / levels[3])
    if straight < th.UNDERFIT_STARVED_GAIN.value:
        return 0.0
    # straight on is too much to promise: the curve will bend
    fell = math.log(float(levels[1])) - math.log(float(levels[3]))  # in logs: a share of what will be left
    return min(straight, fell / math.log(clock[3] / clock[1]) * more)


def _clock(view: View, steps: st.Floats) -> st.Floats:
    """Sum of the learning rates up to each step (in any unit); the steps themselves when none were logged."""
    rate = view.rate
    if len(rate) < 3 or float(rate.values.max()) <= 0:
        return steps
    summed = np.concatenate([[0.0], np.cumsum(rate.values * np.diff(rate.steps, prepend=0))])
    at: st.Floats = np.interp(steps, np.concatenate([[0], rate.steps]), summed)
    return at


def _by_training(view: View) -> Answer:
    half = len(view.y) // 2
    y, steps = view.y[half:], view.loss.steps[half:].astype(float)
    middle = median(y)
    kept = np.clip(y, middle - 4 * view.noise - 0.1, middle + 4 * view.noise + 0.1)
    slope = float(np.polyfit(np.linspace(0, 1, len(y)), kept, 1)[0])
    z = -slope / (view.noise * math.sqrt(12 / len(y)))
    total = view.level(0, max(3, len(view.y) // 20)) - view.level(-view.tail, len(view.y))
    share = -slope / total if total > 0 else 0.0
    if -slope < th.UNDERFIT_TRAIN_DROP.value or z < th.DETECTABLE_Z.value or share < th.UNDERFIT_TRAIN_SHARE.value:
        return None
    _, b = log_fit(np.maximum(steps, 1.0), np.exp(y))
    gain = -b * math.log(2.0) / math.exp(float(median(y[-view.tail :])))
    if gain < th.UNDERFIT_GAIN.value:
        return None
    evidence = {"fell_last_half": -st.relative(slope), "z": z, "share_of_fall": share, "gain_one_more_epoch": gain}
    why = f"the training loss still fell {percent(-st.relative(slope))} over the last half of a single epoch"
    return found("underfit", (int(steps[0]), int(steps[-1])), why, evidence, _CAUSES)
