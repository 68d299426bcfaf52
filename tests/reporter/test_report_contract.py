"""What every chart promises, for any curve: see the module that makes figures for the rules.

Smoothing is causal and on every logged point; thinning keeps extremes, ends, and what is not finite; nothing that is
not finite becomes a number; the text behind a chart says the same figures.
"""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.curve.smooth import smooth
from tunewright.reporter.curve_figure import curve_figure, half_life_steps, overlay_figure
from tunewright.reporter.curve_section import curve_table, not_finite
from tunewright.reporter.figure import Figure, Line
from tunewright.reporter.figures import figures_of
from tunewright.reporter.scales import value_range
from tunewright.reporter.svg import render_svg
from tunewright.reporter.textplot import NOT_FINITE, render_plot
from tunewright.reporter.words import figure as said
from tunewright.schema.curve import EMPTY, Curve, Series
from tunewright.schema.finding import Finding

LOSSES = st.one_of(st.floats(1e-4, 50), st.sampled_from([math.nan, math.inf, -math.inf, 0.0]))
MOST = 60


@st.composite
def series(draw: st.DrawFn, least: int = 1, most: int = 400) -> Series:
    """A metric logged at any rising steps, with any losses a trainer can log."""
    values = draw(st.lists(LOSSES, min_size=least, max_size=most))
    gaps = draw(st.lists(st.integers(1, 9), min_size=len(values), max_size=len(values)))
    return Series(np.cumsum(gaps), np.array(values))


@st.composite
def curves(draw: st.DrawFn) -> Curve:
    """A run with losses, perhaps an evaluation, a plan, a branch it left."""
    loss = draw(series())
    evaluated = draw(st.one_of(st.just(EMPTY), series(most=12)))
    left = draw(st.one_of(st.just(EMPTY), series(most=12)))
    planned = draw(st.one_of(st.none(), st.integers(1, 5000)))
    return Curve("test", "run", loss, eval_loss=evaluated, replaced=left, total_steps=planned)


def line_of(figure: Figure, look: str) -> Line:
    return next(one for one in figure.panels[0].lines if one.look == look)


def raw_line(figure: Figure) -> Line:
    """The training losses as logged, smoothed or not."""
    return next(one for one in figure.panels[0].lines if one.look in ("raw", "train") and not one.repeats)


@settings(max_examples=60)
@given(curve=curves())
def test_thinning_keeps_both_ends_the_extremes_and_every_point_that_is_not_finite(curve: Curve) -> None:
    shown = raw_line(curve_figure(curve, most_points=MOST))
    steps, values = curve.loss.steps, curve.loss.values
    bad = steps[~np.isfinite(values)]
    assert shown.points == len(curve.loss)
    assert set(bad.tolist()) <= set(shown.x.astype(int).tolist())
    assert (shown.x[0], shown.x[-1]) == (steps[0], steps[-1])
    assert shown.not_finite == len(bad)
    finite = values[np.isfinite(values)]
    if len(finite):
        kept = shown.y[np.isfinite(shown.y)]
        assert (kept.min(), kept.max()) == (finite.min(), finite.max())
    for step, value in zip(shown.x.astype(int).tolist(), shown.y.tolist(), strict=True):
        logged = curve.loss.at(step)
        assert logged == value or (logged is not None and math.isnan(logged) and math.isnan(value))


@settings(max_examples=60)
@given(curve=curves())
def test_what_is_drawn_is_named_and_what_is_left_out_is_counted(curve: Curve) -> None:
    figure = curve_figure(curve, most_points=MOST)
    thinned = [one for one in figure.panels[0].lines if one.drawn < one.points and not one.repeats]
    assert all(f"{one.drawn:,} of {one.points:,} points" in figure.note for one in thinned)
    assert bool(figure.note) == bool(thinned)
    ghosts = [one for one in figure.panels[0].lines if one.look == "ghost"]
    assert [one.points for one in ghosts] == ([len(curve.replaced)] if len(curve.replaced) else [])


