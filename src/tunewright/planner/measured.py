"""What measurements do to a plan: memory lines, pace, and how many rows a step should have. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tunewright.planner.memory import MeasuredMemory, Memory, MemoryLine
from tunewright.planner.steps import steps_per_epoch
from tunewright.planner.words import counted, power_of_two_below
from tunewright.schema.measured import MeasuredSide, Measurement, NoiseScale

NOISE_SOURCE = "An Empirical Model of Large-Batch Training (2018-12)"
GUIDE_MINIMUM = 8
"""Rows a step, whatever the noise says: the guide's least (Mastering Large Model Training, 3.3)."""
MOST_ADVISED = 64
STEPS_TO_GROW = 300
"""Steps a run must keep when a larger step is advised: fewer decide too much at once."""
GROWTH = 2.0
"""The noise scale grows while a model learns (it doubled in the first 20 steps on the bundled data)."""
MOST_WASTE = 0.1
"""Share of extra rows a larger step may cost: it only saves time."""


@dataclass(frozen=True)
class BatchAdvice:
    """``effective`` rows a step, and why."""

    effective: int
    why: str


def measured_memory(measurement: Measurement) -> MeasuredMemory:
    """The two fitted lines as the planner takes them."""
    memory = Memory(_line(measurement.train), _line(measurement.eval), measured=True)
    return MeasuredMemory(memory, measurement.method, measurement.gradient_checkpointing)


def _line(side: MeasuredSide) -> MemoryLine:
    return MemoryLine(side.fixed_GiB, side.per_row_GiB, side.ceiling_rows)


def extra_rows(effective: float, noise_rows: float) -> float:
    """Rows needed to the same loss, relative to the smallest steps: 1 + B / B_noise.

    The steps needed are 1 + B_noise / B times the fewest (An Empirical Model of Large-Batch Training, 2018-12).

    >>> extra_rows(16, 32)
    1.5
    """
    return 1.0 + effective / noise_rows


def batch_advice(planned: int, noise: NoiseScale, rows: int, epochs: float) -> BatchAdvice:
    """The effective batch that follows from a measured noise scale, beside the one that was planned.

    planned above twice the interval : down to the power of two below twice the noise scale, but not below 8; twice,
                                       because the noise scale keeps growing after it was measured
    planned far below the interval   : up while it costs at most 10 % more rows and leaves 300 steps, to 64 at most
    anything else                    : as planned, because the interval does not say otherwise

    >>> batch_advice(32, NoiseScale(20, 128, 6.0, 5.0, 7.0, 20.0), rows=20_000, epochs=2).effective
    8
    """
    if noise.low is None:
        return BatchAdvice(planned, f"not enough evidence for another batch: {noise.because}")
    if noise.value is not None and noise.high is not None and planned > GROWTH * noise.high:
        return _smaller(planned, noise.value, noise)
    if noise.low > 0:
        larger = _larger(planned, noise.low, rows, epochs)
        if larger > planned:
            return _grown(planned, larger, noise)
    return BatchAdvice(planned, f"measured: {said(noise)}; {_kept(planned, noise)}")


def _smaller(planned: int, value: float, noise: NoiseScale) -> BatchAdvice:
    effective = min(planned, max(GUIDE_MINIMUM, power_of_two_below(GROWTH * value)))
    if effective == planned:
        return BatchAdvice(planned, f"measured: {said(noise)}; {planned} rows is the guide's least all the same")
    waste = extra_rows(planned, GROWTH * value) / extra_rows(effective, GROWTH * value) - 1.0
    why = (
        f"even if it doubles later, as it tends to, {planned} rows a step need {100 * waste:.0f} % more rows for the "
        f"same loss than {effective} do"
    )
    return BatchAdvice(effective, f"measured: {said(noise)}; {why}")


def _larger(planned: int, low: float, rows: int, epochs: float) -> int:
    effective = planned
    while 2 * effective <= min(MOST_ADVISED, rows):
        twice = 2 * effective
        too_wasteful = extra_rows(twice, low) > (1.0 + MOST_WASTE) * extra_rows(planned, low)
        if too_wasteful or steps_per_epoch(rows, twice) * epochs < STEPS_TO_GROW:
            break
        effective = twice
    return effective


def _grown(planned: int, larger: int, noise: NoiseScale) -> BatchAdvice:
    assert noise.low is not None
    waste = extra_rows(larger, noise.low) / extra_rows(planned, noise.low) - 1.0
    why = f"{larger} rows a step take fewer steps than {planned} for at most {100 * waste:.0f} % more rows"
    return BatchAdvice(larger, f"measured: {said(noise)}; {why}")


def _kept(planned: int, noise: NoiseScale) -> str:
    assert noise.low is not None
    if planned <= noise.low:
        return f"{counted(planned, 'row')} a step waste little; more would waste rows or leave too few steps"
    return f"{counted(planned, 'row')} a step lie near it, and it tends to grow later, so the planned batch stays"


def said(noise: NoiseScale) -> str:
    """The noise scale in words.

    >>> said(NoiseScale(20, 128, 12.3, 9.04, 16.0, 20.0))
    'the gradient noise scale after 20 steps is 12 rows (9 to 16)'
    """
    where = f"the gradient noise scale after {counted(noise.after_steps, 'step')} is"
    if noise.value is None or noise.high is None or noise.low is None:
        return f"{where} not known" if noise.low is None else f"{where} at least {noise.low:,.3g} rows"
    return f"{where} {noise.value:,.2g} rows ({noise.low:,.2g} to {noise.high:,.2g})"
