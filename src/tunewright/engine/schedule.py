"""Learning-rate schedules: pure functions from the step about to be taken to a multiplier of the peak rate.

The closed forms are those of transformers' ``optimization.py`` and of ``torch.optim.lr_scheduler.StepLR``, so that
a curve can be laid beside one of another trainer: update number s (from 0) uses ``multiplier(s)``. Under a warm-up
the very first update therefore has a rate of 0, as it has there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunewright.planner.steps import warmup_steps
from tunewright.schema.recipe import PLATEAU_FACTOR, PLATEAU_PATIENCE, Recipe, Schedule

INVERSE_SQRT_TIMESCALE = 10_000


@dataclass(frozen=True)
class LRSchedule:
    """One slot's schedule over ``total`` steps, ``warmup`` of them rising linearly from 0."""

    kind: Schedule
    total: int
    warmup: int = 0
    floor: float = 0.0
    step_size: int = 1000
    step_gamma: float = 0.9
    decay_share: float = 0.2

    @classmethod
    def of(cls, recipe: Recipe, total: int) -> LRSchedule:
        """The schedule a recipe asks for in a run of ``total`` steps."""
        return cls(
            kind=recipe.lr_scheduler_type,
            total=total,
            warmup=warmup_steps(recipe, total),
            floor=recipe.lr_floor,
            step_size=recipe.lr_step_size,
            step_gamma=recipe.lr_step_gamma,
            decay_share=recipe.decay_share,
        )

    def multiplier(self, step: int) -> float:
        """Share of the peak learning rate that update number ``step`` (from 0) uses.

        >>> LRSchedule("linear", total=10, warmup=2).multiplier(6)
        0.5
        >>> [round(LRSchedule("wsd", total=10).multiplier(s), 3) for s in (7, 8, 9)]
        [1.0, 1.0, 0.293]
        """
        if step < self.warmup:
            return step / self.warmup
        return self._after_warmup(step)

    def _after_warmup(self, step: int) -> float:
        past = step - self.warmup
        progress = min(1.0, past / max(1, self.total - self.warmup))
        match self.kind:
            case "linear":
                return 1.0 - progress
            case "cosine":
                return 0.5 * (1.0 + math.cos(math.pi * progress))
            case "cosine_with_min_lr":
                return self.floor + (1.0 - self.floor) * 0.5 * (1.0 + math.cos(math.pi * progress))
            case "step":
                return self.step_gamma ** (past // self.step_size)
            case "wsd":
                return one_minus_sqrt(step, self.total, max(1, round(self.decay_share * self.total)))
            case "inverse_sqrt":
                timescale = self.warmup or INVERSE_SQRT_TIMESCALE
                return 1.0 / math.sqrt((past + timescale) / timescale)
            case _:  # constant; on a plateau the loop's PlateauLR multiplies on top
                return 1.0


def one_minus_sqrt(step: int, total: int, decay: int) -> float:
    """1 until the last ``decay`` of ``total`` steps, then 1 - sqrt(u) with u the share of the decay gone by.

    Source: Hägele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations" (2024-05).

    >>> one_minus_sqrt(50, 100, 20), one_minus_sqrt(85, 100, 20)
    (1.0, 0.5)
    """
    gone = step - (total - decay)
    return 1.0 if gone <= 0 else max(0.0, 1.0 - math.sqrt(gone / decay))


@dataclass
class PlateauLR:
    """reduce_lr_on_plateau: the rate is halved when two evaluations in a row bring no gain of 1e-4 relative.

    Mutable, because it depends on what was measured; its fields are part of a checkpoint.
    """

    best: float | None = None
    waited: int = 0
    factor: float = 1.0

    def see(self, eval_loss: float) -> None:
        """Take note of one evaluation; NaN counts as no gain."""
        if math.isfinite(eval_loss) and (self.best is None or eval_loss < self.best * (1.0 - 1e-4)):
            self.best, self.waited = eval_loss, 0
            return
        self.waited += 1
        if self.waited > PLATEAU_PATIENCE:
            self.factor, self.waited = self.factor * PLATEAU_FACTOR, 0
