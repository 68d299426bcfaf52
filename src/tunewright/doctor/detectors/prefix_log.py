"""The log ends before the planned end of the run."""

from __future__ import annotations

from tunewright.doctor.detectors.base import Answer, found, percent
from tunewright.doctor.view import View


def detect(view: View) -> Answer:
    """Fires when the last logged step is below 98 % of the planned steps."""
    if view.ended or view.curve.total_steps is None:
        return None
    share = view.last_step / view.curve.total_steps
    why = f"the log ends at step {view.last_step} of {view.curve.total_steps} planned ({percent(share)})"
    evidence = {"last_step": view.last_step, "planned_steps": view.curve.total_steps, "share": share}
    causes = ("still running", "a checkpoint's copy of the log", "stopped early")
    return found("prefix_log", view.steps, why, evidence, causes)
