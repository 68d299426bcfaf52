"""The live picture of ``watch``: drawn over itself in a terminal, new lines only where there is none."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from tunewright.cli.show import SIGNS
from tunewright.reporter.lines import hanging
from tunewright.reporter.words import duration, one_line

if TYPE_CHECKING:
    from tunewright.app.follow import Follower
    from tunewright.app.sight import Sight

LOOK_EVERY_S = 0.5
LINE_EVERY_S = 10.0
"""Seconds between two lines on training loss alone, where no terminal is; evaluations and findings come at once."""


def picture(sight: Sight, width: int, height: int) -> str:
    """Curve, figures and findings in at most ``width`` columns and ``height`` rows; one row while nothing is logged."""
    if sight.curve is None:
        return one_line(f"{sight.path}: {sight.status}, nothing logged yet")[:width]
    below = [figures_line(sight)[:width], *findings_lines(sight, width)]
    from tunewright.reporter.curve_figure import curve_figure
    from tunewright.reporter.textplot import render_plot

    findings = sight.diagnosis.findings if sight.diagnosis else ()
    plot = render_plot(curve_figure(sight.curve, findings), width, max(6, height - len(below) - 6)).split("\n")
    head = one_line(f"{sight.path}: {sight.status}")[:width]
    return "\n".join([head, *plot, *below][: max(height, 4)])


def figures_line(sight: Sight) -> str:
    """Step, losses, learning rate and time left.

    >>> from tunewright.app.sight import Sight
    >>> from tunewright.schema.curve import Curve, Series
    >>> figures_line(Sight("x", "running", Curve("x", "", Series.of([(5, 1.25)])), total_steps=10, seconds_left=61))
    'step 5/10  loss 1.250  1 min 1 s left'
    """
    curve = sight.curve
    parts = [f"step {sight.step}" + (f"/{sight.total_steps}" if sight.total_steps else "")]
    if curve is not None:
        named = (("loss", curve.loss, ".3f"), ("eval", curve.eval_loss, ".3f"), ("lr", curve.learning_rate, ".1e"))
        parts += [f"{name} {format(float(series.values[-1]), form)}" for name, series, form in named if len(series)]
    parts += [f"{duration(sight.seconds_left)} left"] if sight.seconds_left is not None else []
    return "  ".join(parts)


def findings_lines(sight: Sight, width: int) -> list[str]:
    """Each finding that is more than the run not being over yet."""
    if sight.diagnosis is None:
        return []
    told = [finding for finding in sight.diagnosis.findings if finding.symptom != "prefix_log"]
    return [
        line
        for finding in told
        for line in hanging(f"{SIGNS[finding.severity]} {finding.symptom}: ", one_line(finding.why, 400), width)
    ]


def watch_until_over(follower: Follower, out: TextIO = sys.stdout) -> None:
    """Look again and again until the run is over. Ctrl-C only ends the watching, never the run."""
    try:
        if out.isatty():
            _redraw(follower, out)
        else:
            for line in new_lines(follower):
                out.write(line + "\n")
                out.flush()
    except KeyboardInterrupt:
        out.write("\n")


def _redraw(follower: Follower, out: TextIO) -> None:
    drawn = 0
    while True:
        sight = follower.look()
        size = shutil.get_terminal_size()
        text = picture(sight, size.columns - 1, size.lines - 1)
        out.write((f"\x1b[{drawn}F\x1b[J" if drawn else "") + text + "\n")
        out.flush()
        drawn = text.count("\n") + 1
        if sight.over:
            return
        time.sleep(LOOK_EVERY_S)


def new_lines(follower: Follower) -> Iterator[str]:
    """What is new since the last look, one line each: evaluations and findings, and now and then the step."""
    evals, told, said_s, shown = -1, set[tuple[str, str]](), 0.0, ""
    while True:
        sight = follower.look()
        curve, line = sight.curve, figures_line(sight)
        newest = int(curve.eval_loss.steps[-1]) if curve is not None and len(curve.eval_loss) else -1
        late = time.monotonic() - said_s > LINE_EVERY_S
        if curve is not None and line != shown and (newest > evals or late or sight.over):
            evals, said_s, shown = newest, time.monotonic(), line
            yield line
        for finding in sight.diagnosis.findings if sight.diagnosis else ():
            if finding.symptom != "prefix_log" and (finding.symptom, finding.severity) not in told:
                told.add((finding.symptom, finding.severity))
                yield f"{SIGNS[finding.severity]} {finding.code} {finding.symptom}: {one_line(finding.why, 400)}"
        if sight.over:
            yield f"{one_line(sight.path)}: {sight.status}"
            return
        time.sleep(LOOK_EVERY_S)
