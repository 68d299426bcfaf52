"""The series of runs: run, read, change one thing, run again, until no change would help beyond noise.

Pure but for what ``run`` does: given the same outcomes it takes the same decisions, so a tuning that was
killed is resumed by going through it again with the finished runs answered from their folders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from tunewright.doctor.thresholds import FORGETTING_NATS
from tunewright.planner.sources import TUNEWRIGHT
from tunewright.prescribe.case import Case
from tunewright.prescribe.fit import MATERIAL_SHARE, least_gain, trained_evals
from tunewright.prescribe.prescribe import apply, prescribe
from tunewright.prescribe.promise import BUDGET_RULE, predicted_by
from tunewright.prescribe.rule import describe_changes
from tunewright.schema.curve import Curve
from tunewright.schema.facts import RunSummary
from tunewright.schema.finding import Diagnosis
from tunewright.schema.prescription import Change, Prescription, Range
from tunewright.schema.recipe import Recipe
from tunewright.tuner.budget import Budget, Spent
from tunewright.tuner.cut import Costs, fit_to_budget, refusal_of
from tunewright.tuner.ranking import RowLosses

Goal = Literal["balanced", "eval"]
PLANNED = "the planned first run"
LEAST_LAST_SHARE = 0.25
"""With less than this share of the last run's epochs left, the best of the short runs is kept instead."""
MOST_NOISE_SHARE = 0.05
"""A short run's few evaluations tell its noise badly: never more than this share of its loss is taken for it."""
STRAIGHT = ("linear", "cosine")
"""Schedules that fall to zero over the whole run."""
TURNED_SHARE = 0.9
"""A run that should have been longer than this share of itself is not made again."""


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

    ``phase``: what the tuning was doing: probe, race, trunk or run.
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


def choose(steps: tuple[Step, ...], goal: Goal) -> Step:
    """The step to keep. ``eval``: lowest evaluation loss. ``balanced``: the same among runs that keep old skills
    (forgetting at most the doctor's threshold); when none does, the one that forgets least. There a whole run goes
    before a short one whose loss is not lower by more than noise: its schedule is the planned one, and it has seen the
    rows more often.

    A sick run is kept only when all are; a run without evaluation loss counts as infinitely bad.
    """
    well = [step for step in steps if step.outcome.diagnosis.health != "sick"] or list(steps)
    if goal == "balanced":
        keeps = [step for step in well if (step.outcome.summary.forgetting or 0.0) <= FORGETTING_NATS.value]
        if not keeps:
            return min(well, key=lambda step: step.outcome.summary.forgetting or 0.0)
        well = keeps
    best = min(well, key=eval_loss_of)
    if goal == "eval" or best.phase == "run":
        return best
    loss = eval_loss_of(best)
    bar = loss + min(least_gain(best.outcome.curve) or 0.0, MOST_NOISE_SHARE * loss)
    whole = [step for step in well if step.phase == "run" and eval_loss_of(step) <= bar]
    return min(whole, key=eval_loss_of, default=best)


def eval_loss_of(step: Step) -> float:
    """The evaluation loss of what a run keeps; infinite where it has none."""
    loss = step.outcome.summary.eval_loss
    return float("inf") if loss is None or loss != loss else loss


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


def describe(step: Step, best: Step) -> str:
    """One line on what a run showed and where it stands."""
    standing = "best so far" if step is best else f"{best.outcome.name} stays the best"
    return f"{step.outcome.name}: {verdict(step)}; {standing}"


def verdict(step: Step) -> str:
    """What a run showed: the health of its curve, what was learnt, what was forgotten, what was found."""
    summary, diagnosis = step.outcome.summary, step.outcome.diagnosis
    parts = [f"curve {diagnosis.health}"]
    if summary.eval_loss is not None:
        parts.append(f"eval loss {_fall(summary)}")
    if summary.forgetting is not None:
        parts.append(f"forgetting {summary.forgetting:+.2f} nats per token")
    named = [finding.symptom for finding in diagnosis.findings if finding.severity != "info"]
    parts += [f"found {', '.join(named)}"] if named else []
    return "; ".join(parts)


def _fall(summary: RunSummary) -> str:
    if summary.base_eval_loss is None:
        return f"{summary.eval_loss:.4f}"
    return f"{summary.base_eval_loss:.3f} -> {summary.eval_loss:.4f}"


def announce(changes: tuple[Change, ...], why: str) -> str:
    """One line on what the next run changes and why."""
    return f"next: {describe_changes(changes)}; {why}"
