"""What one run of the benchmark is: a recipe, what was done to it, and where it was made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

LONGEST_RUN = 150
"""Optimizer steps; longer plans are cut, so that a run takes seconds."""


@dataclass(frozen=True)
class Recipe:
    """The settings of a run under the names of the Trainer's arguments where there are any."""

    method: str = "lora"
    learning_rate: float = 1e-3
    epochs: float = 3.0
    batch: int = 8
    accumulation: int = 1
    schedule: str = "cosine"
    warmup: float = 0.05
    weight_decay: float = 0.0
    clip: float = 1.0
    rank: int = 8
    dropout: float = 0.0
    beta2: float = 0.999
    epsilon: float = 1e-8
    rows: int = 320
    valid_rows: int = 64
    evals: int = 12
    nan_filter: bool = True

    def changed(self, **values: Any) -> Recipe:
        return replace(self, **values)

    @property
    def steps_per_epoch(self) -> float:
        return max(1, -(-self.rows // self.batch)) / self.accumulation

    @property
    def steps(self) -> int:
        """Optimizer steps of the run."""
        return max(2, min(LONGEST_RUN, round(self.epochs * self.steps_per_epoch)))


@dataclass(frozen=True)
class Spec:
    """One run. ``ops`` are the manipulations of data and training, by name; ``faults`` what they are meant to be."""

    base: str
    recipe: Recipe
    seed: int = 0
    trainer: str = "hf"
    kind: str = "control"
    faults: tuple[str, ...] = ()
    severity: str = ""
    ops: Mapping[str, float] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Readable and unique: what it is, and a checksum of everything."""
        what = "+".join(self.faults) or self.kind
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.base}/{self.trainer}/{what}{'@' + self.severity if self.severity else ''}/{digest}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Spec:
        known = dict(values)
        return cls(**{**known, "recipe": Recipe(**known["recipe"]), "faults": tuple(known["faults"])})
