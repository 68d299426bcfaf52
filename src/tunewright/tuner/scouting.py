"""What the short runs of a tuning share: what they know, what they may spend, how they are ordered and what came."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunewright.doctor.thresholds import FORGETTING_NATS
from tunewright.planner.sources import TUNEWRIGHT
from tunewright.planner.words import figure
from tunewright.prescribe.guide.ladders import REPLAY_SHARE
from tunewright.schema.prescription import Change
from tunewright.schema.recipe import Recipe, Replay
from tunewright.tuner.budget import Budget, Spent
from tunewright.tuner.choice import choose, eval_loss_of
from tunewright.tuner.cut import BUDGET_MARGIN, affordable_share
from tunewright.tuner.order import Maker, Order, held
from tunewright.tuner.prices import Prices
from tunewright.tuner.rungs import Rung, leader
from tunewright.tuner.step import Goal, Step
from tunewright.tuner.told import verdict

PLANNED_SHARE = 0.5
"""The last run is planned to train on this share of a budget's tokens, general rows and evaluations not counted."""
LAST_SHARE: dict[Goal, float] = {"balanced": 0.8, "eval": 0.0}
"""The most of the budget that is set aside for the last run while its length is only planned. Where the evaluation loss
is all that counts the short runs are as good as a last one, at any moment. Facts are still being learned by heart when
that loss has long been flat, so most of it where the exam counts too."""
KILLS = ("non_finite", "divergence", "worse_than_start")
"""Symptoms that end a short run: what is left of it would say nothing."""
ENDS = (*KILLS, "overfit")
"""The same for a run that goes on from another one."""
KNOBS = (
    *("learning_rate", "num_train_epochs", "lr_scheduler_type", "decay_share", "average_share", "lora_rank"),
    "reshuffle",
)
"""What short runs change of the plan."""


@dataclass(frozen=True)
class Setting:
    """What is known before the first run.

    prices : asked anew each time, because the speed becomes known
    given  : keys the user set; rate and length are where the search starts, a warm-up is kept
    before : runs made earlier in this tuning; ``spent``: what they used
    means  : how many means of weights can be measured at the end
    """

    planned: Recipe
    prices: Callable[[], Prices]
    budget: Budget
    goal: Goal
    rows: int
    given: frozenset[str] = frozenset()
    spent: Spent = field(default_factory=Spent)
    before: tuple[Step, ...] = ()
    means: int = 1


