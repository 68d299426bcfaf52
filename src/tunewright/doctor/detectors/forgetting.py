"""Skills of the base model are lost: its loss on its own answers and on general text rises."""

from __future__ import annotations

import math

import numpy as np

from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found
from tunewright.doctor.view import View
from tunewright.schema.finding import Abstention


def detect(view: View) -> Answer:
    """Rise of ``general_loss`` over step 0, in nats per token, at the last point and at the best evaluation's step.

    Fires when either is above 0.1. Abstains without the probe: the loss on the task cannot show forgetting.
    """
    general = view.curve.general_loss.finite()
    base = view.curve.general_loss.at(0)
    if len(general) < 2 or base is None or not math.isfinite(base):
        missing = "the forgetting probe was not measured" if not len(general) else "the probe has no finite step 0"
        return Abstention("forgetting", f"{missing}; the loss on the task cannot show it")
    last = float(general.values[-1]) - base
    at_best, best_step = _at_best(view)
    worst = max(last, at_best if at_best is not None else last)
    if worst <= th.FORGETTING_NATS.value:
        return None
    evidence = {
        "rise_at_end": last,
        "rise_at_best": at_best,
        "best_step": best_step,
        "base_general_loss": base,
        "limit": th.FORGETTING_NATS.value,
    }
    kept = at_best is not None and at_best <= th.FORGETTING_NATS.value
    where = f"at the end; {at_best:.2f} at the best step {best_step}" if kept else "at the end"
    if at_best is not None and not kept:
        where = f"at the end and {at_best:.2f} at the best step {best_step}"
    why = f"the loss on what the base model could do rose by {last:.2f} nats per token {where}"
    causes = ("learning rate too high", "too many epochs", "no replay of general rows")
    return found("forgetting", (0, int(general.steps[-1])), why, evidence, causes)


def _at_best(view: View) -> tuple[float | None, int | None]:
    """(rise at the probe nearest to the best evaluation, that step); (None, None) without evaluations."""
    general, base = view.curve.general_loss.finite(), view.curve.general_loss.at(0)
    if not len(view.evals) or base is None:
        return None, None
    step = int(view.evals.steps[view.best])
    nearest = int(np.argmin(np.abs(general.steps - step)))
    return float(general.values[nearest]) - base, step
