"""Charts do not lie: spikes and points that are not finite survive, axes hold every value, text is escaped."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.reporter.curve_figure import curve_figure, line, overlay_figure
from tunewright.reporter.figure import Figure, Panel
from tunewright.reporter.layout import Layout
from tunewright.reporter.scales import Scale, linear_ticks, log_ticks, value_range
from tunewright.reporter.svg import render_svg
from tunewright.schema.curve import Curve, Series
from tunewright.schema.finding import Finding

SVG = "{http://www.w3.org/2000/svg}"
NUMBERS = re.compile(r"-?[\d.]+")


def figure_of(*values: float, **more: Series) -> Figure:
    return curve_figure(Curve("test", "", Series.of(enumerate(values, start=1)), **more))


def parsed(figure: Figure) -> ElementTree.Element:
    return ElementTree.fromstring(render_svg(figure, standalone=True))


def marks_x(root: ElementTree.Element) -> list[float]:
    """Centres of the crosses for points that are not finite."""
    paths = [path.get("d", "") for path in root.iter(f"{SVG}path") if path.get("class") == "not-finite"]
    starts = [float(x) for path in paths for x in re.findall(r"M(-?[\d.]+),", path)]
    return [start + 3.5 for start in starts]


def drawn_points(root: ElementTree.Element, look: str) -> list[tuple[float, float]]:
    paths = [path.get("d", "") for path in root.iter(f"{SVG}path") if path.get("class") == look]
    return [(float(x), float(y)) for path in paths for x, y in re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", path)]


@given(
    st.lists(st.one_of(st.floats(0.01, 5), st.sampled_from([math.nan, math.inf, -math.inf])), min_size=1, max_size=300)
)
@settings(deadline=None)
def test_every_point_that_is_not_finite_has_a_mark_at_its_step(values: list[float]) -> None:
    figure = figure_of(*values)
    root = parsed(figure)
    x = Layout(figure).x
    marks = marks_x(root)
    for step, value in enumerate(values, start=1):
        near = any(abs(mark - x(step)) <= 0.36 for mark in marks)
        assert near or math.isfinite(value)
    lost = sum(not math.isfinite(value) for value in values)
    assert bool(marks) == bool(lost)
    if lost:
        assert f"{lost} point{'s' if lost > 1 else ''} not finite" in "".join(root.itertext())


@pytest.mark.parametrize("seed", range(5))
def test_five_lone_spikes_among_ten_thousand_points_are_all_drawn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.9, 1.1, 10_000)
    spikes = rng.choice(10_000, 5, replace=False)
    values[spikes] = [4.0, 4.2, 4.4, 4.6, 4.8]
    figure = figure_of(*values.tolist())
    box = Layout(figure)
    placed = box.panels[0]
    low, high = value_range(placed.panel)
    y = Scale(low, high, placed.bottom, placed.top)
    drawn = drawn_points(parsed(figure), "raw")
    assert len(drawn) <= 1_300
    for spike in spikes:  # at its place within two pixels (one bucket of the thinning) and at least as high
        x, top = box.x(spike + 1), y(values[spike])
        assert any(abs(at_x - x) < 2 and at_y < top + 0.11 for at_x, at_y in drawn)


def test_thinning_is_announced_and_only_then() -> None:
    assert "of 10,000 points of training" in figure_of(*[1.0] * 10_000).note
    assert figure_of(*[1.0] * 50).note == ""


def test_a_point_that_is_a_mean_says_so() -> None:
    every_ten = Series.of([(10 * step, 1.0) for step in range(1, 9)])
    text = render_svg(curve_figure(Curve("test", "", every_ten, eval_loss=every_ten, eval_rows=82)))
    assert "mean of 10 steps" in text
    assert "validation (82 rows)" in text


def test_a_value_that_is_not_finite_is_neither_joined_over_nor_drawn_as_zero() -> None:
    figure = figure_of(2.0, 1.9, math.nan, 1.8, 1.7)
    path = next(p.get("d", "") for p in parsed(figure).iter(f"{SVG}path") if p.get("class") == "train")
    assert path.count("M") == 2
    assert len(drawn_points(parsed(figure), "train")) == 4


def test_the_smoothed_line_breaks_where_the_loss_is_not_finite() -> None:
    values = [1.0] * 40 + [math.nan] * 20 + [1.0] * 40
    root = parsed(figure_of(*values))
    smoothed = next(p.get("d", "") for p in root.iter(f"{SVG}path") if p.get("class") == "train")
    assert smoothed.count("M") == 2


def test_appending_points_never_moves_the_smoothed_ones() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(0.5, 2.0, 200).tolist()
    part = next(one for one in figure_of(*values[:120]).panels[0].lines if one.repeats)
    whole = next(one for one in figure_of(*values).panels[0].lines if one.repeats)
    assert np.isfinite(whole.y).all()
    assert whole.y[:120].tolist() == part.y.tolist()


@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12), st.integers(2, 12))
def test_linear_ticks_are_inside_and_few(low: float, span: float, about: int) -> None:
    high = low + max(span, 1e-6 * abs(low))
    ticks = linear_ticks(low, high, about)
    assert len(ticks) <= 2.6 * about + 2
    slack = 1e-6 * (high - low)
    assert all(low - slack <= value <= high + slack for value, _ in ticks)


@given(st.floats(1e-12, 1e3), st.floats(2.1, 1e12))
def test_log_ticks_are_inside(low: float, factor: float) -> None:
    high = low * factor
    assert all(low * 0.99 <= value <= high * 1.01 for value, _ in log_ticks(low, high))


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=40))
@settings(deadline=None)
def test_any_numbers_at_all_give_a_readable_picture(values: list[float]) -> None:
    text = render_svg(figure_of(*values), standalone=True)
    root = ElementTree.fromstring(text)
    height = float(root.get("viewBox", "").split()[3])
    for shape in root.iter(f"{SVG}path"):
        for number in NUMBERS.findall(shape.get("d", "")):
            assert -10 <= float(number) <= max(900, height + 10)
    assert "nan" not in " ".join(shape.get("d", "") for shape in root.iter(f"{SVG}path"))


def test_a_wide_range_goes_logarithmic_and_says_so() -> None:
    assert figure_of(3.0, 1.0, 0.01).panels[0].log
    assert "logarithmic" in figure_of(3.0, 1.0, 0.01).panels[0].title
    assert not figure_of(3.0, 1.0, 0.0).panels[0].log  # zero has no logarithm: it must stay visible


def test_findings_are_bands_over_their_steps_with_their_words() -> None:
    finding = Finding("TW1", "over_fit", "warning", (40, 80), {}, "rises <b>fast</b>")
    figure = curve_figure(Curve("test", "", Series.of([(s, 1.0) for s in range(1, 101)])), (finding,))
    root = parsed(figure)
    x = Layout(figure).x
    band = next(r for r in root.iter(f"{SVG}rect") if r.get("class") == "band warning")
    assert float(band.get("x", "")) == pytest.approx(x(40), abs=0.1)
    assert float(band.get("width", "")) == pytest.approx(x(80) - x(40), abs=0.2)
    assert "warning: over fit" in "".join(root.itertext())
    assert "rises <b>fast</b>" in "".join(root.itertext())  # as text: it was parsed back from XML


def test_lanes_keep_labels_of_findings_apart() -> None:
    findings = tuple(Finding(f"TW{i}", "plateau", "info", (i, i + 3), {}, "") for i in range(1, 30, 2))
    figure = curve_figure(Curve("test", "", Series.of([(s, 1.0) for s in range(1, 101)])), findings)
    placed: dict[int, list[tuple[float, float]]] = {}
    box = Layout(figure)
    for lane, band in box.lanes:
        start = box.x(band.first)
        placed.setdefault(lane, []).append((start, max(box.x(band.last), start + 6.9 * len(band.label))))
    for taken in placed.values():
        for (_, end), (start, _) in pairwise(taken):
            assert end < start


def test_a_resumed_run_shows_both_segments() -> None:
    curve = Curve("test", "", Series.of([(s, 1.0) for s in range(1, 50)]))
    left = replace(curve, replaced=Series.of([(21, 1.5), (22, 1.4)]))
    text = render_svg(curve_figure(left, resumed=(20,)))
    assert "resumed at 20" in text
    assert 'class="ghost"' in text


def test_every_line_style_has_a_dash_pattern_or_weight_of_its_own() -> None:
    curves = [
        (f"run-{i}", Curve("test", "", Series.of([]), eval_loss=Series.of([(0, 2.0), (9, 1.0 + i)]))) for i in range(14)
    ]
    figure = overlay_figure(curves, best="run-3")
    assert figure is not None
    looks = [one.look for one in figure.panels[0].lines]
    assert looks[-1] == "best-run"
    named = [look for look in looks if look.startswith("run") and look != "run-other"]
    assert len(named) == len(set(named)) == 11
    style = render_svg(figure, standalone=True)
    dashes = re.findall(r"\.run\d+ \{[^}]*dasharray: ([\d ]+);", style)
    assert len(dashes) == len(set(dashes)) == 12


def test_runs_are_compared_in_epochs_only_when_all_know_them() -> None:
    known = Curve("test", "", Series.of([]), eval_loss=Series.of([(0, 2.0), (100, 1.0)]), steps_per_epoch=50.0)
    unknown = Curve("test", "", Series.of([]), eval_loss=Series.of([(0, 2.0), (100, 1.0)]))
    both = overlay_figure([("a", known), ("b", known)])
    assert both is not None
    assert (both.x_title, both.x_end) == ("epochs", 2.0)
    mixed = overlay_figure([("a", known), ("b", unknown)])
    assert mixed is not None
    assert mixed.x_title == "optimizer step"


def test_hostile_names_stay_text(hostile: str) -> None:
    panel = Panel(hostile, (line(hostile, "train", Series.of([(1, 1.0), (2, 2.0)])),))
    root = parsed(Figure(hostile, hostile, hostile, (panel,)))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "desc", "metadata", "style", "rect", "text", "line", "path", "g", "circle",
    }  # fmt: skip
    assert "<script>" in "".join(root.itertext())


def test_ten_thousand_lost_points_stay_small() -> None:
    assert len(render_svg(figure_of(*[math.nan] * 10_000))) < 120_000


@pytest.mark.parametrize(("config", "said"), [({}, False), ({"average_share": 0.3}, True)])
def test_validation_of_a_mean_of_the_weights_says_so(config: dict[str, float], said: bool) -> None:
    losses = Series.of([(1, 2.0), (2, 1.0)])
    drawn = curve_figure(Curve("test", "", losses, eval_loss=losses, config=config))
    assert any("of the mean of the weights" in one.name for one in drawn.panels[0].lines) is said
