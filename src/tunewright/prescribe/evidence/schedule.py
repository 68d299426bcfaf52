"""Runs whose learning rate was wrongly scheduled: a warm-up without end, an early zero, a jump."""

from __future__ import annotations

from tunewright.prescribe.case import Case
from tunewright.prescribe.evidence.area import cut_to_lowest, with_warmup
from tunewright.prescribe.evidence.probed import WARMUP_SHARE
from tunewright.prescribe.evidence.usual import back_to_usual
from tunewright.prescribe.rule import Move, Rule, Rung
from tunewright.prescribe.sources import G2, TRAINER
from tunewright.prescribe.symptoms import SLIP, rate_far_below
from tunewright.prescribe.values import show


def _schedule(case: Case) -> tuple[Rung, ...]:
    too_long, tail, jump = case.first("warmup_too_long"), case.first("lr_zero_tail"), case.first("lr_jump")
    if too_long is not None:
        return _shorter_warmup(case, f"the warm-up takes too much of the run ({too_long.why})")
    if tail is not None:
        says = f"the learning rate reaches zero before the end ({tail.why}): let the schedule span the whole run"
        # stretched over the whole run it would teach as much more as the run is longer than it was
        return (_right_schedule(case, says, min(1.0, tail.steps[0] / max(1, case.total_steps))),)
    if jump is not None:
        return (_right_schedule(case, f"the learning rate jumps ({jump.why}): resume with the scheduler's state"),)
    return ()


def _right_schedule(case: Case, says: str, times: float = 1.0) -> Rung:
    """A look at the schedule; with it the cut of a run that over-fits, which a schedule put right would only worsen."""
    look = Move("lr_scheduler_type", why=says)
    if not case.has("overfit"):
        return Rung("schedule", says, (look,))
    cut, where = cut_to_lowest(case, times)
    return Rung("schedule", f"{says}; it over-fits as well, so as long as was worth it: {where}", (look, cut))


def _shorter_warmup(case: Case, says: str) -> tuple[Rung, ...]:
    """A warm-up of 5 %. A rate that is at its peak sooner teaches more: a run whose validation had turned already gets
    as much shorter as keeps the area under its learning rate, one that over-fits is cut to its lowest evaluation."""
    shorter = Move("warmup_ratio", to=WARMUP_SHARE)
    low, times = case.lowest_eval, with_warmup(case, WARMUP_SHARE)
    turned = low is not None and low[0] < int(case.evals.steps[-1])
    if case.has("overfit"):
        cut, where = cut_to_lowest(case, times)
        return (Rung("shorter warm-up", f"{says}; it over-fits as well: {where}", (shorter, cut)),)
    if rate_far_below(case, SLIP):  # two slips at once, as either alone would leave a failed run
        return (*back_to_usual(case, says, shorter), Rung("shorter warm-up", says, (shorter,)))
    if not turned or times >= 1:
        return (Rung("shorter warm-up", says, (shorter,)),)
    same = f"{says}; {times:.0%} of the steps have the same area under the learning rate then"
    return (Rung("shorter warm-up", same, (shorter, Move("duration", times))),)


SCHEDULE = Rule(
    name="evidence.schedule",
    family="stability",
    source=f"{G2}; {TRAINER}",
    says="warm-up of 3-10 % of the steps; a schedule that ends with the run",
    generalises=(
        f"a warm-up that takes too long becomes {show(WARMUP_SHARE)} of the steps, with the area under the learning "
        "rate kept where validation had turned; the rest are looks; a run that over-fits too is cut in the same step"
    ),
    ask=_schedule,
    before={"warmup_ratio": 0.5},
    after={"warmup_ratio": WARMUP_SHARE},
)
