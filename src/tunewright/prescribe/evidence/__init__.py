"""The rules of the evidence policy in the order in which families are treated, one at a time."""

from __future__ import annotations

from tunewright.prescribe.evidence.blown_up import BLOW_UP, NUMBERS
from tunewright.prescribe.evidence.duration import BANDS, UNDERFIT
from tunewright.prescribe.evidence.first import DATA, MEMORY
from tunewright.prescribe.evidence.forgetting import FORGETTING
from tunewright.prescribe.evidence.overfitting import OVERFIT
from tunewright.prescribe.evidence.probed import PROBED
from tunewright.prescribe.evidence.schedule import SCHEDULE
from tunewright.prescribe.evidence.stability import OSCILLATION, STUCK_RULE, WEIGHT_DECAY

# faults of the data, then whether it runs at all, then whether steps are sound, then old skills, then how long
EVIDENCE_RULES = (
    DATA,
    MEMORY,
    PROBED,
    NUMBERS,
    WEIGHT_DECAY,
    BLOW_UP,
    STUCK_RULE,
    OSCILLATION,
    SCHEDULE,
    FORGETTING,
    OVERFIT,
    UNDERFIT,
    BANDS,
)

__all__ = ["EVIDENCE_RULES"]
