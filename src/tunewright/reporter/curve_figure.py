"""Curves as figures: one run's chart with its findings, and the validation losses of several runs on one axis.

Smoothing is causal and its half-life is named; a line is thinned by minimum and maximum, never by stride, and the
figure says so.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tunewright.curve.smooth import reduce, smooth
from tunewright.doctor.thresholds import FORGETTING_NATS
from tunewright.reporter import words
from tunewright.reporter.figure import Band, Figure, Level, Line, Panel, Rule, Spot
from tunewright.schema.curve import Curve, Series
from tunewright.schema.finding import Finding

MOST_POINTS = 1_200
"""Points of one line that are drawn: about two per pixel column of the plot."""
SMOOTH_SHARE = 0.02
"""Half-life of the smoothed training loss as a share of the planned steps."""
SMOOTH_POINTS = 10
"""Half-life in logged points when the plan is not known; not from how far a run has come: that would move the past."""
FEWEST_TO_SMOOTH = 30
LOG_FROM_RATIO = 40.0
"""Losses that span more than this factor are drawn on a logarithmic axis, which the axis then says."""
RUNS_NAMED = 12
"""Runs of an overlay that get a line style and a legend entry of their own."""


def line(name: str, look: str, series: Series, *, dots: bool = False, most_points: int = MOST_POINTS) -> Line:
    """A series thinned to what a chart can show: every bucket's extremes and every non-finite point stay."""
    kept = reduce(series, most_points)
    return Line(name, look, kept.steps.astype(np.float64), kept.values, len(series), dots)


def half_life_steps(curve: Curve) -> float:
    """Half-life of the smoothing in steps; 0 when the log is too short to be worth smoothing."""
    if len(curve.loss) < FEWEST_TO_SMOOTH:
        return 0.0
    if curve.total_steps is None:
        return float(SMOOTH_POINTS * curve.logged_every)
    return float(max(2 * curve.logged_every, round(SMOOTH_SHARE * curve.total_steps)))


def curve_figure(
    curve: Curve,
    findings: tuple[Finding, ...] = (),
    *,
    title: str = "Training curve",
    best_step: int | None = None,
    resumed: tuple[int, ...] = (),
    most_points: int = MOST_POINTS,
) -> Figure:
    """One run: losses, the forgetting probe, and the learning rate, with findings as bands.

    best_step : step of the kept checkpoint, marked on the validation loss
    resumed   : steps from which an interrupted run went on; what it had logged beyond them before is drawn too
    """
    panels = [_loss_panel(curve, best_step, most_points)]
    if len(curve.general_loss):
        panels.append(_general_panel(curve))
    if len(curve.learning_rate):
        rate = line("", "rate", curve.learning_rate, most_points=most_points)
        panels.append(Panel("Learning rate", (rate,), height_px=58, from_zero=True))
    rules = [Rule(float(step), f"resumed at {step:,}", "resumed") for step in resumed]
    if best_step is not None and best_step <= curve.last_step:
        loss = curve.eval_loss.at(best_step)
        said = f"best: {words.figure(loss)} at step {best_step:,}" if loss is not None else f"best: step {best_step:,}"
        rules.append(Rule(float(best_step), said, "best"))
    return Figure(
        title=title,
        description=describe(curve, findings),
        x_title="optimizer step",
        panels=tuple(panels),
        bands=tuple(_band(finding) for finding in findings),
        rules=tuple(rules),
        note=_thinning(panels),
    )


