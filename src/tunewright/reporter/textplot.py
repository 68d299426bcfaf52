"""A chart in characters, for terminals and code blocks."""

from __future__ import annotations

import numpy as np

from tunewright.reporter import words
from tunewright.reporter.figure import Figure, Line, Panel
from tunewright.reporter.scales import Scale, value_range

MARKS = {"raw": "·", "ghost": "·", "train": "▪", "eval": "●", "general": "◆", "best-run": "●"}
NOT_FINITE = "!"
SHORTEST, TALLEST = 4, 40


def render_plot(figure: Figure, width: int = 78, height: int = 14) -> str:
    """The first panel of a figure in at most ``width`` columns and about ``height`` rows.

    A column that stands for several points shows all of their rows, so no spike is lost; points that are not
    finite are ``!`` in the top row.
    """
    if not figure.panels:
        return ""
    panel = figure.panels[0]
    rows = min(max(height, SHORTEST), TALLEST)
    low, high = value_range(panel)
    y = Scale(low, high, rows - 1, 0, panel.log)
    labels = {round(y(value)): label for value, label in y.ticks(max(2, rows // 3))}
    margin = max(map(len, labels.values()), default=0)
    columns = max(10, width - margin - 2)
    x = Scale(figure.x_start, figure.x_end, 0, columns - 1, figure.x_log)
    grid = [[" "] * columns for _ in range(rows)]
    marks = _marks(panel)
    for one, mark in zip(panel.lines, marks, strict=True):
        _draw(one, mark, grid, x, y)
    body = [
        f"{labels.get(row, ''):>{margin}} {'┤' if row in labels else '│'}{''.join(line).rstrip()}"
        for row, line in enumerate(grid)
    ]
    start, end = _end(figure.x_start), _end(figure.x_end)
    foot = f"{' ' * margin} └{'─' * columns}"
    scale = f"{' ' * (margin + 2)}{start}{figure.x_title:^{max(0, columns - len(start) - len(end))}}{end}"
    return "\n".join([panel.title, *body, foot, scale, *_legend(panel, width)])


def _end(value: float) -> str:
    """An end of the x axis: whole numbers when large, two digits when small."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _marks(panel: Panel) -> list[str]:
    """A mark for every line; the lines of several runs get letters."""
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    return [MARKS[one.look] if one.look in MARKS else next(letters, "○") for one in panel.lines]


def _draw(one: Line, mark: str, grid: list[list[str]], x: Scale, y: Scale) -> None:
    finite = np.isfinite(one.y)
    columns = np.rint(x.many(one.x)).astype(int)
    rows = np.rint(y.many(np.where(finite, one.y, y.low))).astype(int)
    for column, row, drawn in zip(columns.tolist(), rows.tolist(), finite.tolist(), strict=True):
        if drawn:
            grid[row][column] = mark
        elif one.not_finite:
            grid[0][column] = NOT_FINITE


def _legend(panel: Panel, width: int) -> list[str]:
    entries = []
    for one, mark in zip(panel.lines, _marks(panel), strict=True):
        lost = f" ({NOT_FINITE} {words.plural(one.not_finite, 'point')} not finite)" if one.not_finite else ""
        entries += [f"{mark} {one.name}{lost}"] if one.name or lost else []
    lines: list[str] = []
    for entry in entries:
        if lines and words.columns_of(lines[-1]) + words.columns_of(entry) + 3 <= width:
            lines[-1] += f"   {entry}"
        else:
            lines.append(entry)
    return lines
