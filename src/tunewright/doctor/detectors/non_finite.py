"""NaN and infinity, shown or hidden.

The Trainer's default ``logging_nan_inf_filter`` replaces a NaN loss by the running mean since the last log, which
is 0 right after a log: from then on it prints exactly ``0.0``. Signatures measured with transformers 5.23.0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found, percent
from tunewright.doctor.view import View
from tunewright.schema.curve import Series
from tunewright.schema.finding import Finding

_CAUSES = (
    "learning rate too high, or no warm-up",
    "overflow in fp16: use bf16 or fp32",
    "a batch without a supervised token (mean over nothing)",
)


def detect(view: View) -> Answer:
    """Fires on any non-finite loss, on two or more zeros that hide one, and when most steps were skipped."""
    if masked_signature(view) is not None:
        return None
    return _training(view) or _evaluation(view) or _broken_end(view) or _skipped(view)


def masked_signature(view: View) -> str | None:
    """ "all" or "rows" when the bad points look like missing labels rather than broken weights, else None.

    A masked batch has no gradient: grad_norm 0 (or not logged) where the loss is 0 or NaN, and the loss of the
    batches after it is normal. Broken weights never come back and have a NaN gradient. None where the loss is no
    likelihood of tokens: a preference trainer has no labels to miss.
    """
    bad = view.bad
    count = int(bad.sum())
    if count < th.FEWEST_ZEROS.value or not view.nll:
        return None
    grads = [view.curve.grad_norm.at(int(step)) for step in view.curve.loss.steps[bad][:200]]
    logged = [grad for grad in grads if grad is not None]
    if any(grad != 0.0 for grad in logged):  # NaN is unequal to 0 as well
        return None
    share = count / len(bad)
    if share >= th.MASKED_SHARE.value and bad[0]:
        zeros_only = bool(np.all(view.hidden[bad]))
        return "all" if logged or zeros_only else None
    isolated = bool(np.all(view.hidden[bad])) and _comes_back(bad, certain=bool(logged))
    return "rows" if isolated and share >= th.ISOLATED_ZEROS.value else None


def _comes_back(bad: NDArray[np.bool_], *, certain: bool) -> bool:
    """Whether normal losses follow bad ones. A log may end among bad ones: without gradients to tell (``certain``),
    that stretch may be no longer than twice the ones before, or it is a NaN that came to stay."""
    ends = np.flatnonzero(np.diff(np.concatenate([[0], bad.astype(np.int8), [0]])))
    lengths = ends[1::2] - ends[::2]
    if not bad[-1]:
        return True
    return len(lengths) > 1 and (certain or int(lengths[-1]) <= 2 * int(lengths[:-1].max()) + 2)


def _training(view: View) -> Finding | None:
    loss, bad, hidden = view.curve.loss, view.bad, view.hidden
    open_ = bad & ~hidden
    if not open_.any() and not _hides(view):
        return None
    wrong = bad if _hides(view) else open_
    places = np.flatnonzero(wrong)
    first, last = int(loss.steps[places[0]]), int(loss.steps[places[-1]])
    for_good = bool(np.all(wrong[places[0] :]))
    how = "is printed as 0.0, which hides a NaN" if not open_.any() else "is not a finite number"
    rest = "and never comes back" if for_good else f"at {len(places)} of {len(loss)} logged points"
    evidence = {
        "first_step": first,
        "points": len(places),
        "of": len(loss),
        "hidden_as_zero": int(hidden.sum()),
        "last_finite_loss": _last_before(view, first),
        "grad_norm": view.curve.grad_norm.at(first),
        "recovers": not for_good,
    }
    return found("non_finite", (first, last), f"the training loss {how} from step {first} {rest}", evidence, _CAUSES)


def _hides(view: View) -> bool:
    """Two or more suspect zeros, or one with a NaN gradient or evaluation beside it."""
    count = int(view.hidden.sum())
    if not count:
        return False
    grads = [view.curve.grad_norm.at(int(step)) for step in view.curve.loss.steps[view.hidden][:200]]
    broken = any(grad is not None and not np.isfinite(grad) for grad in grads)
    return count >= th.FEWEST_ZEROS.value or broken or not np.all(np.isfinite(view.curve.eval_loss.values))


def _last_before(view: View, step: int) -> float | None:
    earlier = view.loss.values[view.loss.steps < step]
    return float(earlier[-1]) if len(earlier) else None


def _evaluation(view: View) -> Finding | None:
    evals = view.curve.eval_loss
    wrong = ~np.isfinite(evals.values)
    if not wrong.any():
        return None
    steps = evals.steps[wrong]
    why = (
        f"the validation loss is not a finite number at {len(steps)} of {len(evals)} evaluations, the training loss is"
    )
    causes = ("validation rows without a supervised token", "overflow in fp16 during evaluation")
    evidence = {"first_step": int(steps[0]), "points": len(steps), "of": len(evals), "where": "eval_loss"}
    return found("non_finite", (int(steps[0]), int(steps[-1])), why, evidence, causes)


def _broken_end(view: View) -> Finding | None:
    """The last gradients are NaN while the losses look normal: coarse logging has averaged the NaN away."""
    grads: Series = view.curve.grad_norm
    wrong = ~np.isfinite(grads.values)
    ending = len(wrong) if wrong.all() else int(np.argmin(wrong[::-1]))
    if ending < th.BROKEN_END.value or ending == len(wrong) or view.every < 2:
        return None
    steps = grads.steps[-ending:]
    why = f"the gradient norm is not finite from step {steps[0]} to the end: the losses there are averages that hide it"
    evidence = {"first_step": int(steps[0]), "points": ending, "of": len(grads), "where": "grad_norm"}
    return found("non_finite", (int(steps[0]), int(steps[-1])), why, evidence, _CAUSES)


def _skipped(view: View) -> Finding | None:
    """Finite losses, but most gradients overflowed: fp16 scalers skip those steps. A few are normal."""
    grads: Series = view.curve.grad_norm
    wrong = ~np.isfinite(grads.values)
    if len(grads) < th.FEWEST_LOSSES.value or wrong.mean() < th.SKIPPED_STEPS.value:
        return None
    steps = grads.steps[wrong]
    why = f"{percent(float(wrong.mean()))} of the gradient norms are not finite: those steps changed nothing"
    evidence = {"first_step": int(steps[0]), "points": len(steps), "of": len(grads), "where": "grad_norm"}
    return found("non_finite", (int(steps[0]), int(steps[-1])), why, evidence, _CAUSES[1:])
