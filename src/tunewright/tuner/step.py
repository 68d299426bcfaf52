"""One run of a tuning and what it showed, and a finished tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tunewright.schema.curve import Curve
from tunewright.schema.facts import RunSummary
from tunewright.schema.finding import Diagnosis
from tunewright.schema.prescription import Change, Range
from tunewright.schema.recipe import Recipe
from tunewright.tuner.budget import Spent
from tunewright.tuner.ranking import RowLosses

Goal = Literal["balanced", "eval"]


@dataclass(frozen=True)
class Outcome:
    """What one run of a tuning showed."""

    name: str
    recipe: Recipe
    summary: RunSummary
    diagnosis: Diagnosis
    curve: Curve
    spent: Spent
    stopped_because: str
    end_rows: RowLosses | None = None

    @property
    def end_loss(self) -> float:
        """Evaluation loss at its last step; NaN when it was not evaluated there."""
        loss = self.curve.eval_loss.at(self.curve.last_step)
        return float("nan") if loss is None else loss


@dataclass(frozen=True)
class Step:
    """One run of the tuning with what led to it: the changes, their reason, and what they were expected to give.

    ``phase``: what the tuning was doing: trial, probe, race, trunk, sibling or run.
    """

    outcome: Outcome
    changes: tuple[Change, ...]
    why: str
    predicted: Range | None
    phase: str = "run"


@dataclass(frozen=True)
class Tuning:
    """A finished series. ``best`` is the step that is kept; ``stopped_because`` the rule that ended it, in words."""

    steps: tuple[Step, ...]
    best: Step
    spent: Spent
    stopped_because: str
