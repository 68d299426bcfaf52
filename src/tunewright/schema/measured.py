"""What dry steps and gradients told about a run on this machine, before it was started."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MeasuredPoint:
    """The longest ``rows`` rows at once: the most memory held (GiB), and the time of one pass (s).

    ``spread_GiB``: how far the peaks of the repeated passes lay apart.
    """

    rows: int
    tokens: int
    peak_GiB: float
    spread_GiB: float
    seconds: float


@dataclass(frozen=True)
class MeasuredSide:
    """Training steps, or evaluation passes: ``peak = fixed_GiB + rows x per_row_GiB``.

    ``told_apart``: whether the points differ by more than repeating one of them does; if not, the slope is unknown
    and only the height of the line means something. ``ceiling_rows``: the fewest rows that ran out of memory.
    """

    points: tuple[MeasuredPoint, ...]
    fixed_GiB: float
    per_row_GiB: float
    told_apart: bool
    ceiling_rows: int | None = None


@dataclass(frozen=True)
class NoiseScale:
    """The simple gradient noise scale in rows per step, after ``after_steps`` real steps, from ``rows`` rows.

    ``low`` and ``high`` bound it at 95 %. ``high`` (and ``value``) are None when the gradient itself is not clearly
    told from noise, ``low`` too when nothing can be said; ``because`` then says why, else it is empty.
    ``tokens_per_row``: supervised tokens, to read it in tokens.
    """

    after_steps: int
    rows: int
    value: float | None
    low: float | None
    high: float | None
    tokens_per_row: float
    because: str = ""


@dataclass(frozen=True)
class Pace:
    """Input tokens per second of real steps (of this many rows each) and of evaluation passes; pads not counted."""

    train_tokens_per_s: float
    eval_tokens_per_s: float
    rows_per_step: int


@dataclass(frozen=True)
class Measurement:
    """Everything ``plan --measure`` measured, and the settings it holds for. ``length``: tokens of the longest row."""

    measured_at: str
    device: str
    method: str
    gradient_checkpointing: bool
    length: int
    train: MeasuredSide
    eval: MeasuredSide
    noise: tuple[NoiseScale, ...]
    pace: Pace
    notes: tuple[str, ...] = ()
