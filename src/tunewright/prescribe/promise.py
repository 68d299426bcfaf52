"""What a prescription promised of the next run, and whether it came.

    promise_of(prescription, ...)   -> Promise   written down before the run
    score(promise, loss, ...)       -> Score     once it has ended
    tally(scored)                   -> Tally     one rule over many runs

Losses are nats per supervised token; a figure that is not known, or cannot be compared, is None and never 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewright.prescribe.case import Case
from tunewright.prescribe.prescribe import rule_named
from tunewright.prescribe.rule import describe_changes, is_step
from tunewright.prescribe.values import is_number
from tunewright.schema.prescription import Change, Range

EVAL_KEYS = ("data", "val", "val_size", "seed", "stage", "template", "loss_on", "max_length")
"""Keys that decide which rows are evaluated and how they are read: runs that differ here have no common scale."""
BUDGET_RULE = "tuner.budget"
"""A run cut to a budget is not the run that was predicted."""


@dataclass(frozen=True)
class Promise:
    """What a rule promised of one run.

    rule, source : the rule behind the changes, and where it comes from
    parent       : the run the changes were made to
    change       : the changes in one line
    predicted    : the evaluation loss expected of the run; None when neither a fit nor history gave one
    before       : the parent's evaluation loss, of its chosen checkpoint
    least_gain   : the smallest fall below ``before`` that is more than noise
    unlike       : why the two losses cannot be compared; "" when they can
    """

    rule: str
    source: str
    parent: str
    change: str
    predicted: Range | None
    before: float | None
    least_gain: float | None
    unlike: str = ""

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Promise:
        """The promise as it was written down. Raises TypeError or KeyError when it was not one."""
        kept = {name: value[name] for name in cls.__dataclass_fields__ if name != "predicted"}
        predicted = value.get("predicted")
        return cls(**kept, predicted=Range(**predicted) if predicted else None)


@dataclass(frozen=True)
class Score:
    """What came of a promise.

    inside       : whether the loss lay in the predicted range; None without a range, or when losses are unlike
    error        : loss minus the middle of the range
    gain         : how far the loss fell below the parent's
    symptom_gone : whether the rule, asked about the run that followed, asks for nothing more
    hit          : the symptom is gone at no cost, or the loss fell by more than noise; None when it cannot be judged
    """

    inside: bool | None
    error: float | None
    gain: float | None
    symptom_gone: bool | None
    hit: bool | None


def rule_of(changes: Sequence[Change]) -> str:
    """The rule behind the changes: they come from one, but for what a budget cut off; "" when there are none."""
    return next((change.rule for change in changes if change.rule != BUDGET_RULE and not is_step(change)), "")


def predicted_by(changes: Sequence[Change]) -> Range | None:
    """The evaluation loss that the changes promise; None when nothing supports one or a budget cut the run."""
    if any(change.rule == BUDGET_RULE for change in changes):
        return None
    return next((change.predicted for change in changes if change.predicted is not None), None)


def promise_of(
    changes: Sequence[Change], *, parent: str, before: float | None, least_gain: float | None, unlike: str = ""
) -> Promise | None:
    """The promise behind ``changes``; None when no value of the recipe changes."""
    rule = rule_of(changes)
    if not rule:
        return None
    source = next(change.source for change in changes if change.rule == rule)
    moved = next((f"{change.key} is another" for change in changes if change.key in EVAL_KEYS), "")
    said = describe_changes(tuple(changes))
    return Promise(rule, source, parent, said, predicted_by(changes), _finite(before), least_gain, unlike or moved)


def same_evaluation(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two recipes evaluate the same rows read alike; with a validation file the seed does not matter."""
    keys = (key for key in EVAL_KEYS if not (key in ("seed", "val_size") and one.get("val")))
    return all(one.get(key) == other.get(key) for key in keys)


def score(promise: Promise, loss: float | None, after: Case | None) -> Score:
    """The promise beside what came.

    ``loss``: the run's evaluation loss, of its chosen checkpoint; non-finite counts as outside any range and as no
    gain. ``after``: the case of the run that followed, None when its curve is not known.
    """
    comparable = None if promise.unlike else loss
    gain = None if comparable is None or promise.before is None else promise.before - comparable
    gone = _symptom_gone(promise.rule, after)
    return Score(
        inside=_inside(promise.predicted, comparable),
        error=None if promise.predicted is None else _finite(_minus(comparable, promise.predicted.middle)),
        gain=_finite(gain),
        symptom_gone=gone,
        hit=_hit(promise, gain, gone, after),
    )


def _inside(predicted: Range | None, loss: float | None) -> bool | None:
    return None if predicted is None or loss is None else predicted.low <= loss <= predicted.high


def _minus(loss: float | None, middle: float) -> float | None:
    return None if loss is None else loss - middle


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _symptom_gone(rule_name: str, after: Case | None) -> bool | None:
    """Whether the rule has nothing more to change; None when it is no rule that can be asked."""
    rule = rule_named(rule_name)
    if rule is None or after is None:
        return None
    return all(proposal.keep for proposal in rule.propose(after))


def _hit(promise: Promise, gain: float | None, gone: bool | None, after: Case | None) -> bool | None:
    """A symptom traded for a sick run or for a clearly higher loss is no hit.

    General rows mixed in against forgetting may cost some loss: there the symptom alone decides.
    """
    if gain is not None and gain > (promise.least_gain or 0.0):
        return True
    if gone is None:
        return None if gain is None else False
    sick = after is not None and after.diagnosis.health == "sick"
    # a gain that is not a number is the loss of a run that blew up
    worse = gain is not None and not gain >= -(promise.least_gain or 0.0)
    return gone and not sick and (not worse or promise.rule.endswith("forgetting"))


@dataclass(frozen=True)
class Tally:
    """One rule over the runs it led to; ``ratios``: loss after / before, of the runs that can be compared."""

    rule: str
    used: int
    judged: int
    hits: int
    predicted: int
    inside: int
    mean_error: float | None
    mean_absolute_error: float | None
    ratios: tuple[float, ...]


def tally(rule: str, scored: Iterable[tuple[Promise, Score]]) -> Tally:
    """Count what came of one rule's promises."""
    found = list(scored)
    errors = [score.error for _, score in found if score.error is not None]
    return Tally(
        rule=rule,
        used=len(found),
        judged=sum(score.hit is not None for _, score in found),
        hits=sum(score.hit is True for _, score in found),
        predicted=sum(score.inside is not None for _, score in found),
        inside=sum(score.inside is True for _, score in found),
        mean_error=sum(errors) / len(errors) if errors else None,
        mean_absolute_error=sum(map(abs, errors)) / len(errors) if errors else None,
        ratios=tuple(ratio for promise, score in found if (ratio := _ratio(promise, score)) is not None),
    )


def _ratio(promise: Promise, score: Score) -> float | None:
    if not is_number(promise.before) or not is_number(score.gain) or promise.before <= 0:
        return None
    ratio = 1.0 - score.gain / promise.before
    return ratio if ratio > 0 else None
