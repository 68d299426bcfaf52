"""A figure as a PNG, drawn with matplotlib: for slides and chats that take no HTML."""

from __future__ import annotations

import io
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.reporter.figure import Band, Figure, Line, Panel
from tunewright.reporter.layout import legend_text
from tunewright.reporter.scales import value_range
from tunewright.reporter.verdicts import SEVERITY_TONE
from tunewright.reporter.words import steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAKER = ("Software", "Tunewright")
"""The mark of a PNG that Tunewright drew: a key and its text."""
WIDTH_IN, DPI = 9.0, 150
MOST_NAMED = 12
"""Findings and marked steps that the legend names; the rest are drawn all the same."""
_DASHES: dict[str, Any] = {"eval": (0, (7, 3)), "general": (0, (2, 3)), "ghost": (0, (2, 2))}
_COLOURS = {"raw": "c-train", "train": "c-train", "eval": "c-eval", "general": "c-general", "rate": "c-rate"}
_OF_RUNS = ("c-eval", "c-general", "c-rate", "c-amber", "c-sky", "quiet")


def render_png(figure: Figure) -> bytes:
    """The figure as a PNG file's bytes, in the colours of the light page.

    Needs matplotlib (``pip install "tunewright[plots]"``); without it ModuleNotFoundError names it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Sheet

    heights = [panel.height_px / 85 for panel in figure.panels] or [1.0]
    sheet = Sheet(figsize=(WIDTH_IN, sum(heights) + 0.55 * len(heights) + 0.9), layout="constrained")
    FigureCanvasAgg(sheet)
    axes = sheet.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for place, panel in zip(axes, figure.panels, strict=False):
        _panel(place, panel, figure)
    axes[-1].set_xlabel(figure.x_title, color=colour("quiet"))
    axes[-1].set_xlim(0, figure.x_end)
    sheet.suptitle(figure.title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=colour("ink"))
    if figure.note:
        sheet.supxlabel(figure.note, x=0.01, ha="left", fontsize=7.5, color=colour("quiet"))
    out = io.BytesIO()
    sheet.savefig(out, format="png", dpi=DPI, facecolor=colour("paper"), metadata=dict([MAKER]))
    return out.getvalue()


@cache
def _palette() -> dict[str, str]:
    """The page's colours in light mode, by name."""
    css = resources.files(__package__).joinpath("colours.css").read_text(encoding="utf-8")
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", css.partition("@media")[0]))


def colour(name: str) -> str:
    """A colour of the page by its name in colours.css.

    >>> colour("paper")
    '#ffffff'
    """
    return _palette()[name]


def _panel(axes: Axes, panel: Panel, figure: Figure) -> None:
    low, high = value_range(panel)
    axes.set_yscale("log" if panel.log else "linear")
    axes.set_ylim(low, high)
    axes.set_title(panel.title, loc="left", fontsize=10, color=colour("ink"))
    axes.grid(axis="y", color=colour("line"), linewidth=0.7)
    axes.tick_params(colors=colour("quiet"), labelsize=8.5)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(colour("quiet"))
    for band in figure.bands:
        least = figure.x_end / 300  # a single step is still seen
        axes.axvspan(
            band.first - least, max(band.last, band.first) + least, color=_tone(band), alpha=0.14, lw=0, zorder=0
        )
    for rule in figure.rules:
        axes.axvline(rule.x, color=colour("ink"), linewidth=0.8, linestyle=":")
    for level in panel.levels:
        axes.axhline(level.y, color=colour("quiet"), linewidth=0.8, linestyle="--")
        axes.annotate(
            level.label, (1, level.y), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7.5
        )
    for one in panel.lines:
        _line(axes, one)
    for spot in panel.spots:
        axes.plot([spot.x], [spot.y], marker="D", color=colour("paper"), markeredgecolor=colour("c-eval"), markersize=7)
    _legend(axes, panel, figure)


def _tone(band: Band) -> str:
    return colour(SEVERITY_TONE.get(band.severity, "quiet"))


def _line(axes: Axes, one: Line) -> None:
    """The finite stretches as a line that breaks elsewhere, and a cross for every point that is not finite."""
    from matplotlib.transforms import blended_transform_factory

    ink, dash, width = _style(one.look)
    finite = np.isfinite(one.y)
    axes.plot(
        one.x,
        np.where(finite, one.y, np.nan),
        color=ink,
        linestyle=dash,
        linewidth=width,
        alpha=0.4 if one.look == "raw" else 1.0,
        marker="o" if one.dots or finite.sum() == 1 else "",
        markersize=3.5,
        label=legend_text(one) or None,
    )
    if one.not_finite:
        at_top = blended_transform_factory(axes.transData, axes.transAxes)
        crosses = one.x[~finite]
        axes.plot(crosses, np.full(len(crosses), 0.97), "x", transform=at_top, color=colour("bad"), markersize=5)


def _style(look: str) -> tuple[str, Any, float]:
    """Colour, dash pattern and width of a line's look (see chart.css)."""
    if look in _COLOURS:
        return colour(_COLOURS[look]), _DASHES.get(look, "-"), 0.8 if look == "raw" else 1.8
    if look == "best-run":
        return colour("c-train"), "-", 2.6
    number = look.removeprefix("run")
    if number.isdigit():
        return colour(_OF_RUNS[int(number) % len(_OF_RUNS)]), (0, (3 + int(number), 2)), 1.4
    return colour("quiet"), _DASHES.get(look, "-"), 0.9


def _legend(axes: Axes, panel: Panel, figure: Figure) -> None:
    """Names of the lines; in the first panel also the findings and the marked steps."""
    from matplotlib.patches import Patch

    handles, labels = axes.get_legend_handles_labels()
    if panel is figure.panels[0]:
        for band in figure.bands[:MOST_NAMED]:
            handles.append(Patch(color=_tone(band), alpha=0.3, linewidth=0))
            labels.append(f"{band.label}, {steps(int(band.first), int(band.last))}")
        for rule in figure.rules[:MOST_NAMED]:
            handles += axes.plot([], [], color=colour("ink"), linewidth=0.8, linestyle=":")
            labels.append(rule.label)
    if handles:
        axes.legend(handles, labels, fontsize=8, frameon=False, loc="best", labelcolor=colour("ink"))
