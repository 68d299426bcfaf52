"""The logged loss is no negative log-likelihood: preference or reinforcement training."""

from __future__ import annotations

import numpy as np

from tunewright.doctor.detectors.base import Answer, found
from tunewright.doctor.view import View


def detect(view: View) -> Answer:
    """Fires on any negative loss, and on columns that only preference and reinforcement trainers write."""
    values = np.concatenate([view.curve.loss.values, view.curve.eval_loss.values])
    negative = values[np.isfinite(values) & (values < 0)]
    if view.nll:
        return None
    low = f"{len(negative)} logged losses are negative" if len(negative) else "the log has reward columns"
    evidence = {"negative": len(negative), "lowest": float(values[np.isfinite(values)].min(initial=np.inf))}
    why = f"{low}: this is no negative log-likelihood, and rules for supervised fine-tuning do not apply"
    return found("not_an_nll", view.steps, why, evidence, ("a DPO, GRPO or PPO run: look at its reward and KL",))
