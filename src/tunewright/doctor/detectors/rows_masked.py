"""Some batches hold no supervised token: isolated losses of exactly 0 among normal ones."""

from __future__ import annotations

import numpy as np

from tunewright.doctor.detectors.base import Answer, found, percent
from tunewright.doctor.detectors.non_finite import masked_signature
from tunewright.doctor.view import View
from tunewright.schema.median import median


def detect(view: View) -> Answer:
    """Fires on two or more isolated zeros (2-90 % of the points) with a zero or unlogged gradient."""
    if masked_signature(view) != "rows":
        return None
    loss, hidden = view.curve.loss, view.hidden
    steps = [int(step) for step in loss.steps[hidden]]
    share = float(np.mean(hidden))
    rows = sorted({row for step in steps for row in view.curve.batch_rows.get(step, ())})
    why = f"{percent(share)} of the logged losses are exactly 0 between normal ones: batches without a supervised token"
    evidence = {
        "points": len(steps),
        "of": len(loss),
        "share": share,
        "normal_loss": float(median(view.loss.values)),
    }
    causes = ("answers cut off by max_length", "rows without an answer", "a response marker that some rows lack")
    return found("rows_masked", (steps[0], steps[-1]), why, evidence, causes, rows=tuple(rows))
