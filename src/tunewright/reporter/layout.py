"""Where everything of a chart goes: lanes of findings on top, then the panels, then the axis they share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunewright.reporter import words
from tunewright.reporter.figure import Band, Figure, Line, Panel
from tunewright.reporter.scales import Scale

WIDTH_PX = 880
LEFT_PX, RIGHT_PX = 62.0, 16.0
LABEL_PX = 6.9
"""Mean width of a character of the 13 px chart text; used to keep labels apart."""
ROW_PX = 20.0
BANDS_IN_LANES = 24
"""Findings that get a labelled lane; more are still drawn as bands and listed in the table."""


@dataclass(frozen=True)
class Placed:
    """A panel with its place: ``top`` of the plot, legend rows above it."""

    panel: Panel
    top: float
    legend: list[list[Line]]

    @property
    def bottom(self) -> float:
        return self.top + self.panel.height_px


class Layout:
    """Where everything goes: lanes of findings on top, then the panels, then the x axis."""

    def __init__(self, figure: Figure) -> None:
        self.right = WIDTH_PX - RIGHT_PX
        self.x = Scale(figure.x_start, figure.x_end, LEFT_PX, self.right, figure.x_log)
        self.lanes = _assign_lanes(figure.bands[:BANDS_IN_LANES], self.x, self.right)
        y = 6.0 + ROW_PX * (1 + max((lane for lane, _ in self.lanes), default=-1))
        self.panels: list[Placed] = []
        for panel in figure.panels:
            legend = _legend_rows(panel, self.right)
            y += ROW_PX * (1 + len(legend)) + 8
            self.panels.append(Placed(panel, y, legend))
            y += panel.height_px + 16
        self.plots_end = y - 16
        self.height = self.plots_end + 46

    @property
    def plots_start(self) -> float:
        return self.panels[0].top if self.panels else 0.0


def _legend_rows(panel: Panel, right: float) -> list[list[Line]]:
    """The legend's entries in rows that fit; a line without a name has none unless it lost points."""
    rows: list[list[Line]] = []
    used = math.inf
    for one in panel.lines:
        if not legend_text(one):
            continue
        width = 40 + LABEL_PX * words.columns_of(legend_text(one))
        if used + width > right - LEFT_PX:
            rows, used = [*rows, []], 0.0
        rows[-1].append(one)
        used += width
    return rows


def legend_text(one: Line) -> str:
    lost = f"{words.plural(one.not_finite, 'point')} not finite" if one.not_finite else ""
    return ": ".join(part for part in (one.name, lost) if part)


def _assign_lanes(bands: tuple[Band, ...], x: Scale, right: float) -> list[tuple[int, Band]]:
    """Each band with the first lane where neither its bar nor its label meets another."""
    ends: list[float] = []
    placed = []
    for band in sorted(bands, key=lambda one: (one.first, one.last)):
        start, end = extent(band, x, right)
        lane = next((index for index, taken in enumerate(ends) if taken + 10 < start), len(ends))
        ends[lane : lane + 1] = [end]
        placed.append((lane, band))
    return placed


def extent(band: Band, x: Scale, right: float) -> tuple[float, float]:
    start = min(x(band.first), right - LABEL_PX * words.columns_of(band.label))
    return start, max(x(band.last), start + LABEL_PX * words.columns_of(band.label))


def span(band: Band, x: Scale) -> tuple[float, float]:
    """The band's left and right edge; a single step is still 3 px wide."""
    first, last = x(band.first), x(band.last)
    return (first, last) if last - first >= 3 else (first - 1.5, first + 1.5)
