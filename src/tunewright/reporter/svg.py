"""A figure as SVG, written by hand: no library, no script, no font to load.

Colours come from CSS variables, so a page's light and dark mode reach the chart; every line also has a dash
pattern of its own. All text is escaped here.
"""

from __future__ import annotations

import html
from importlib import resources

import numpy as np

from tunewright.reporter import words
from tunewright.reporter.figure import Figure, Line
from tunewright.reporter.layout import (
    LABEL_PX,
    LEFT_PX,
    ROW_PX,
    WIDTH_PX,
    Layout,
    Placed,
    extent,
    legend_text,
    span,
)
from tunewright.reporter.scales import Scale, value_range

METADATA = "<metadata>Tunewright</metadata>"
"""The mark of a file that Tunewright drew."""
MARK_PX = 3.5
MOST_DOTS = 150
WHOLE_SHARE = 0.9


def render_svg(figure: Figure, key: str = "chart", *, standalone: bool = False) -> str:
    """The figure as one ``<svg>`` element. ``key`` makes its ids unique in a page.

    ``standalone`` adds the colours and styles, so that the file shows the same by itself.
    """
    box = Layout(figure)
    parts = [*_lanes(figure, box), *_panels(figure, box), *_rules(figure, box), *_x_axis(figure, box)]
    mark = METADATA if standalone else ""
    style = f"<style>{_css('colours.css')}{_css('chart.css')}</style>" if standalone else ""
    back = f'<rect width="{WIDTH_PX}" height="{box.height:.0f}" style="fill:var(--paper)"/>' if standalone else ""
    key = escaped(key)
    return (
        f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {box.height:.0f}" role="img" '
        f'aria-labelledby="{key}-t {key}-d"><title id="{key}-t">{escaped(figure.title)}</title>'
        f'<desc id="{key}-d">{escaped(figure.description)}</desc>{mark}{style}{back}{"".join(parts)}</svg>'
    )


def escaped(text: object, longest: int = 600) -> str:
    """A string for XML text or a quoted attribute."""
    return html.escape(words.one_line(text, longest))


