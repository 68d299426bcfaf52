"""What a run would take before it is made, in training tokens and seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunewright.planner.cost import rows_with_replay
from tunewright.planner.steps import evaluation_steps, steps_per_epoch, total_steps
from tunewright.schema.recipe import Recipe
from tunewright.tuner.budget import FORWARD_WEIGHT
from tunewright.tuner.cut import Costs

EVAL_SHARE = 0.15
"""Looks at a scouting run may cost this share of its training, at half weight."""
MOST_EVALS = 8


@dataclass(frozen=True)
class Prices:
    """The figures behind a price.

    rows, tokens_per_row : of the training data
    eval_tokens          : forwarded at one evaluation, the forgetting probe included
    tokens_per_s         : of the runs so far, all that trained at once together; 0 while nothing is known
    """

    rows: int
    tokens_per_row: float
    eval_tokens: float
    tokens_per_s: float = 0.0

    def __call__(self, recipe: Recipe, at_step: int = 0) -> Costs:
        """What the recipe takes from ``at_step`` on, evaluations at half weight.

        >>> Prices(rows=80, tokens_per_row=10.0, eval_tokens=100.0)(
        ...     Recipe(model="m", data="d", num_train_epochs=1.0, eval_steps=5)
        ... ).tokens
        950.0
        """
        steps = total_steps(recipe, rows_with_replay(self.rows, recipe))
        looks = evaluation_steps(recipe, steps, self.per_epoch(recipe))
        evaluations = sum(1 for step in looks if step > at_step or not at_step)  # the one at a fork was paid for
        train = (steps - at_step) * recipe.effective_batch_size * self.tokens_per_row
        tokens = train + FORWARD_WEIGHT * evaluations * self.eval_tokens
        return Costs(tokens, tokens / self.tokens_per_s if self.tokens_per_s else 0.0)

    def per_epoch(self, recipe: Recipe) -> int:
        """Optimizer steps of one epoch, replay rows included."""
        return steps_per_epoch(rows_with_replay(self.rows, recipe), recipe.effective_batch_size)

    def eval_every(self, recipe: Recipe, own_steps: int) -> int:
        """Steps between the evaluations of a scouting run that trains ``own_steps``: as many as 15 % of it pay for."""
        train = own_steps * recipe.effective_batch_size * self.tokens_per_row
        affordable = EVAL_SHARE * train / max(1.0, FORWARD_WEIGHT * self.eval_tokens)
        return max(1, math.ceil(own_steps / min(MOST_EVALS, max(1.0, affordable))))
