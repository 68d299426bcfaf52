"""A recipe with a reason and a source for every value, and what it will cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tunewright.schema.measured import Measurement
from tunewright.schema.recipe import Recipe


@dataclass(frozen=True)
class PlannedValue:
    """One recipe key: why it has its value, and the title and date of what says so."""

    key: str
    value: Any
    why: str
    source: str


@dataclass(frozen=True)
class Cost:
    """What the run is predicted to take. Tokens are input tokens through forward and backward."""

    steps: int
    steps_per_epoch: int
    tokens: int
    train_peak_GiB: float
    eval_peak_GiB: float
    seconds: float | None


@dataclass(frozen=True)
class Stage:
    """One stage of a plan with several: what it trains on and why it is there."""

    name: str
    stage: str
    why: str


@dataclass(frozen=True)
class Plan:
    """``warnings``: what the user should know before starting; ``measured``: None unless dry steps were taken."""

    recipe: Recipe
    values: tuple[PlannedValue, ...]
    predicted: Cost
    stages: tuple[Stage, ...] = ()
    warnings: tuple[str, ...] = ()
    measured: Measurement | None = None
