"""Made-up worlds for the tuner: what a run would come to is a formula of its recipe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tunewright.doctor.diagnose import diagnose
from tunewright.planner.steps import evaluation_steps, steps_per_epoch, total_steps
from tunewright.schema.curve import Curve, Series
from tunewright.schema.facts import RunSummary
from tunewright.schema.recipe import Recipe
from tunewright.tuner.budget import Spent
from tunewright.tuner.order import Order
from tunewright.tuner.prices import Prices
from tunewright.tuner.ranking import RowLosses
from tunewright.tuner.scout import STRAIGHT_FACTOR
from tunewright.tuner.step import Outcome

ROWS, BATCH, VAL_ROWS, TOKENS_PER_ROW = 800, 16, 100, 10.0
PER_EPOCH = ROWS // BATCH
PLANNED = Recipe(
    model="m",
    data="d.jsonl",
    per_device_train_batch_size=BATCH,
    num_train_epochs=8.0,
    learning_rate=1e-3,
    lr_scheduler_type="linear",
    warmup_steps=20,
    eval_steps=40,
)
EPOCH_TOKENS = ROWS * TOKENS_PER_ROW
PRICES = Prices(ROWS, TOKENS_PER_ROW, VAL_ROWS * TOKENS_PER_ROW)


@dataclass
class World:
    """``best_rate``: of runs that hold their rate; ``turns_at``: epochs past which each costs ``late_costs`` of loss.

    breaks_above : rates whose numbers break; ``breaks``: further such rates
    forgets      : nats per token and epoch, without replay
    start        : loss of the untouched model
    made         : the orders so far, in rounds
    """

    best_rate: float = 1e-3
    turns_at: float = math.inf
    breaks_above: float = math.inf
    breaks: tuple[float, ...] = ()
    forgets: float = 0.0
    late_costs: float = 0.08
    start: float = 3.0
    noise: float = 0.002
    made: list[list[Order]] = field(default_factory=list)

    def loss(self, recipe: Recipe, step: int) -> float:
        """Loss after ``step`` steps: falls as a power of the steps, costs what the rate is off, and what it overdid."""
        rate = recipe.learning_rate / (STRAIGHT_FACTOR if recipe.lr_scheduler_type == "linear" else 1.0)
        off = 0.05 * math.log2(rate / self.best_rate) ** 2
        settled = recipe.lr_scheduler_type in ("linear", "wsd") or recipe.average_share > 0
        late = max(0.0, step / PER_EPOCH - self.turns_at)
        return 0.3 + 2.5 * (1 + step / 10) ** -0.7 + off + self.late_costs * late + (0.0 if settled else 0.05)

    def __call__(self, orders: Sequence[Order]) -> list[Outcome]:
        self.made.append(list(orders))
        return [self.outcome(order) for order in orders]

    def outcome(self, order: Order) -> Outcome:
        recipe = order.recipe
        total = total_steps(recipe, ROWS)
        steps = np.arange(1, total + 1)
        loss = np.array([self.loss(recipe, step) for step in steps])
        evals = np.array(sorted(evaluation_steps(recipe, total, PER_EPOCH)))
        eval_loss = np.array([self.start if step == 0 else self.loss(recipe, step) for step in evals])
        if recipe.learning_rate > self.breaks_above or recipe.learning_rate in self.breaks:
            loss[10:] = math.nan
            loss, steps, evals, eval_loss = loss[:20], steps[:20], evals[:1], eval_loss[:1]
        general = 0.1 + (0.0 if recipe.replay else self.forgets) * evals / PER_EPOCH
        curve = Curve(
            "tunewright",
            "",
            Series(steps, loss),
            eval_loss=Series(evals, eval_loss),
            general_loss=Series(evals, general) if self.forgets else Series(evals[:0], general[:0]),
            total_steps=total,
            steps_per_epoch=float(PER_EPOCH),
            eval_rows=VAL_ROWS,
            config=recipe.model_dump(),
        )
        best = int(np.argmin(eval_loss))
        diagnosis = diagnose(curve)
        summary = RunSummary(
            name=order.name,
            config=recipe.model_dump(),
            eval_loss=float(eval_loss[best]),
            base_eval_loss=self.start,
            best_epoch=float(evals[best]) / PER_EPOCH,
            forgetting=float(general[best] - 0.1) if self.forgets else None,
            health=diagnosis.health,
        )
        spent = Spent(round((total - order.at_step) * BATCH * TOKENS_PER_ROW), runs=1)
        because = f"all {total} steps done" if len(steps) == total else "non-finite loss since step 10"
        return Outcome(order.name, recipe, summary, diagnosis, curve, spent, because, self.rows(order, eval_loss[-1]))

    def rows(self, order: Order, loss: float) -> RowLosses:
        """Rows whose mean is the loss; what makes a row hard is the same for every run."""
        hard_n = np.random.default_rng(0).gamma(2.0, 0.5, VAL_ROWS)
        own_n = np.random.default_rng(sum(order.name.encode())).normal(0, self.noise * 10, VAL_ROWS)
        nll_n = hard_n - hard_n.mean() + own_n - own_n.mean() + loss
        return RowLosses(nll_n, np.ones(VAL_ROWS, dtype=np.int64))


def per_epoch(recipe: Recipe) -> int:
    return steps_per_epoch(ROWS, recipe.effective_batch_size)