class Scouting:
    """Short runs at work.

    recipe        : the plan, with general rows once they are found to be needed
    rungs         : every short run so far, in the order they were made
    target_epochs : what the last run is expected to take
    warmup        : the same count for every short run, or their first steps would not be the same
    turned        : whether longer runs were seen to bring no more
    """

    def __init__(
        self,
        setting: Setting,
        *,
        make: Maker,
        tell: Callable[[str], None],
        on_step: Callable[[tuple[Step, ...], Step], None],
    ) -> None:
        self.setting, self.recipe = setting, setting.planned
        self._make, self.tell, self._on_step = make, tell, on_step
        self.used = setting.spent
        self.steps = setting.before
        self.rungs: list[Rung] = []
        self.replay: tuple[Change, ...] = ()
        self.target_epochs = setting.planned.num_train_epochs
        self.warmup = 2
        self.turned = False

    # --- what is known ------------------------------------------------------------------------------------------

    @property
    def per_epoch(self) -> int:
        """Steps of an epoch, general rows included."""
        return self.setting.prices().per_epoch(self.recipe)

    @property
    def keeps_warmup(self) -> bool:
        return bool({"warmup_steps", "warmup_ratio"} & self.setting.given)

    @property
    def alive(self) -> bool:
        """Whether any short run came to a loss."""
        return any(math.isfinite(rung.loss) for rung in self.rungs)

    def outdated(self, rung: Rung) -> bool:
        """Whether it was made before general rows were mixed in."""
        return bool(self.replay) and not any(change.key == "replay" for change in rung.step.changes)

    def current(self) -> list[Rung]:
        return [rung for rung in self.rungs if not self.outdated(rung)]

    def finals(self) -> list[Rung]:
        """The longest of the current runs; of those that keep old skills, where that counts and any does."""
        longest = max(rung.total for rung in self.current())
        finals = [rung for rung in self.current() if rung.total == longest]
        if self.setting.goal == "balanced":
            finals = [rung for rung in finals if rung.forgetting <= FORGETTING_NATS.value] or finals
        return finals

    def best(self) -> Rung:
        return leader(self.finals())

    # --- what it may spend --------------------------------------------------------------------------------------

    @property
    def no_room(self) -> str:
        """Why no further short run is made."""
        kept = LAST_SHARE[self.setting.goal] > 0
        return "the rest of the budget is kept for the last run" if kept else "the budget holds no longer one"

    def pays_for(self, share: float, recipe: Recipe) -> bool:
        """Whether what is left of the budget pays for so much of a run."""
        budget = self.setting.budget
        enough = affordable_share(self.setting.prices()(recipe), budget, self.used) >= share
        return enough and self.used.runs < budget.runs

    def fits(
        self, orders: Sequence[Order], *, share: float = 1.0, last_epochs: float | None = None, spare_runs: int = 1
    ) -> bool:
        """Whether these take no more than ``share`` of what is left when the last run is paid for.

        ``last_epochs``: the length of that run, not below the planned one where the exam counts and no run turned;
        None: the planned one. ``spare_runs``: of a budget of runs, those that must be left.
        """
        budget, prices = self.setting.budget, self.setting.prices()
        epochs = last_epochs or self.target_epochs
        if self.setting.goal == "balanced" and not self.turned:
            epochs = max(epochs, self.target_epochs)
        last, most = prices(self._last_run(epochs)), LAST_SHARE[self.setting.goal]
        costs = [prices(order.recipe, order.at_step) for order in orders]
        tokens = budget.tokens - self.used.cost - min(last.tokens, most * budget.tokens)
        seconds = budget.seconds - self.used.seconds - min(last.seconds, most * budget.seconds)
        return (
            sum(cost.tokens for cost in costs) <= share * tokens
            and sum(cost.seconds for cost in costs) <= share * seconds
            and len(orders) + spare_runs <= budget.runs - self.used.runs
        )

    def _last_run(self, epochs: float) -> Recipe:
        """The run that must still be paid for at the end; with general rows while they may be needed."""
        recipe = self.recipe.changed(num_train_epochs=epochs, max_steps=None)
        unsure = self.setting.goal == "balanced" and recipe.stage == "sft" and not self.rungs
        return recipe.changed(replay=Replay(share=REPLAY_SHARE)) if unsure and recipe.replay is None else recipe

    # --- orders -------------------------------------------------------------------------------------------------

    def order(
        self,
        phase: str,
        rate: float,
        total: int,
        why: str,
        *,
        number: int = 0,
        after: str = "",
        start: int = 0,
        **knobs: Any,
    ) -> Order:
        """A run of ``total`` steps. ``number``: its place in the round; ``after``, ``start``: the run that it goes on
        from and at which step; ``knobs``: what it has other than the runs at a held rate."""
        recipe = held(
            self.recipe,
            learning_rate=rate,
            total=total,
            per_epoch=self.per_epoch,
            eval_every=self.setting.prices().eval_every(self.recipe, total - start),
            warmup=self.warmup,
        ).changed(**knobs)
        changes = (*changes_between(self.setting.planned, recipe, why, f"tuner.{phase}"), *self.replay)
        name = f"run-{len(self.steps) + 1 + number}"
        ends = sorted({total // self.per_epoch * self.per_epoch, total})  # of its last whole epoch, and its own
        kept_at = tuple(step for step in ends if step > start)
        return Order(name, recipe, phase, changes, why, after, start, kept_at, ENDS if after else KILLS)

    def longer(self, phase: str, rung: Rung, total: int, number: int = 0) -> Order:
        """The same run, longer: it begins where the shorter one ended."""
        if self.outdated(rung):
            why = f"{figure(rung.rate)} for {total} steps with general rows mixed in"
            return self.order(phase, rung.rate, total, why, number=number)
        why = f"{rung.name} goes on from step {rung.total} to {total} steps in all"
        return self.order(phase, rung.rate, total, why, number=number, after=rung.name, start=rung.total)

    def affordable(self, orders: Sequence[Order]) -> Sequence[Order]:
        """The first of these that the rest of the budget pays for, with nothing set aside any more."""
        budget, prices = self.setting.budget, self.setting.prices()
        tokens, seconds = budget.tokens - self.used.cost, budget.seconds - self.used.seconds
        for count, order in enumerate(orders):
            cost = prices(order.recipe)
            tokens, seconds = tokens - cost.tokens / BUDGET_MARGIN, seconds - cost.seconds / BUDGET_MARGIN
            if min(tokens, seconds) < 0 or self.used.runs + count >= budget.runs:
                return orders[:count]
        return orders

    def whole(self, recipe: Recipe, why: str, number: int = 0) -> Order:
        """A run that is no probe, under a recipe of its own."""
        changes = (*changes_between(self.setting.planned, recipe, why, "tuner.scout"), *self.replay)
        name = f"run-{len(self.steps) + 1 + number}"
        return Order(name, recipe, "run", changes, why, ends_on=("forgetting",))

    def run(self, orders: Sequence[Order]) -> list[Rung]:
        """Have a round of runs made; take down and tell what came of each."""
        made = []
        for order, outcome in zip(orders, self._make(orders), strict=True):
            self.used = self.used.plus(outcome.spent)
            step = Step(outcome, order.changes, order.why, None, order.phase)
            self.steps = (*self.steps, step)
            total = round(order.recipe.num_train_epochs * self.per_epoch)
            made.append(Rung(step, order.recipe.learning_rate, total, order.kept_at))
        self.rungs += made
        self._on_step(self.steps, choose(self.steps, self.setting.goal))
        for rung in made:
            self.tell(came(rung))
        return made


def changes_between(before: Recipe, after: Recipe, why: str, rule: str) -> tuple[Change, ...]:
    """The knobs of rate, length and rank in which two recipes differ."""
    changes, settled = [], f"{why}; held, and the mean of the last {after.average_share:.0%} of weights is kept"
    for key in KNOBS:
        old, new = getattr(before, key), getattr(after, key)
        if old != new:
            factor = new / old if isinstance(new, int | float) and old else None
            said = settled if key in ("lr_scheduler_type", "average_share") and after.average_share else why
            changes.append(Change(key, old, new, factor, said, rule, TUNEWRIGHT))
    return tuple(changes)


def came(rung: Rung) -> str:
    """What a run came to, in one line."""
    if rung.step.phase == "run":
        return f"{rung.name}: {verdict(rung.step)}"
    head = f"{rung.name}: {figure(rung.rate)} for {rung.total} steps"
    if rung.whole and math.isfinite(rung.loss):
        mean = " of the mean" if rung.step.outcome.recipe.average_share else ""
        lowest = f", at its lowest {eval_loss_of(rung.step):.4f}" if rung.step.phase == "sibling" else ""
        return f"{head}, loss{mean} {rung.loss:.4f}{lowest}"
    return f"{head} was ended after step {rung.step.outcome.curve.last_step}: {rung.step.outcome.stopped_because}"


def listed(rates: Sequence[float]) -> str:
    """Rates as people write them.

    >>> listed([5e-4, 1e-3])
    '5e-4, 1e-3'
    """
    return ", ".join(figure(rate) for rate in rates)
