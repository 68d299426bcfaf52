"""The rules of the four guides, most pressing first: under policy "guide" the first that speaks decides."""

from __future__ import annotations

from tunewright.prescribe.guide.blocks import OSCILLATION, OVERFIT, STUCK_RULE, UNDERFIT
from tunewright.prescribe.guide.final_loss import DECISION_TREE, QUICK_REFERENCE
from tunewright.prescribe.guide.ladders import CHECK_DATA, FORGETTING, OUT_OF_MEMORY, OVERFIT_LADDER
from tunewright.prescribe.guide.learning_rate import (
    DECAY_AFTER_CONSTANT,
    EPOCHS_RANGE,
    FLUCTUATING,
    PLATEAU,
    SMOOTH_SLOW,
    START,
)

# a fault of data or memory, then a named symptom of the curve, then the level of the final loss, then mere hints
GUIDE_RULES = (
    CHECK_DATA,
    OUT_OF_MEMORY,
    OSCILLATION,
    STUCK_RULE,
    FORGETTING,
    OVERFIT,
    UNDERFIT,
    DECISION_TREE,
    QUICK_REFERENCE,
    OVERFIT_LADDER,
    FLUCTUATING,
    SMOOTH_SLOW,
    PLATEAU,
    START,
    DECAY_AFTER_CONSTANT,
    EPOCHS_RANGE,
)

__all__ = ["GUIDE_RULES"]
