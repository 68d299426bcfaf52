"""From reports to rows of the table: speeds, ratios of rounds, differences of losses. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields

from bench.engine.orders import Report


@dataclass(frozen=True)
class Speed:
    """A run after its first steps. Tokens are without pads; cpu_s: processor seconds, all threads together."""

    step_s: float
    tokens_per_s: float
    supervised_per_s: float
    tokens_per_cpu_s: float


def speed(report: Report, warm_steps: int) -> Speed:
    """Speed from the end of the last warm-up step to the end of the run.

    Raises ValueError when no step is left after ``warm_steps`` (at least 1: the first has no beginning on the clock).
    """
    steps = len(report.ends_s) - warm_steps
    if warm_steps < 1 or steps < 1:
        raise ValueError(f"{len(report.ends_s)} steps, {warm_steps} of them warm-up: nothing to measure")
    seconds, cpu_s = (ends[-1] - ends[warm_steps - 1] for ends in (report.ends_s, report.ends_cpu_s))
    tokens, supervised = (sum(counts[warm_steps:]) for counts in (report.tokens, report.supervised))
    return Speed(seconds / steps, tokens / seconds, supervised / seconds, tokens / cpu_s)


def middle(speeds: Sequence[Speed]) -> Speed:
    """The median of every figure for itself."""
    return Speed(*(statistics.median(getattr(one, field.name) for one in speeds) for field in fields(Speed)))


@dataclass(frozen=True)
class Ratios:
    """Ratios of interleaved rounds: the middle one and the one worst for us. Larger is better for us."""

    median: float
    worst: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Ratios:
        """
        >>> Ratios.of([3.0, 2.0, 2.5])
        Ratios(median=2.5, worst=2.0, rounds=3)
        """
        return cls(statistics.median(values), min(values), len(values))


def difference(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Largest relative difference of two runs' losses, step by step; NaN when their numbers of steps differ.

    Two losses that are both non-finite at the same step count as equal.

    >>> difference([2.0, 1.0], [2.0, 1.1]) > 0.09
    True
    """
    if len(ours) != len(theirs):
        return math.nan
    return max((_relative(a, b) for a, b in zip(ours, theirs, strict=True)), default=0.0)


def _relative(a: float, b: float) -> float:
    if not (math.isfinite(a) and math.isfinite(b)):
        return 0.0 if math.isfinite(a) == math.isfinite(b) else math.inf
    return abs(a - b) / max(abs(a), abs(b), 1e-12)


def same_work(ours: Report, theirs: Report) -> bool:
    """Whether both trained on the same numbers of tokens and of supervised tokens, step by step."""
    return ours.tokens == theirs.tokens and ours.supervised == theirs.supervised


def end_loss(report: Report, last: int = 5) -> float:
    """Mean loss of a run's last steps: one step's depends on its few rows."""
    return statistics.fmean(report.losses[-last:])
