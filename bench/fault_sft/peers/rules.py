"""Rules of industrial monitors, written here from their documented thresholds.

SageMaker Debugger, "List of Debugger built-in rules" (AWS documentation, 2024): LossNotDecreasing (num_steps 10, any
decrease), Overfit (ratio_threshold 0.1, patience 1, start_step 0), Overtraining (patience_train 5,
patience_validation 10, delta 0.1), ExplodingTensor (NaN or infinity), VanishingGradient (1e-7). W&B, "Run metrics
automations" (documentation, 2025): z-score window 30, threshold 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.fault_sft.families import DOWN, Claim, Reading
from bench.fault_sft.record import Record
from bench.fault_sft.relog import View, log_history

NUM_STEPS = 10
OVERFIT_RATIO = 0.1
PATIENCE_VALIDATION, DELTA = 10, 0.1
VANISHING = 1e-7
WINDOW, THRESHOLD = 30, 3.0


def sagemaker(record: Record, view: View) -> Reading:
    """LossNotDecreasing, Overfit, Overtraining, ExplodingTensor and VanishingGradient at their defaults."""
    rows = log_history(record, view)
    train = [(row["step"], float(row["loss"])) for row in rows if "loss" in row]
    evals = [(row["step"], float(row["eval_loss"])) for row in rows if "eval_loss" in row]
    grads = [float(row["grad_norm"]) for row in rows if "grad_norm" in row]
    claims = []
    if any(not math.isfinite(value) for _, value in [*train, *evals]) or any(not math.isfinite(g) for g in grads):
        claims.append(Claim("numeric", "ExplodingTensor"))
    if _not_decreasing(train) or _not_decreasing(evals):
        claims.append(Claim("not_learning", "LossNotDecreasing"))
    if _overfit(train, evals):
        claims.append(Claim("overfit", "Overfit"))
    if _overtraining(evals):
        claims.append(Claim("overfit", "Overtraining"))
    if any(grad < VANISHING for grad in grads):
        claims.append(Claim("not_learning", "VanishingGradient"))
    return Reading(tuple(claims))


def _not_decreasing(points: Sequence[tuple[int, float]]) -> bool:
    """Whether any loss is not below the one logged at least ``NUM_STEPS`` steps before."""
    for place, (step, loss) in enumerate(points):
        before = [value for earlier, value in points[:place] if earlier <= step - NUM_STEPS]
        if before and math.isfinite(loss) and loss >= before[-1]:
            return True
    return False


def _overfit(train: Sequence[tuple[int, float]], evals: Sequence[tuple[int, float]]) -> bool:
    known = dict(train)
    for step, loss in evals:
        now = known.get(step)
        if now and math.isfinite(loss) and (loss - now) / now > OVERFIT_RATIO:
            return True
    return False


def _overtraining(evals: Sequence[tuple[int, float]]) -> bool:
    best, since = math.inf, 0
    for _, loss in evals:
        if loss < best - DELTA:
            best, since = loss, 0
        else:
            since += 1
        if since >= PATIENCE_VALIDATION:
            return True
    return False


def wandb_zscore(record: Record, view: View) -> Reading:
    """An alert where a loss lies more than three standard deviations from the mean of the thirty before it."""
    values = [float(row["loss"]) for row in log_history(record, view) if "loss" in row]
    for place in range(WINDOW, len(values)):
        window = np.array(values[place - WINDOW : place])
        spread = float(window.std())
        if spread > 0 and abs(values[place] - float(window.mean())) / spread > THRESHOLD:
            return Reading((Claim("instability", "z-score"),))
    return Reading()


def always_lr_high(record: Record, view: View) -> Reading:
    """The advice most often given, whatever the log."""
    return Reading((Claim("instability", "LR too high"),), {"learning_rate": DOWN})
