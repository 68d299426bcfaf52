"""What past runs say about a change: was it tried, did it fail or help, what is it expected to give."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tunewright.doctor.thresholds import FORGETTING_NATS
from tunewright.prescribe.case import Case
from tunewright.prescribe.fit import least_gain, noise_of_eval, t90
from tunewright.prescribe.rule import Proposal, is_step
from tunewright.prescribe.values import is_number, show
from tunewright.schema.facts import RunSummary
from tunewright.schema.prescription import Change, Range

# keys that do not change what is learned, so two runs that differ in them are the same experiment
INERT = frozenset(
    {
        "seed",
        "logging_steps",
        "eval_steps",
        "save_steps",
        "report_to",
        "per_device_eval_batch_size",
        "gradient_checkpointing",
        "early_stopping_patience",
    }
)
_SAME_SHARE = 0.05  # values within 5 % of each other are the same trial
_REACH = 0.67  # a trial that went x4 speaks for x2.5 and beyond, not for x1.5
MIN_USES = 3  # earlier uses of a rule before their spread says anything


def failed_trial(case: Case, proposal: Proposal) -> str:
    """A clause naming the past run that already tried this proposal without gain; "" when none did.

    A run tried it when it differs from the case in the proposal's keys only, each moved the same way and about as
    far. It failed when its evaluation loss is non-finite or not lower than the case's by more than noise.
    """
    moves = tuple(change for change in proposal.changes if not is_step(change) and change.after is not None)
    if not moves:
        return ""
    against_forgetting = proposal.rule.endswith("forgetting")
    for run in case.history:
        if not _tried(case.config, run.config, moves):
            continue
        # what is changed against forgetting is judged by forgetting; it rarely lowers the evaluation loss
        if against_forgetting and _still_forgets(run):
            return f"{run.name} tried {_values(run.config, moves)}: still forgot {show(run.forgetting)} nats per token"
        if not against_forgetting and _failed(case, run):
            return f"{run.name} tried {_values(run.config, moves)}: evaluation loss {_loss(run.eval_loss)}"
    return ""


def from_history(case: Case, change: Change) -> Range | None:
    """The evaluation loss of a past run that made exactly this change, with 2 x noise around; None without one."""
    if case.curve is None or change.after is None:
        return None
    noise = noise_of_eval(case.curve)
    for run in case.history:
        loss = run.eval_loss
        same = _differing(case.config, run.config) == {change.key} and _alike(run.config.get(change.key), change.after)
        if same and loss is not None and math.isfinite(loss) and noise is not None:
            return Range(loss, max(0.0, loss - 2 * noise), loss + 2 * noise)
    return None


def from_record(case: Case, rule: str) -> Range | None:
    """The evaluation loss that a rule's earlier uses lead to expect; None below three of them.

    Formula: ln(loss after / loss before) of the earlier uses has mean m and standard deviation s; the next one lies
    in m +- t s sqrt(1 + 1/n) with 90 %, times the lowest evaluation loss of this run.

    Source: Hahn and Meeker, "Statistical Intervals" (1991), one future observation of a normal population.
    """
    logs = [math.log(ratio) for ratio in case.record.get(rule, ())]
    if len(logs) < MIN_USES or case.lowest_eval is None:
        return None
    mean = sum(logs) / len(logs)
    s = math.sqrt(sum((value - mean) ** 2 for value in logs) / (len(logs) - 1))
    half = t90(len(logs) - 1) * s * math.sqrt(1 + 1 / len(logs))
    low, middle, high = (case.lowest_eval[1] * math.exp(value) for value in (mean - half, mean, mean + half))
    return Range(middle, low, high)


def good_trial(case: Case, changes: tuple[Change, ...]) -> str:
    """A clause naming the past run that already made exactly these changes and gained by it; "" when none did."""
    keys = {change.key for change in changes}
    for run in case.history:
        made = _differing(case.config, run.config) == keys and all(
            _alike(run.config.get(change.key), change.after) for change in changes
        )
        if made and run.eval_loss is not None and not _failed(case, run):
            loss = show(run.eval_loss)
            return f"this change was made already by {run.name}, evaluation loss {loss}: go on from there"
    return ""


def _tried(config: Mapping[str, Any], past: Mapping[str, Any], moves: tuple[Change, ...]) -> bool:
    return _differing(config, past) == {move.key for move in moves} and all(
        _covers(config.get(move.key), past.get(move.key), move.after) for move in moves
    )


def _differing(config: Mapping[str, Any], past: Mapping[str, Any]) -> set[str]:
    """Keys known in both whose values differ, the inert ones left out."""
    shared = (set(config) & set(past)) - INERT
    return {key for key in shared if not _alike(config[key], past[key])}


def _alike(one: Any, other: Any) -> bool:
    if is_number(one) and is_number(other):
        return math.isclose(one, other, rel_tol=_SAME_SHARE)
    # a recipe holds tuples, a recipe file lists
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return list(one) == list(other)
    return bool(one == other)


def _covers(now: Any, past: Any, proposed: Any) -> bool:
    """Whether the past value lies the same way from ``now`` as the proposed one, and not much farther."""
    if not (is_number(now) and is_number(past) and is_number(proposed) and now > 0 and past > 0 and proposed > 0):
        return bool(past == proposed)
    went, wants = math.log(past / now), math.log(proposed / now)
    return went * wants > 0 and abs(wants) >= _REACH * abs(went)


def _still_forgets(run: RunSummary) -> bool:
    return run.forgetting is not None and run.forgetting > FORGETTING_NATS.value


def _failed(case: Case, run: RunSummary) -> bool:
    if run.eval_loss is None:
        return run.health == "sick"
    if not math.isfinite(run.eval_loss):
        return True
    low = case.lowest_eval
    if low is None or case.curve is None:
        return False
    return run.eval_loss > low[1] - (least_gain(case.curve) or 0.0)


def _values(config: Mapping[str, Any], moves: tuple[Change, ...]) -> str:
    return ", ".join(f"{move.key} {show(config.get(move.key))}" for move in moves)


def _loss(value: float | None) -> str:
    return "unknown, the run was sick" if value is None else show(value)
