"""One reader's readings against the truth."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.fault_sft.dataset import Labelled
from bench.fault_sft.families import FAMILIES, OF_SYMPTOM, UP, Reading
from bench.fault_sft.injections import INJECTIONS
from bench.fault_sft.labels import STILL_FALLING


@dataclass
class Count:
    """``right`` of ``of``; a rate with its exact 95 % interval (Clopper and Pearson, 1934)."""

    right: int = 0
    of: int = 0

    def add(self, right: bool) -> None:
        self.right += right
        self.of += 1

    @property
    def rate(self) -> float:
        """NaN for none of none."""
        return self.right / self.of if self.of else math.nan

    def interval(self) -> tuple[float, float]:
        return clopper_pearson(self.right, self.of)

    def to_json(self) -> dict[str, Any]:
        low, high = self.interval()
        rate = None if math.isnan(self.rate) else round(self.rate, 4)
        return {"right": self.right, "of": self.of, "rate": rate, "low": round(low, 4), "high": round(high, 4)}


def clopper_pearson(right: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a rate, by bisection on the binomial tail; (0, 1) for no trials.

    >>> [round(end, 3) for end in clopper_pearson(0, 75)]
    [0.0, 0.048]
    """
    tail = (1 - confidence) / 2
    low = 0.0 if right == 0 else _solve(lambda p: 1 - _at_most(right - 1, of, p), tail)
    high = 1.0 if right == of else _solve(lambda p: -_at_most(right, of, p), -tail)
    return low, high


def _at_most(count: int, of: int, p: float) -> float:
    return math.fsum(math.comb(of, k) * p**k * (1 - p) ** (of - k) for k in range(count + 1))


def _solve(rising: Any, wanted: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return (low + high) / 2


@dataclass
class Score:
    """What one reader got right on one set of runs.

    recall        : by family, of the runs whose log shows a fault: any right family named at any severity
    by_fault      : the same by what was injected
    precision     : by family, of the warnings: those whose family is true of the run
    advice        : precision over everything said, information included
    alarms        : sound runs (healthy) with a warning; ``alarms_all``: every run without a fault
    wrong_advice  : runs told to pull a knob the way that makes them worse, of all runs where a way is known
    needless      : healthy runs told to change a knob (more epochs for one whose validation loss still falls is right)
    knob_on_data  : runs whose only fault, to be seen in the log, is in the data told to change a knob
    refused       : runs the reader could not read
    """

    recall: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    recall_firm: Count = field(default_factory=Count)
    by_fault: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    precision: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    by_symptom: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    advice: Count = field(default_factory=Count)
    alarms: Count = field(default_factory=Count)
    alarms_all: Count = field(default_factory=Count)
    wrong_advice: Count = field(default_factory=Count)
    needless: Count = field(default_factory=Count)
    knob_on_data: Count = field(default_factory=Count)
    refused: Count = field(default_factory=Count)
    missed_but_abstained: Count = field(default_factory=Count)
    cases: list[dict[str, Any]] = field(default_factory=list)

    @property
    def macro_recall(self) -> float:
        return _mean(count.rate for count in self.recall.values())

    @property
    def macro_by_fault(self) -> float:
        return _mean(count.rate for count in self.by_fault.values())

    @property
    def warnings(self) -> Count:
        """All warnings together: right, of all."""
        counts = self.precision.values()
        return Count(sum(count.right for count in counts), sum(count.of for count in counts))


def _mean(rates: Iterable[float]) -> float:
    known = [rate for rate in rates if not math.isnan(rate)]
    return sum(known) / len(known) if known else math.nan


def score(runs: Sequence[Labelled], readings: Sequence[Reading]) -> Score:
    """Every count, and each run that went wrong as a case."""
    result = Score()
    for run, reading in zip(runs, readings, strict=True):
        _score_run(result, run, reading)
    return result


def main_family(run: Labelled) -> str:
    """The family a visible fault is counted under: the first of FAMILIES that answers it."""
    return next(family for family in FAMILIES if family in run.truth.required)


def _score_run(result: Score, run: Labelled, reading: Reading) -> None:
    truth = run.truth
    result.refused.add(bool(reading.refused))
    if truth.visible:
        hit = bool(reading.families & truth.required)
        result.recall[main_family(run)].add(hit)
        result.recall_firm.add(bool(reading.firm & truth.required))
        result.by_fault[run.fault or "outcome"].add(hit)
        if not hit:
            result.missed_but_abstained.add(abstained_on(reading, truth.required))
            _note(result, "missed", run, reading)
    for claim in reading.claims:
        right = claim.family in truth.allowed
        result.advice.add(right)
        if claim.firm:
            result.precision[claim.family].add(right)
            result.by_symptom[claim.name].add(right)
            if not right:
                _note(result, f"false {claim.name}", run, reading)
    if not run.record.spec.faults:
        result.alarms_all.add(any(claim.firm and claim.family not in truth.allowed for claim in reading.claims))
        if truth.status == "healthy":
            result.alarms.add(bool(reading.firm))
            result.needless.add(bool(needless_pulls(run, reading)))
    if truth.harmful:
        wrong = any(reading.pulls.get(knob, -way) in (way, 0) for knob, way in truth.harmful)
        result.wrong_advice.add(wrong)
        if wrong:
            _note(result, "wrong advice", run, reading)
    if only_data(run):
        result.knob_on_data.add(bool(reading.pulls))


def needless_pulls(run: Labelled, reading: Reading) -> dict[str, int]:
    """The pulls that a healthy run gives no reason for."""
    falling = run.truth.figures.get("last_third", 0.0) > STILL_FALLING
    return {knob: way for knob, way in reading.pulls.items() if not (falling and (knob, way) == ("epochs", UP))}


def abstained_on(reading: Reading, families: frozenset[str]) -> bool:
    """Whether it said that it cannot judge one of these families, or anything at all."""
    names = set(reading.abstained)
    return "too_few_points" in names or any(OF_SYMPTOM.get(name) in families for name in names)


def only_data(run: Labelled) -> bool:
    """Whether nothing but the data is at fault, and the log shows it."""
    faults = run.record.spec.faults
    seen = run.truth.required
    return "data" in seen and seen <= {"data", "numeric"} and all("data" in INJECTIONS[f].families for f in faults)


def _note(result: Score, what: str, run: Labelled, reading: Reading) -> None:
    truth = run.truth
    result.cases.append(
        {
            "what": what,
            "run": run.record.spec.id,
            "status": truth.status,
            "required": sorted(truth.required),
            "allowed": sorted(truth.allowed),
            "said": [f"{claim.name}{'' if claim.firm else ' (info)'}" for claim in reading.claims],
            "pulls": dict(reading.pulls),
            "abstained": list(reading.abstained),
            "figures": {name: round(value, 4) for name, value in truth.figures.items() if math.isfinite(value)},
        }
    )