def _loss_panel(curve: Curve, best_step: int | None, most_points: int) -> Panel:
    mean_of = f" (mean of {curve.logged_every} steps)" if curve.logged_every > 1 else ""
    half_life = half_life_steps(curve)
    left = line("before the resume, replaced", "ghost", curve.replaced, most_points=most_points // 2)
    lines = [left] if left.drawn else []
    lines.append(line(f"training{mean_of}", "raw" if half_life else "train", curve.loss, most_points=most_points))
    if half_life:
        name = f"training, smoothed (half-life {half_life:,.0f} steps)"
        smoothed = line(name, "train", smooth(curve.loss, half_life), most_points=most_points // 2)
        lines.append(replace(smoothed, repeats=True))
    if len(curve.eval_loss):
        rows = f" ({curve.eval_rows:,} rows)" if curve.eval_rows else ""
        of_mean = ", of the mean of the weights" if curve.config.get("average_share") else ""
        said = f"validation{rows}{of_mean}"
        lines.append(line(said, "eval", curve.eval_loss, dots=True, most_points=most_points // 2))
    shown = tuple(one for one in lines if one.drawn)
    best = curve.eval_loss.at(best_step) if best_step is not None else None
    spots = (Spot(float(best_step or 0), best),) if best is not None and np.isfinite(best) else ()
    log = _wants_log(shown)
    return Panel(
        f"Loss, nats per token{', logarithmic axis' if log else ''}", shown, spots=spots, log=log, from_zero=not log
    )


def _general_panel(curve: Curve) -> Panel:
    probe = line("general text (forgetting probe)", "general", curve.general_loss, dots=True)
    start = curve.general_loss.finite()
    levels: tuple[Level, ...] = ()
    if len(start):
        base = float(start.values[0])
        levels = (Level(base, "start"), Level(base + FORGETTING_NATS.value, f"forgotten: +{FORGETTING_NATS.value:g}"))
    return Panel("Loss on general text, nats per token", (probe,), levels=levels, height_px=110)


def _wants_log(lines: tuple[Line, ...]) -> bool:
    values = np.concatenate([one.y for one in lines]) if lines else np.empty(0)
    values = values[np.isfinite(values)]
    if not len(values) or float(values.min()) <= 0:
        return False
    return math.log(float(values.max())) - math.log(float(values.min())) > math.log(LOG_FROM_RATIO)


def _band(finding: Finding) -> Band:
    first, last = finding.steps
    label = words.one_line(f"{finding.severity}: {finding.symptom.replace('_', ' ')}", 60)
    about = f"{finding.code} {label}, {words.steps(first, last)}. {words.one_line(finding.why, 400)}"
    return Band(float(first), float(last), label, finding.severity, about)


def _thinning(panels: list[Panel]) -> str:
    """What the chart leaves out: which lines were thinned, and how. Smoothed lines repeat the raw one's."""
    said = [
        f"{one.drawn:,} of {one.points:,} points of {(one.name or panel.title.lower()).split(' (')[0]}"
        for panel in panels
        for one in panel.lines
        if one.drawn < one.points and not one.repeats
    ]
    return f"Showing {', '.join(said)}: the lowest and highest of each stretch." if said else ""


def describe(curve: Curve, findings: tuple[Finding, ...] = ()) -> str:
    """The chart in words, for those who cannot see it."""
    said = [_course("Training loss", curve.loss), _course("validation loss", curve.eval_loss)]
    if len(curve.eval_loss.finite()):
        finite = curve.eval_loss.finite()
        lowest = int(np.argmin(finite.values))
        said.append(
            f"lowest validation loss {words.figure(float(finite.values[lowest]))} at step {finite.steps[lowest]:,}"
        )
    said.append(_course("loss on general text", curve.general_loss))
    for finding in findings:
        named = finding.symptom.replace("_", " ")
        said.append(f"finding ({finding.severity}): {words.one_line(named)} at {words.steps(*finding.steps)}")
    text = "; ".join(part for part in said if part)
    return f"{text[:1].upper()}{text[1:]}." if text else "Nothing was logged."


def _course(name: str, series: Series) -> str:
    finite = series.finite()
    if not len(finite):
        return f"{name} has no finite point" if len(series) else ""
    lost = len(series) - len(finite)
    first, last = words.figure(float(finite.values[0])), words.figure(float(finite.values[-1]))
    ends = f"{name} {first} at step {finite.steps[0]:,}, {last} at step {finite.steps[-1]:,}"
    return f"{ends}, {words.plural(lost, 'point')} not finite" if lost else ends


def overlay_figure(curves: list[tuple[str, Curve]], best: str = "") -> Figure | None:
    """The validation losses of several runs on one axis, the best one drawn boldest; None when no run has any.

    The axis is epochs when every run knows how many steps an epoch has, else optimizer steps: steps of runs with
    different batch sizes are not comparable.
    """
    shown = [(name, curve) for name, curve in curves if len(curve.eval_loss)]
    if not shown:
        return None
    in_epochs = all(curve.steps_per_epoch for _, curve in shown)
    lines = [_run_line(index, name, curve, in_epochs, best) for index, (name, curve) in enumerate(shown)]
    lines.sort(key=lambda one: one.look == "best-run")  # drawn last, on top
    log = _wants_log(tuple(lines))
    title = f"Validation loss, nats per token{', logarithmic axis' if log else ''}"
    panel = Panel(title, tuple(lines), height_px=300, log=log, from_zero=not log)
    described = "; ".join(_course(words.one_line(name, 60), curve.eval_loss) for name, curve in shown)
    axis = "epochs" if in_epochs else "optimizer step"
    return Figure("Validation loss of every run", f"{described}.", axis, (panel,))


def _run_line(index: int, name: str, curve: Curve, in_epochs: bool, best: str) -> Line:
    """The first runs have a style and a name each; the rest are thin grey lines, named in the table."""
    look = "best-run" if name == best else f"run{index}" if index < RUNS_NAMED else "run-other"
    label = {"best-run": f"{name} (kept)", "run-other": "other runs" if index == RUNS_NAMED else ""}.get(look, name)
    one = line(words.one_line(label, 40), look, curve.eval_loss, dots=name == best, most_points=400)
    return replace(one, x=one.x / float(curve.steps_per_epoch or 1)) if in_epochs else one
