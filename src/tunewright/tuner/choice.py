"""Which run of a tuning is kept."""

from __future__ import annotations

from tunewright.doctor.thresholds import FORGETTING_NATS
from tunewright.prescribe.fit import least_gain
from tunewright.tuner.step import Goal, Step

MOST_NOISE_SHARE = 0.05
"""A short run's few evaluations tell its noise badly: never more than this share of its loss is taken for it."""


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
