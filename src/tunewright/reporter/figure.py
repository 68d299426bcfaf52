"""A chart as data: panels with lines, bands and marks, before any face draws it.

Rules every face keeps: smoothing is causal and its half-life is named; a line is thinned by minimum and maximum,
never by stride, and says so; a value that is not finite becomes a mark at its step and is counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

X_LOG_PAD = 1.15


@dataclass(frozen=True)
class Line:
    """``look`` names the style (see chart.css); ``drawn`` of ``points`` logged ones are in ``x`` and ``y``.

    ``repeats``: another line of the panel shows the same points, so what is lost is marked and counted there.
    """

    name: str
    look: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    points: int
    dots: bool = False
    repeats: bool = False

    @property
    def drawn(self) -> int:
        return len(self.x)

    @property
    def not_finite(self) -> int:
        """Points to be marked as NaN or infinite."""
        return 0 if self.repeats else int(np.count_nonzero(~np.isfinite(self.y)))


@dataclass(frozen=True)
class Spot:
    """One marked point of a panel."""

    x: float
    y: float


@dataclass(frozen=True)
class Level:
    """A horizontal line with a name."""

    y: float
    label: str


@dataclass(frozen=True)
class Panel:
    title: str
    lines: tuple[Line, ...]
    levels: tuple[Level, ...] = ()
    spots: tuple[Spot, ...] = ()
    height_px: int = 260
    log: bool = False
    from_zero: bool = False


@dataclass(frozen=True)
class Band:
    """A finding over its steps; both ends included."""

    first: float
    last: float
    label: str
    severity: str
    about: str


@dataclass(frozen=True)
class Rule:
    """A vertical line with a name."""

    x: float
    label: str
    look: str


@dataclass(frozen=True)
class Figure:
    title: str
    description: str
    x_title: str
    panels: tuple[Panel, ...]
    bands: tuple[Band, ...] = ()
    rules: tuple[Rule, ...] = ()
    note: str = ""
    x_log: bool = False

    @property
    def x_start(self) -> float:
        """The left end of the shared axis: 0, or a little below the first point where it is logarithmic."""
        starts = [float(line.x[0]) for panel in self.panels for line in panel.lines if line.drawn]
        return min(starts, default=0.1) / X_LOG_PAD if self.x_log else 0.0

    @property
    def x_end(self) -> float:
        """The right end of the shared axis; at least 1 where it is linear."""
        ends = [float(line.x[-1]) for panel in self.panels for line in panel.lines if line.drawn]
        if self.x_log:
            return X_LOG_PAD * max(ends, default=1.0)
        return max([1.0, *ends, *(band.last for band in self.bands)])
