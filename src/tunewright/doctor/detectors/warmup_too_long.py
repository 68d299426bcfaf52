"""The learning rate rises for most of the run."""

from __future__ import annotations

import numpy as np

from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found, percent
from tunewright.doctor.view import View


def detect(view: View) -> Answer:
    """Fires when the learning rate first comes within 1 % of its peak after 40 % of a complete run.

    A peak at the second step is never late: no warm-up is shorter.
    """
    rate = view.rate
    if len(rate) < th.FEWEST_RATES.value or not view.ended or float(rate.values.max()) <= 0:
        return None
    place = int(np.argmax(rate.values >= 0.99 * rate.values.max()))
    peak = int(rate.steps[place])
    soonest = peak - view.every + 1  # a coarse log may show the peak so much later
    share = soonest / max(view.last_step, 1)
    if soonest <= th.SOONEST_PEAK.value or share <= th.LATE_PEAK.value or not _rises(rate.values[: place + 1]):
        return None
    why = f"the learning rate reached its peak only at step {peak}, {percent(share)} into the run"
    evidence = {"peak_step": peak, "share": share, "peak": float(rate.values.max())}
    return found("warmup_too_long", (0, peak), why, evidence, ("warm-up steps or share set too high",))


def _rises(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    """Whether it is one long rise (a warm-up) and not a schedule that came down in between."""
    return bool(np.all(np.diff(values) >= -1e-12)) and float(values[0]) < 0.5 * float(values[-1])
