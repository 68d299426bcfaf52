"""The log is too short to say anything."""

from __future__ import annotations

from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found
from tunewright.doctor.view import View


def detect(view: View) -> Answer:
    """Fires with fewer than 10 training points and fewer than 4 evaluations."""
    points, evals = len(view.y), len(view.evals)
    if points >= th.FEWEST_LOSSES.value or evals >= th.FEWEST_EVALS.value:
        return None
    why = (
        f"only {points} training point{'s' * (points != 1)} and {evals} evaluation{'s' * (evals != 1)}: "
        "log every step and evaluate at step 0 "
        f"(at least {int(th.FEWEST_LOSSES.value)} points or {int(th.FEWEST_EVALS.value)} evaluations are needed)"
    )
    return found("too_few_points", view.steps, why, {"points": points, "evals": evals})
