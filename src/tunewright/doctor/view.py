"""One curve prepared for all detectors: the usable points, in logs, with their noise. Computed once, on demand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tunewright.doctor import statistics as st
from tunewright.doctor import thresholds as th
from tunewright.schema.curve import Curve, Series
from tunewright.schema.median import median

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class View:
    """``curve`` with cached figures. Logs are natural; "noise" is the standard deviation of one logged point."""

    curve: Curve

    # --- training loss -------------------------------------------------------------------------------------

    @cached_property
    def nll(self) -> bool:
        """Whether the loss can be a negative log-likelihood: no reward columns beside it, never below 0."""
        return self.curve.objective == "nll" and not any(
            bool(np.any(one.finite().values < 0)) for one in (self.curve.loss, self.curve.eval_loss)
        )

    @cached_property
    def hidden(self) -> Bools:
        """[n of curve.loss] exact zeros that no small loss explains: a NaN the trainer printed as 0.0.

        A run that has memorised its rows may print 0.0 for a loss of 0.00003; such zeros follow tiny losses. Beside
        rewards 0 is a loss like any other (GRPO starts there), so only a NaN gradient tells.
        """
        values = self.curve.loss.values
        zeros = np.flatnonzero(values == 0.0)
        if not self.nll:
            grads = [self.curve.grad_norm.at(int(self.curve.loss.steps[place])) for place in zeros]
            zeros = zeros[[grad is not None and not np.isfinite(grad) for grad in grads]]
        positive = np.flatnonzero(np.isfinite(values) & (values > 0))
        suspect = np.zeros(len(values), dtype=np.bool_)
        for place, before in zip(zeros, np.searchsorted(positive, zeros), strict=True):
            recent = values[positive[max(0, before - 5) : before]]
            suspect[place] = not len(recent) or float(median(recent)) >= th.ROUNDED_ZERO.value
        return suspect

    @cached_property
    def bad(self) -> Bools:
        """[n of curve.loss] points that are not finite, or are a NaN printed as 0.0."""
        return ~np.isfinite(self.curve.loss.values) | self.hidden

    @cached_property
    def loss(self) -> Series:
        """Training points with a finite, positive loss."""
        keep = ~self.bad & (self.curve.loss.values > 0)
        return Series(self.curve.loss.steps[keep], self.curve.loss.values[keep])

    @cached_property
    def y(self) -> st.Floats:
        """[n] natural logarithm of the training loss."""
        return np.log(self.loss.values)

    @cached_property
    def noise(self) -> float:
        """Noise of one logged training point, in log units, correlation allowed for."""
        return st.noise_scale(self.y) * st.inflation(self.y)

    @cached_property
    def tail(self) -> int:
        """Number of points in the closing window: the last tenth, at least 3."""
        return max(3, len(self.y) // 10)

    @property
    def enough(self) -> bool:
        """Whether window statistics on the training loss mean anything."""
        return len(self.y) >= th.FEWEST_LOSSES.value

    @property
    def some(self) -> bool:
        """Whether there are two levels to compare: fewer points than statistics on windows take."""
        return len(self.y) >= th.FEWEST_LEVELS.value

    def level(self, first: int, last: int) -> float:
        """Median log-loss of the training points first <= i < last."""
        return float(median(self.y[first:last]))

    def train_near(self, step: int, share: float = 0.05) -> float | None:
        """Median training loss around ``step`` (within ``share`` of the run, at least the 3 nearest points)."""
        if len(self.loss) < 3:
            return None
        away = np.abs(self.loss.steps - step)
        near = away <= max(share * self.last_step, float(np.partition(away, 2)[2]))
        return float(median(self.loss.values[near]))

    # --- validation loss -----------------------------------------------------------------------------------

    @cached_property
    def evals(self) -> Series:
        """Evaluations with a finite, positive loss."""
        keep = np.isfinite(self.curve.eval_loss.values) & (self.curve.eval_loss.values > 0)
        return Series(self.curve.eval_loss.steps[keep], self.curve.eval_loss.values[keep])

    @cached_property
    def eval_at_loss(self) -> st.Floats:
        """[n] log of the validation loss, interpolated to the middle of the steps each training point stands for.

        Between two evaluations a falling curve lies below the chord, so early values are rather too high. Only with
        at least one evaluation.
        """
        middle = self.loss.steps - (self.every - 1) / 2
        return np.asarray(np.interp(middle, self.evals.steps, np.log(self.evals.values)))

    @cached_property
    def best(self) -> int:
        """Index of the lowest evaluation (the first of equals). Only with at least one."""
        return int(np.argmin(self.evals.values))

    @cached_property
    def eval_noise(self) -> float:
        """Noise of one evaluation in log units: from second differences after the minimum, or, where that leaves
        fewer than four, after the first quarter; with floors.

        Evaluations share their rows, so this is the wobble of the weights, not of the sample. The minimum is a bend,
        which second differences take for noise, so they do not reach across it.
        """
        if len(self.evals) < 5:
            return th.EVAL_NOISE_UNKNOWN.value
        count = len(self.evals)
        first = self.best if count - self.best >= 4 else max(1, count // 4) - 1
        second = np.diff(np.log(self.evals.values[first:]), 2)
        wobble = 1.4826 * float(median(np.abs(second))) / np.sqrt(6.0)
        return float(min(max(wobble, th.EVAL_NOISE_KNOWN.value), 0.5))

    # --- the run -------------------------------------------------------------------------------------------

    @property
    def last_step(self) -> int:
        return self.curve.last_step

    @cached_property
    def steps(self) -> tuple[int, int]:
        """First and last logged step."""
        starts = [int(s.steps[0]) for s in (self.curve.loss, self.curve.eval_loss) if len(s)]
        return min(starts, default=0), self.last_step

    @property
    def every(self) -> int:
        return self.curve.logged_every

    @property
    def ended(self) -> bool:
        """Whether the log reaches the planned end (assumed when no plan is known)."""
        total = self.curve.total_steps
        return total is None or self.last_step >= th.WHOLE_RUN.value * total

    @property
    def far(self) -> bool:
        """Whether enough of the run is there to speak of what did not happen."""
        total = self.curve.total_steps
        return total is None or self.last_step >= 0.5 * total

    @property
    def epochs(self) -> float | None:
        """Epochs in the log, None if unknown."""
        per_epoch = self.curve.steps_per_epoch
        return self.last_step / per_epoch if per_epoch else None

    @cached_property
    def rate(self) -> Series:
        """The finite learning rates."""
        return self.curve.learning_rate.finite()

    @cached_property
    def warmup_end(self) -> int:
        """Last step before the learning rate first reached half of its peak; 0 when unknown."""
        if not len(self.rate) or float(self.rate.values.max()) <= 0:
            return 0
        reached = np.flatnonzero(self.rate.values >= 0.5 * self.rate.values.max())
        return int(self.rate.steps[reached[0] - 1]) if reached[0] > 0 else 0
