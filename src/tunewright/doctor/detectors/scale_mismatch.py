"""Training and validation loss on different scales: a logging fault, not a fault of the run."""

from __future__ import annotations

import numpy as np

from tunewright.doctor import thresholds as th
from tunewright.doctor.detectors.base import Answer, found
from tunewright.doctor.view import View


def detect(view: View) -> Answer:
    """Fires when validation / training is below 0.4 and the same at three or more evaluations (spread below 10 %):
    some 2024 Trainers summed the loss over the accumulation steps."""
    evals = view.evals
    after = [(int(s), float(v)) for s, v in zip(evals.steps, evals.values, strict=True) if s > 0]
    if len(after) < 3 or not view.enough:
        return None
    near = [view.train_near(step, share=0.02) for step, _ in after]
    ratios = np.array([value / train for (_, value), train in zip(after, near, strict=True) if train])
    middle = float(np.median(ratios)) if len(ratios) else 1.0
    if len(ratios) < 3 or middle >= th.SCALE_RATIO.value or float(np.std(ratios)) > th.SCALE_SPREAD.value * middle:
        return None
    factor = 1 / middle
    why = f"the training loss is {factor:.1f} times the validation loss throughout: logged on another scale"
    evidence = {"factor": factor, "spread": float(np.std(ratios)) / middle, "evals": len(ratios)}
    causes = ("loss summed over gradient accumulation (Trainer versions of 2024)", "loss summed over devices")
    return found("scale_mismatch", (after[0][0], after[-1][0]), why, evidence, causes)
