"""One vocabulary for every reader: what was claimed, of which family, and which knob it wants pulled which way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FAMILIES = ("numeric", "instability", "not_learning", "overfit", "data", "schedule", "logging")

# Tunewright's symptoms.
OF_SYMPTOM: dict[str, str] = {
    "non_finite": "numeric",
    "all_masked": "data",
    "rows_masked": "data",
    "template_mismatch": "data",
    "labels_unrelated": "data",
    "leak": "data",
    "truncated": "data",
    "noisy_labels": "data",
    "duplicates": "data",
    "val_shift": "data",
    "no_stop_token": "data",
    "worse_than_start": "instability",
    "divergence": "instability",
    "oscillation": "instability",
    "spike": "instability",
    "weights_not_updating": "not_learning",
    "no_learning": "not_learning",
    "underfit": "not_learning",
    "overfit": "overfit",
    "memorising": "overfit",
    "lr_zero_tail": "schedule",
    "warmup_too_long": "schedule",
    "lr_jump": "schedule",
    "scale_mismatch": "logging",
}

NEUTRAL = ("plateau", "gap", "lr_constant", "too_few_points", "prefix_log", "not_an_nll", "forgetting")
"""Symptoms that say something about the log or about other skills, not that this run is faulty."""

UP, DOWN = 1, -1


@dataclass(frozen=True)
class Claim:
    """family: one of FAMILIES, or "other"; firm: severity warning or above, not mere information or advice."""

    family: str
    name: str
    firm: bool = True

    def to_json(self) -> dict[str, Any]:
        return {"family": self.family, "name": self.name, "firm": self.firm}


@dataclass(frozen=True)
class Reading:
    """What a reader said about one log: its claims, and the knobs it wants pulled (knob -> UP or DOWN, both: 0).

    ``refused``: it could not read the log at all, in its own words; ``abstained``: names it said it could not judge.
    """

    claims: tuple[Claim, ...] = ()
    pulls: Mapping[str, int] = field(default_factory=dict)
    refused: str = ""
    abstained: tuple[str, ...] = ()

    @property
    def families(self) -> frozenset[str]:
        return frozenset(claim.family for claim in self.claims)

    @property
    def firm(self) -> frozenset[str]:
        """Families of warnings and errors."""
        return frozenset(claim.family for claim in self.claims if claim.firm)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Reading:
        claims = tuple(Claim(**claim) for claim in values["claims"])
        return cls(claims, values["pulls"], values["refused"], tuple(values.get("abstained", ())))
