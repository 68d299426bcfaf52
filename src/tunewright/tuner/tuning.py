"""The series of runs: run, read, change one thing, run again, until no change would help beyond noise.

Pure but for what ``run`` does: given the same outcomes it takes the same decisions, so a tuning that was
killed is resumed by going through it again with the finished runs answered from their folders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np

from tunewright.planner.sources import TUNEWRIGHT
from tunewright.prescribe.case import Case
from tunewright.prescribe.fit import MATERIAL_SHARE, trained_evals
from tunewright.prescribe.prescribe import apply, prescribe
from tunewright.prescribe.promise import BUDGET_RULE, predicted_by
from tunewright.schema.prescription import Change, Prescription
from tunewright.schema.recipe import Recipe
from tunewright.tuner.budget import Budget, Spent
from tunewright.tuner.choice import choose
from tunewright.tuner.cut import Costs, fit_to_budget, refusal_of
from tunewright.tuner.step import Goal, Outcome, Step, Tuning
from tunewright.tuner.told import announce, describe

PLANNED = "the planned first run"
LEAST_LAST_SHARE = 0.25
"""With less than this share of the last run's epochs left, the best of the short runs is kept instead."""
STRAIGHT = ("linear", "cosine")
"""Schedules that fall to zero over the whole run."""
TURNED_SHARE = 0.9
"""A run that should have been longer than this share of itself is not made again."""


class Runner(Protocol):
    """Runs one recipe under a name and says what came of it; a run already finished is answered from its folder."""

    def __call__(self, name: str, recipe: Recipe, changes: tuple[Change, ...], why: str) -> Outcome: ...


def tune(
    first: Recipe,
    *,
    run: Runner,
    cost_of: Callable[[Recipe], Costs],
    budget: Budget,
    goal: Goal = "balanced",
    rows: int,
    spent: Spent | None = None,
    before: tuple[Step, ...] = (),
    changes: tuple[Change, ...] = (),
    why: str = PLANNED,
    longest: float | None = None,
    narrowest: int | None = None,
    tell: Callable[[str], None] = lambda text: None,
    on_step: Callable[[tuple[Step, ...], Step], None] = lambda steps, best: None,
) -> Tuning:
    """Run ``first`` and then whatever its reading asks for, until the stop rule or the budget ends it.

    Stop rule: no change left whose predicted gain exceeds noise.

    before : runs made earlier in this tuning, which may turn out to be the best; ``spent``: what they used. When
             there is a whole run among them, the series begins with its reading instead of with ``first``
    changes, why : what makes ``first`` differ from the plan
    longest : epochs past which runs were seen to bring no more; None: not known
    narrowest : the smaller side of the model's narrowest layer, above which no rank goes; None: not known
    tell   : gets one line of plain text for every decision
    on_step : gets all steps and the best one after each run
    """
    used, steps = spent or Spent(), before
    recipe, shortened = fit_to_budget(first, cost_of, budget, used, least_share=0.0)
    changes, made = (*changes, *shortened), any(step.phase == "run" for step in steps)
    if steps and not made and recipe.num_train_epochs < LEAST_LAST_SHARE * first.num_train_epochs:
        return Tuning(steps, choose(steps, goal), used, "the budget is used up: too little is left for a last run")
    while True:
        if not made:
            outcome = run(f"run-{len(steps) + 1}", recipe, changes, why)
            used = used.plus(outcome.spent)
            steps = (*steps, Step(outcome, changes, why, predicted_by(changes)))
            on_step(steps, choose(steps, goal))
            tell(describe(steps[-1], choose(steps, goal)))
        best, made = choose(steps, goal), False
        tried = choose(tuple(step for step in steps if step.phase == "run"), goal)
        prescription = prescribe(case_of(steps, tried, rows, narrowest), "evidence")
        shorter = decayed_by_then(tried) if prescription.keep else None
        if shorter is not None:
            prescription = Prescription(False, (shorter,), shorter.why)
        if prescription.keep:
            return Tuning(steps, best, used, f"no change left whose predicted gain exceeds noise: {prescription.why}")
        asked = apply(tried.outcome.recipe, prescription)
        if longest is not None and longest < asked.num_train_epochs > tried.outcome.recipe.num_train_epochs:
            reason = f"longer runs were seen to bring no more: the loss turned before {longest:.3g} epochs"
            return Tuning(steps, best, used, f"no change left whose predicted gain exceeds noise: {reason}")
        recipe, shortened = fit_to_budget(asked, cost_of, budget, used)
        refusal = _already_run(recipe, steps, prescription.why) or refusal_of(recipe, cost_of, budget, used)
        if refusal:
            return Tuning(steps, best, used, refusal)
        changes, why = (*prescription.changes, *shortened), prescription.why
        tell(announce(changes, why))


def decayed_by_then(step: Step) -> Change | None:
    """Fewer epochs for a run whose evaluations turned while its rate was still high; None when they did not.

    The best step of such a run was never annealed. A run that learns as much, but has decayed to zero by then, is as
    long as the one with the same area under its learning rate: ``2 s - s^2 / T`` of a straight line over T steps.
    """
    recipe, curve = step.outcome.recipe, step.outcome.curve
    evals, total, per_epoch = trained_evals(curve), curve.total_steps, curve.steps_per_epoch
    if recipe.lr_scheduler_type not in STRAIGHT or recipe.max_steps is not None or not total or not per_epoch:
        return None
    if len(evals) < 2:
        return None
    place = int(np.argmin(evals.values))
    lowest, last = float(evals.values[place]), float(evals.values[-1])
    s = int(evals.steps[place])
    epochs = round((2 * s - s * s / total) / per_epoch, 1)
    if last < lowest * (1 + MATERIAL_SHARE) or not 0 < epochs < TURNED_SHARE * recipe.num_train_epochs:
        return None
    why = (
        f"the evaluation loss was lowest at step {s} ({lowest:.4f}), with the learning rate still at "
        f"{100 * (1 - s / total):.0f} %, and rose to {last:.4f}: {epochs:g} epochs have the same area under the rate "
        "and end at zero"
    )
    before = recipe.num_train_epochs
    return Change("num_train_epochs", before, epochs, epochs / before, why, "tuner.decayed_by_then", TUNEWRIGHT)


def _already_run(recipe: Recipe, steps: tuple[Step, ...], why: str) -> str:
    """The same recipe again would give the same losses: that is the end of the road, not another run.

    Where the budget cut that run short, the budget is the cause; ``why``: what was found in its curve.
    """
    twin = next((step for step in steps if step.outcome.recipe == recipe), None)
    if twin is None:
        return ""
    if any(change.rule == BUDGET_RULE for change in twin.changes):
        return f"the budget is used up: {twin.outcome.name} was cut to what it held; {why}"
    return f"no change left whose predicted gain exceeds noise: the next recipe equals {twin.outcome.name}"


def case_of(steps: tuple[Step, ...], best: Step, rows: int, narrowest: int | None = None) -> Case:
    """What the prescriber is told: the reading of the best run so far and the whole runs tried before."""
    outcome = best.outcome
    history = tuple(
        replace(step.outcome.summary, changed=tuple(change.key for change in step.changes))
        for step in steps
        if step.phase == "run"
    )
    return Case(
        diagnosis=outcome.diagnosis,
        curve=outcome.curve,
        config=outcome.recipe.model_dump(),
        rows=rows,
        history=history,
        usual={} if narrowest is None else {"narrowest": narrowest},
    )