def _css(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _lanes(figure: Figure, box: Layout) -> list[str]:
    parts = []
    for lane, band in box.lanes:
        bottom = 6.0 + ROW_PX * (lane + 1)
        start, _ = extent(band, box.x, box.right)
        first, last = span(band, box.x)
        look = escaped(band.severity)
        parts.append(
            f'<g><title>{escaped(band.about)}</title><text class="lane-text {look}" x="{max(start, 2):.1f}" '
            f'y="{bottom - 6:.1f}">{escaped(band.label)}</text><rect class="lane {look}" x="{first:.1f}" '
            f'y="{bottom - 3:.1f}" width="{last - first:.1f}" height="3"/></g>'
        )
    return parts


def _panels(figure: Figure, box: Layout) -> list[str]:
    return [part for placed in box.panels for part in _panel(placed, figure, box)]


def _panel(placed: Placed, figure: Figure, box: Layout) -> list[str]:
    panel = placed.panel
    low, high = value_range(panel)
    y = Scale(low, high, placed.bottom, placed.top, panel.log)
    parts = [*_title(placed), *_grid(placed, y, box)]
    for band in figure.bands:
        first, last = span(band, box.x)
        if last - first > WHOLE_SHARE * (box.right - LEFT_PX):
            continue  # a tint of everything sets nothing off; its bar above says where it holds
        parts.append(
            f'<rect class="band {escaped(band.severity)}" x="{first:.1f}" y="{placed.top:.1f}" '
            f'width="{last - first:.1f}" height="{panel.height_px}"/>'
        )
    for level in panel.levels:
        at = y(level.y)
        parts.append(f'<line class="level" x1="{LEFT_PX}" x2="{box.right:.1f}" y1="{at:.1f}" y2="{at:.1f}"/>')
        label = escaped(level.label)
        parts.append(f'<text class="halo" x="{box.right - 4:.1f}" y="{at - 4:.1f}" text-anchor="end">{label}</text>')
    for one in panel.lines:
        parts += _line(one, box.x, y, placed)
    for spot in panel.spots:
        at_x, at_y = box.x(spot.x), y(spot.y)
        parts.append(f'<path class="spot" d="M{at_x:.1f},{at_y - 6:.1f}l6,6l-6,6l-6,-6z"/>')
    return parts


def _title(placed: Placed) -> list[str]:
    top = placed.top - 8 - ROW_PX * len(placed.legend)
    parts = [f'<text class="panel-title" x="{LEFT_PX}" y="{top:.1f}">{escaped(placed.panel.title)}</text>']
    for row, entries in enumerate(placed.legend):
        x, y = LEFT_PX, top + ROW_PX * (row + 1)
        for one in entries:
            text = legend_text(one)
            parts.append(f'<line class="{one.look}" x1="{x:.1f}" x2="{x + 26:.1f}" y1="{y - 4:.1f}" y2="{y - 4:.1f}"/>')
            parts.append(f'<text class="legend" x="{x + 32:.1f}" y="{y:.1f}">{escaped(text)}</text>')
            x += 40 + LABEL_PX * words.columns_of(text)
    return parts


def _grid(placed: Placed, y: Scale, box: Layout) -> list[str]:
    parts = []
    ticks = y.ticks(max(3, placed.panel.height_px // 52))
    if placed.panel.height_px < 80:
        ticks = [ticks[0], ticks[-1]] if len(ticks) > 1 else ticks
    for value, label in ticks:
        at = y(value)
        parts.append(f'<line class="grid" x1="{LEFT_PX}" x2="{box.right:.1f}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT_PX - 8}" y="{at + 4.5:.1f}" text-anchor="end">{label}</text>')
    return parts


def _line(one: Line, x: Scale, y: Scale, placed: Placed) -> list[str]:
    """The finite stretches as one path, single points as dots of no length, and a mark for every other point."""
    finite = np.isfinite(one.y)
    at_x, at_y = x.many(one.x), y.many(np.where(finite, one.y, y.low))
    points = list(zip(at_x.tolist(), at_y.tolist(), finite.tolist(), strict=True))
    parts = [f'<path class="{one.look}" d="{path_of(points)}"/>'] if finite.any() else []
    if one.dots and finite.sum() <= MOST_DOTS:
        for place_x, place_y, step, value in zip(at_x[finite], at_y[finite], one.x[finite], one.y[finite], strict=True):
            where = f"{step:,.4g}" if step % 1 else f"{step:,.0f}"
            tip = f"<title>{escaped(one.name)}: {words.figure(float(value))} at {where}</title>"
            parts.append(f'<circle class="{one.look}" cx="{place_x:.1f}" cy="{place_y:.1f}" r="3.2">{tip}</circle>')
    marks = not_finite_marks(at_x[~finite].tolist(), placed.top + 8)
    if one.not_finite:
        tip = f"{one.name or one.look}: {words.plural(one.not_finite, 'point')} not finite"
        parts.append(f'<path class="not-finite" d="{marks}"><title>{escaped(tip)}</title></path>')
    return parts


def path_of(points: list[tuple[float, float, bool]]) -> str:
    """SVG path commands for (x, y, drawn) points; the line breaks where a point is not drawn.

    >>> path_of([(0, 0, True), (1, 2, True), (2, 0, False), (3, 1, True)])
    'M0,0L1,2M3,1h.01'
    """
    parts: list[str] = []
    open_since = 0
    for place_x, place_y, drawn in [*points, (0.0, 0.0, False)]:
        if drawn:
            parts.append(f"{'L' if open_since else 'M'}{_px(place_x)},{_px(place_y)}")
            open_since += 1
        else:
            parts += ["h.01"] if open_since == 1 else []  # a lone point would have no length and not show
            open_since = 0
    return "".join(parts)


def not_finite_marks(places_x: list[float], y: float) -> str:
    """A small cross at every place; crosses that would lie within half a pixel of each other are one.

    >>> not_finite_marks([10.0, 10.1], 8.0).count("M")
    2
    """
    size = MARK_PX
    halves = sorted({round(2 * place) for place in places_x})
    cross = [f"M{_px(half / 2 - size)},{_px(y - size)}l{_px(2 * size)},{_px(2 * size)}" for half in halves]
    other = [f"M{_px(half / 2 - size)},{_px(y + size)}l{_px(2 * size)},{_px(-2 * size)}" for half in halves]
    return "".join(a + b for a, b in zip(cross, other, strict=True))


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _rules(figure: Figure, box: Layout) -> list[str]:
    parts = []
    for rule in figure.rules:
        at = box.x(rule.x)
        look = escaped(rule.look)
        parts += [
            f'<line class="rule {look}" x1="{at:.1f}" x2="{at:.1f}" y1="{placed.top:.1f}" y2="{placed.bottom:.1f}"/>'
            for placed in box.panels
        ]
        fits_right = at + 8 + LABEL_PX * words.columns_of(rule.label) < box.right
        anchor, x = ("start", at + 6) if fits_right else ("end", at - 6)
        y = box.plots_start + (30 if rule.look == "best" else 46)
        parts.append(
            f'<text class="halo legend" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escaped(rule.label)}</text>'
        )
    return parts


def _x_axis(figure: Figure, box: Layout) -> list[str]:
    y = box.plots_end
    parts = [f'<line class="axis" x1="{LEFT_PX}" x2="{box.right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>']
    for value, label in box.x.ticks(8):
        at = box.x(value)
        parts.append(f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{y:.1f}" y2="{y + 4:.1f}"/>')
        parts.append(f'<text x="{at:.1f}" y="{y + 18:.1f}" text-anchor="middle">{label}</text>')
    middle = (LEFT_PX + box.right) / 2
    parts.append(f'<text x="{middle:.1f}" y="{y + 37:.1f}" text-anchor="middle">{escaped(figure.x_title)}</text>')
    return parts