@settings(max_examples=60)
@given(loss=series(least=31), cut=st.integers(31, 400), planned=st.one_of(st.none(), st.integers(1, 5000)))
def test_the_smoothed_line_never_looks_ahead(loss: Series, cut: int, planned: int | None) -> None:
    """What is drawn smoothed at a step is the same however far the run has come since."""
    part = Series(loss.steps[:cut], loss.values[:cut])
    whole, earlier = (Curve("test", "run", one, total_steps=planned) for one in (loss, part))
    if half_life_steps(whole) != half_life_steps(earlier):  # steps per log seem others: then the name says another one
        return
    both = smooth(loss, half_life_steps(whole)).values[: len(part)]
    np.testing.assert_array_equal(both, smooth(part, half_life_steps(earlier)).values)


@settings(max_examples=60)
@given(curve=curves())
def test_every_finite_point_is_inside_the_axis_and_no_other_is_on_it(curve: Curve) -> None:
    figure = curve_figure(curve, most_points=MOST)
    for panel in figure.panels:
        low, high = value_range(panel)
        assert math.isfinite(low)
        assert math.isfinite(high)
        for one in panel.lines:
            finite = one.y[np.isfinite(one.y)]
            assert ((low <= finite) & (finite <= high)).all()
    drawn = render_svg(figure, standalone=True)
    assert "nan" not in drawn.replace("font-variant", "")
    assert 'd="' in drawn or not len(curve.loss.finite())


@settings(max_examples=60)
@given(curve=curves())
def test_the_terminal_marks_what_is_not_finite(curve: Curve) -> None:
    figure = curve_figure(curve)
    lost = any(one.not_finite for one in figure.panels[0].lines)
    drawn = render_plot(figure, 78).split("\n")[1:]
    assert any(NOT_FINITE in row for row in drawn) == lost


@settings(max_examples=60)
@given(curve=curves())
def test_the_table_behind_a_chart_has_the_figures_of_the_chart(curve: Curve) -> None:
    table = curve_table(curve)
    for row in table.rows:
        step = int(row[0].text.replace(",", ""))
        measured = curve.eval_loss.at(step)
        assert row[2].text == ("" if measured is None else said(measured))
    bad = {name for name, _ in not_finite(curve)}
    assert ("Training loss" in bad) == (not np.isfinite(curve.loss.values).all())
    assert all(name in table.note for name in bad)


@settings(max_examples=60)
@given(curve=curves(), at=st.integers(1, 300), length=st.integers(0, 50))
def test_every_finding_is_a_band_over_its_steps(curve: Curve, at: int, length: int) -> None:
    finding = Finding("TW104", "divergence", "error", (at, at + length), {}, "It rose.")
    figure = curve_figure(curve, (finding,))
    assert [(band.first, band.last, band.severity) for band in figure.bands] == [(at, at + length, "error")]
    assert "TW104" in render_svg(figure)
    assert figure.x_end >= at + length


@settings(max_examples=40)
@given(runs=st.lists(curves(), min_size=1, max_size=15))
def test_an_overlay_has_a_line_for_every_run_that_was_evaluated(runs: list[Curve]) -> None:
    named = [(f"run-{place}", curve) for place, curve in enumerate(runs)]
    figure = overlay_figure(named, best="run-0")
    evaluated = [curve for _, curve in named if len(curve.eval_loss)]
    assert (figure is None) == (not evaluated)
    if figure is not None:
        assert len(figure.panels[0].lines) == len(evaluated)


@settings(max_examples=60)
@given(curve=curves())
def test_the_kept_figure_is_the_lowest_finite_one_of_the_curve(curve: Curve) -> None:
    figures = figures_of({}, curve)
    finite = curve.eval_loss.finite()
    assert figures.eval_loss == (float(finite.values.min()) if len(finite) else None)
    assert figures.best_step is None or curve.eval_loss.at(figures.best_step) == figures.eval_loss
    assert figures_of({"eval_loss": 0.25, "best_step": 7}, curve).eval_loss == 0.25
