"""The charts of one run as data for the page: panels of lines over one axis, windows of them, and what is new.

Smoothing is done on every logged point before anything is thinned or cut, so zooming in or waiting for more points
never moves a line that was drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.board.followed import Seen
from tunewright.board.thinning import Span, thin, window
from tunewright.curve.smooth import smooth
from tunewright.doctor.thresholds import FORGETTING_NATS
from tunewright.reporter.curve_figure import MOST_POINTS, half_life_steps
from tunewright.reporter.words import figure
from tunewright.schema.curve import Curve, Series
from tunewright.schema.errors import UsageError

AXES = {"step": "optimizer step", "epoch": "epochs", "tokens": "training tokens", "time": "minutes of training"}


@dataclass(frozen=True)
class Track:
    """One line of a panel, every logged point of it.

    key      : the same in every answer, so that a page can add points to a line
    look     : its style on the page
    repeats  : another line shows the same points: what is not finite is counted there
    """

    key: str
    name: str
    look: str
    series: Series
    dots: bool = False
    repeats: bool = False


@dataclass(frozen=True)
class Chart:
    """One panel: its lines and the levels drawn across it."""

    key: str
    title: str
    tracks: tuple[Track, ...]
    levels: tuple[tuple[float, str], ...] = ()
    from_zero: bool = False


def charts_of(seen: Seen, *, smoothing: bool = True) -> list[Chart]:
    """The panels of one run, top to bottom; one whose metric was never logged is left out."""
    curve = seen.curve
    if curve is None:
        return []
    found = [
        Chart("loss", "Loss, nats per token", _loss_tracks(curve, smoothing), from_zero=True),
        Chart(
            "general",
            "Loss on general text (forgetting probe)",
            (Track("general_loss", "general text", "general", curve.general_loss, dots=True),),
            _forgetting_levels(curve.general_loss),
        ),
        Chart("rate", "Learning rate", (Track("learning_rate", "learning rate", "rate", curve.learning_rate),),
              from_zero=True),
        Chart("norm", "Gradient norm", (Track("grad_norm", "gradient norm", "norm", curve.grad_norm),)),
        Chart("speed", "Training tokens per second", (Track("speed", "tokens per second", "speed", seen.speed),),
              from_zero=True),
    ]  # fmt: skip
    return [chart for chart in found if any(len(track.series) for track in chart.tracks)]


def _loss_tracks(curve: Curve, smoothing: bool) -> tuple[Track, ...]:
    mean_of = f" (mean of {curve.logged_every} steps)" if curve.logged_every > 1 else ""
    half_life = half_life_steps(curve) if smoothing else 0.0
    tracks = [
        Track("replaced", "before the resume, replaced", "ghost", curve.replaced),
        Track("loss", f"training{mean_of}", "raw" if half_life else "train", curve.loss),
    ]
    if half_life:
        name = f"training, smoothed (half-life {half_life:,.0f} steps)"
        tracks.append(Track("smooth", name, "train", smooth(curve.loss, half_life), repeats=True))
    rows = f" ({curve.eval_rows:,} rows)" if curve.eval_rows else ""
    tracks.append(Track("eval_loss", f"validation{rows}", "eval", curve.eval_loss, dots=True))
    return tuple(track for track in tracks if len(track.series))


def _forgetting_levels(general: Series) -> tuple[tuple[float, str], ...]:
    measured = general.finite()
    if not len(measured):
        return ()
    start = float(measured.values[0])
    return (start, "start"), (start + FORGETTING_NATS.value, f"forgotten: +{FORGETTING_NATS.value:g}")


class Axis:
    """Steps as places on the axis a reader chose.

    A run that did not log tokens, or whose steps per epoch are unknown, is shown by step, and ``kind`` says so.
    Between two logged steps tokens and minutes are interpolated.
    """

    def __init__(self, kind: str, seen: Seen) -> None:
        if kind not in AXES:
            raise UsageError(f"x={kind}: expected one of {', '.join(AXES)}")
        per_epoch = seen.curve.steps_per_epoch if seen.curve else None
        clock = {"tokens": seen.tokens, "time": seen.seconds}.get(kind)
        known = bool(per_epoch) if kind == "epoch" else clock is None or len(clock) > 1
        self.kind = kind if known else "step"
        self.title = AXES[self.kind]
        self._per_epoch = float(per_epoch or 1.0)
        self._clock = clock

    def places(self, steps: NDArray[Any]) -> NDArray[np.float64]:
        """Where the steps are drawn."""
        if self.kind == "step":
            return np.asarray(steps, np.float64)
        if self.kind == "epoch":
            return np.asarray(steps / self._per_epoch, np.float64)
        assert self._clock is not None
        found = np.interp(steps, self._clock.steps, self._clock.values, left=0.0)
        return np.asarray(found / 60 if self.kind == "time" else found, np.float64)

    def places_of(self, steps: Sequence[int]) -> list[float]:
        return [float(place) for place in self.places(np.array(steps, np.int64))]

    def steps(self, places: Sequence[float]) -> list[float]:
        """The steps at these places: the way back, for a zoom."""
        if self.kind == "step" or not places:
            return list(places)
        if self.kind == "epoch":
            return [place * self._per_epoch for place in places]
        assert self._clock is not None
        factor = 60.0 if self.kind == "time" else 1.0
        return [float(step) for step in np.interp(np.array(places) * factor, self._clock.values, self._clock.steps)]


def charts_json(
    charts: Sequence[Chart],
    axis: Axis,
    findings: Sequence[Span] = (),
    *,
    zoom: tuple[float, float] | None = None,
    most_points: int = MOST_POINTS,
) -> list[dict[str, Any]]:
    """The panels as the page draws them; ``zoom``: the part of the axis that is looked at."""
    ends = axis.steps(zoom) if zoom else None
    return [
        {
            "key": chart.key,
            "title": chart.title,
            "from_zero": chart.from_zero,
            "levels": [{"y": y, "label": label} for y, label in chart.levels],
            "lines": [_line_json(track, axis, findings, ends, most_points) for track in chart.tracks],
        }
        for chart in charts
    ]


def _line_json(
    track: Track, axis: Axis, findings: Sequence[Span], ends: list[float] | None, most_points: int
) -> dict[str, Any]:
    part = window(track.series, ends[0], ends[1]) if ends else track.series
    thinned = thin(part, most_points, findings)
    lost = [] if track.repeats else thinned.lost
    return {
        "key": track.key,
        "name": track.name,
        "look": track.look,
        "dots": track.dots,
        "repeats": track.repeats,
        "x": numbers(axis.places(thinned.steps)),
        "y": numbers(thinned.values),
        "points": thinned.points,
        "drawn": thinned.drawn,
        "not_finite": 0 if track.repeats else thinned.not_finite,
        "lost": [[*numbers(axis.places(np.array([one.first, one.last]))), one.count] for one in lost],
        "last": figure(float(track.series.values[-1])) if len(track.series) else "",
    }


def numbers(values: NDArray[Any]) -> list[float | None]:
    """Numbers for JSON; what is not finite is null, which the page draws as a gap."""
    return [value if -np.inf < value < np.inf else None for value in values.tolist()]


def cursor_of(seen: Seen, charts: Sequence[Chart]) -> str:
    """How much of a run a page has: how often it was resumed, and the points of each line.

    It follows from the log alone, so it still holds when the server was started again.
    """
    counts = [f"{track.key}.{len(track.series)}" for chart in charts for track in chart.tracks]
    return "-".join([f"r.{len(seen.resumed)}", *counts])


def news(seen: Seen, charts: Sequence[Chart], axis: Axis, cursor: str, most: int = 4_000) -> dict[str, Any] | None:
    """The points of each line after ``cursor``; None when the page has to fetch the charts anew.

    That is so when the run went back to a checkpoint, a line is new or became shorter, the cursor is none of ours, or
    there is more than ``most`` to send.
    """
    had = _counts(cursor)
    have = _counts(cursor_of(seen, charts))
    if had.keys() != have.keys() or had["r"] != have["r"] or any(have[key] < had[key] for key in have):
        return None
    tracks = [track for chart in charts for track in chart.tracks if have[track.key] > had[track.key]]
    if sum(have[track.key] - had[track.key] for track in tracks) > most:
        return None
    return {track.key: _news_of(track, axis, had[track.key]) for track in tracks}


def _counts(cursor: str) -> dict[str, int]:
    pairs = (part.rpartition(".") for part in cursor.split("-"))
    return {key: int(count) for key, _, count in pairs if count.isascii() and count.isdigit()}


def _news_of(track: Track, axis: Axis, had: int) -> dict[str, Any]:
    steps, values = track.series.steps[had:], track.series.values[had:]
    bad = 0 if track.repeats else int(np.count_nonzero(~np.isfinite(values)))
    return {
        "x": numbers(axis.places(steps)),
        "y": numbers(values),
        "not_finite": bad,
        "last": figure(float(values[-1])),
    }
