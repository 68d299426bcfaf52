"""Groups of symptoms that several rules ask about."""

from __future__ import annotations

import numpy as np

from tunewright.prescribe.case import Case
from tunewright.schema.finding import Finding

BLOWN_UP = ("non_finite", "divergence", "worse_than_start")
UNSTABLE = (*BLOWN_UP, "oscillation")
STUCK = ("no_learning", "weights_not_updating")
EARLY_SHARE = 0.05  # a blow-up within the first 5 % of the steps is the learning rate itself, not its late effect
_RISE = 1.2  # a training loss this many times the first one counts as blown up


def blow_up(case: Case) -> Finding | None:
    """The finding that says the run blew up; None if none, or if "worse than the start" is plain over-fitting.

    An over-fitted run may also end above its start; then the training loss kept falling and the steps were not too
    large, so the over-fitting rules speak instead.
    """
    finding = case.first(*BLOWN_UP)
    if finding is not None and finding.symptom == "worse_than_start" and case.has("overfit"):
        return None
    return finding


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
