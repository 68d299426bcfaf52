"""Several runs over one axis, and what differs between them: the numbers are those of ``runs compare``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewright.app.runs import compare_runs
from tunewright.board.charts import Axis, Chart, Track, charts_json
from tunewright.board.followed import Seen
from tunewright.board.places import folder_at
from tunewright.board.store import Store
from tunewright.board.tree_json import block_json
from tunewright.curve.smooth import smooth
from tunewright.reporter import load
from tunewright.reporter.curve_figure import half_life_steps
from tunewright.reporter.tree import Cell, Table, table
from tunewright.reporter.verdicts import HEALTH_TONE
from tunewright.reporter.words import duration, figure, one_line, setting, signed
from tunewright.schema.curve import EMPTY, Curve, Series
from tunewright.schema.errors import UsageError

MOST_RUNS = 10
POINTS = 600
"""Of one line: ten of them are still drawn at once."""


def compare_answer(
    store: Store, names: Sequence[str], *, x: str = "step", smoothing: bool = True,
    zoom: tuple[float, float] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The charts of up to ten runs. Raises UsageError for more, for fewer than two, and for unknown ones."""
    seen = [store.seen(folder) for folder in _folders(store, names)]
    axes = _same_axis(x, seen)
    return {
        "names": list(names),
        "axis": {"kind": axes[0].kind, "title": axes[0].title},
        "panels": _panels(names, seen, axes, smoothing, zoom),
    }


def differences_answer(store: Store, names: Sequence[str]) -> dict[str, Any]:
    """The tables of the same runs; they take longer, for the noise of every curve is measured. Raises alike."""
    told = compare_runs(_folders(store, names))
    return {
        "differences": block_json(_differences(names, told)),
        "results": block_json(_results(names, told)),
        "problems": [one_line(problem) for problem in load.texts(told.get("problems"))],
    }


def _folders(store: Store, names: Sequence[str]) -> list[Path]:
    if not 2 <= len(names) <= MOST_RUNS:
        raise UsageError(f"compare: {len(names)} runs, expected 2 to {MOST_RUNS}")
    return [folder_at(store.root, name) for name in names]


def _same_axis(x: str, seen: Sequence[Seen]) -> list[Axis]:
    """One axis per run, all of one kind: that asked for when every run knows it, else steps."""
    axes = [Axis(x, one) for one in seen]
    return axes if all(axis.kind == x for axis in axes) else [Axis("step", one) for one in seen]


def _panels(
    names: Sequence[str],
    seen: Sequence[Seen],
    axes: Sequence[Axis],
    smoothing: bool,
    zoom: tuple[float, float] | None,
) -> list[dict[str, Any]]:
    kinds: list[tuple[str, str, Callable[[Curve], Series]]] = [
        ("eval", "Validation loss, nats per token", lambda curve: curve.eval_loss),
        ("loss", "Training loss, nats per token" + (", smoothed" if smoothing else ""),
         lambda curve: smooth(curve.loss, half_life_steps(curve)) if smoothing else curve.loss),
        ("general", "Loss on general text (forgetting probe)", lambda curve: curve.general_loss),
        ("rate", "Learning rate", lambda curve: curve.learning_rate),
        ("norm", "Gradient norm", lambda curve: curve.grad_norm),
    ]  # fmt: skip
    panels = []
    for key, title, of in kinds:
        charts = [
            _chart(key, title, place, name, one, of) for place, (name, one) in enumerate(zip(names, seen, strict=True))
        ]
        drawn = [
            charts_json([chart], axis, zoom=zoom, most_points=POINTS)[0]
            for chart, axis in zip(charts, axes, strict=True)
        ]
        lines = [line for panel in drawn for line in panel["lines"] if line["points"]]
        if lines:
            panels.append({**drawn[0], "lines": lines, "levels": []})
    return panels


def _chart(key: str, title: str, place: int, name: str, seen: Seen, of: Callable[[Curve], Series]) -> Chart:
    series = of(seen.curve) if seen.curve else EMPTY
    track = Track(f"{key}{place}", one_line(name, 80), f"run{place}", series, dots=key == "eval")
    return Chart(key, title, (track,), from_zero=key == "rate")


def _differences(names: Sequence[str], told: Mapping[str, Any]) -> Table:
    rows: list[tuple[Cell | str, ...]] = [
        (one_line(one.get("key"), 80), *(setting(value) for value in one["values"]))
        for one in load.items(told["differences"])
    ]
    return table("Settings that differ", "|".join(["setting", *_heads(names)]), rows)


def _heads(names: Sequence[str]) -> list[str]:
    """Names as column heads: the signs that would mean something to a table's description are replaced."""
    return [one_line(name, 60).replace("|", "¦").rstrip("# ") for name in names]


def _results(names: Sequence[str], told: Mapping[str, Any]) -> Table:
    results, distances = load.items(told["results"]), load.items(told.get("apart"))
    rows: list[tuple[Cell | str, ...]] = []
    for place, (name, one) in enumerate(zip(names, results, strict=True)):
        health = load.text(one.get("health"))
        tokens = load.count(load.mapping(one.get("tokens")).get("train"))
        rows.append((
            Cell(one_line(name, 80), note="the others are compared with this one" if not place else ""),
            figure(load.number(one.get("eval_loss"))),
            _distance(distances[place]) if place < len(distances) else Cell(""),
            signed(load.number(one.get("forgetting"))),
            f"{count:,}" if (count := load.count(one.get("steps"))) is not None else "",
            f"{tokens:,}" if tokens is not None else "",
            duration(load.number(one.get("seconds"))),
            Cell(one_line(health, 20), tone=HEALTH_TONE.get(health, "quiet")),
        ))  # fmt: skip
    columns = "run|validation loss #|difference #|forgetting #|steps #|training tokens #|time #|curve"
    return table("How they ended", columns, rows, note="Losses in nats per token.")


def _distance(one: Mapping[str, Any]) -> Cell:
    """The difference to the first run, and whether it is more than noise."""
    difference, within = load.number(one.get("difference")), one.get("within_noise")
    if difference is None:
        return Cell("", note=one_line(one.get("because") or "", 200))
    if difference == 0 and within is None:
        return Cell("")
    said = {True: "within noise", False: "more than noise"}.get(within) if isinstance(within, bool) else None
    return Cell(f"{difference:+.4f}", note=said or one_line(one.get("because") or "", 200))
