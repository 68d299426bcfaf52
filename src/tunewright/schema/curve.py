"""The one curve type: what any tool logged about one run, normalised.

Steps are optimizer steps counted from 1 (0 is "before any update"). Losses are negative log-likelihoods in
nats per supervised token. Non-finite values are kept; a metric that was not logged is an empty series.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.schema.finding import Finding
from tunewright.schema.median import median


@dataclass(frozen=True)
class Series:
    """One metric over time: ``steps`` [n] int64, strictly increasing; ``values`` [n] float64, NaN and inf kept."""

    steps: NDArray[np.int64]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, points: Iterable[tuple[int, float]]) -> Series:
        """A series from (step, value) pairs; sorted by step, a later pair replaces an earlier one of its step.

        >>> Series.of([(2, 1.0), (1, 3.0), (2, 0.5)]).values.tolist()
        [3.0, 0.5]
        """
        latest = dict(points)
        steps = sorted(latest)
        values = [latest[step] for step in steps]
        return cls(np.array(steps, dtype=np.int64), np.array(values, dtype=np.float64))

    def __len__(self) -> int:
        return len(self.steps)

    def finite(self) -> Series:
        """The points whose value is a finite number."""
        keep = np.isfinite(self.values)
        return Series(self.steps[keep], self.values[keep])

    def at(self, step: int) -> float | None:
        """The value logged at exactly ``step``, or None."""
        where = int(np.searchsorted(self.steps, step))
        found = where < len(self.steps) and int(self.steps[where]) == step
        return float(self.values[where]) if found else None


EMPTY = Series(np.empty(0, np.int64), np.empty(0, np.float64))


@dataclass(frozen=True)
class Curve:
    """A run's time series with what is known about the run.

    kind             : name of the reader that made it ("tunewright", "trainer_state", "trainer_log", "csv", ...)
    path             : where it was read from
    loss             : training loss; a point logged every N steps is the mean of those N steps
    eval_loss        : validation loss; step 0, when present, is the untouched model
    general_loss     : loss on the forgetting probe (base's own answers + general text), empty if never measured
    total_steps      : planned steps of the whole run, None if unknown (then the log may be a prefix)
    steps_per_epoch  : None if unknown
    eval_rows        : number of validation rows behind each eval point, None if unknown
    config           : the recipe keys that are known, under Tunewright's names; possibly empty
    batch_rows       : step -> 1-based row numbers of that step's batch, when the trainer recorded them
    objective        : "nll", or "reward" when the log has reward columns (DPO, GRPO, PPO): then loss is no NLL
    replaced         : training losses of a branch the run left when it was resumed from an earlier step
    notes            : what had to be decided to read the log, one sentence each
    probed           : what probes of data and model found, kept beside the log: never read from a series
    failure          : the error that captured output ends in, "" when it ends in none or was not captured
    """

    kind: str
    path: str
    loss: Series
    eval_loss: Series = EMPTY
    learning_rate: Series = EMPTY
    grad_norm: Series = EMPTY
    general_loss: Series = EMPTY
    total_steps: int | None = None
    steps_per_epoch: float | None = None
    eval_rows: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    batch_rows: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    objective: str = "nll"
    replaced: Series = EMPTY
    notes: tuple[str, ...] = ()
    probed: tuple[Finding, ...] = ()
    failure: str = ""

    @property
    def logged_every(self) -> int:
        """The usual distance between two training-loss points, in steps; 1 when there are fewer than two."""
        return int(median(np.diff(self.loss.steps))) if len(self.loss) > 1 else 1

    @property
    def base_eval_loss(self) -> float | None:
        """Validation loss of the untouched model, if it was measured."""
        return self.eval_loss.at(0)

    @property
    def last_step(self) -> int:
        ends = [int(series.steps[-1]) for series in (self.loss, self.eval_loss) if len(series)]
        return max(ends, default=0)
