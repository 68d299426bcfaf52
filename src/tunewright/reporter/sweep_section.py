"""A sweep's cells in the order of their validation loss, each with its distance to the best and the noise of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewright.reporter import load
from tunewright.reporter.curve_section import health_cell
from tunewright.reporter.run_view import TuningView
from tunewright.reporter.tree import Block, Cell, Paragraph, Table, table
from tunewright.reporter.words import figure, one_line, plural, setting

MOST_KEYS = 5
"""Swept keys that get a column of their own; with more, the settings share one."""


def sweep_blocks(view: TuningView) -> list[Block]:
    """The ranked cells, what to know before reading them, and the spread over seeds when seeds were swept."""
    blocks: list[Block] = [Paragraph(one_line(note), "warn") for note in load.texts(view.about.get("notes"))]
    blocks.append(ranking_table(view))
    seeds = load.items(view.about.get("seeds"))
    return [*blocks, seeds_table(seeds)] if seeds else blocks


def ranking_table(view: TuningView) -> Table:
    """One row per cell; the best is set off. Cells that have not ended come last."""
    cells = load.items(view.about.get("cells"))
    keys = list(load.mapping(view.about.get("grid")))
    names = [key.replace("|", "/") for key in keys] if len(keys) <= MOST_KEYS else ["settings"]
    rows = [_row(cell, keys, view.best) for cell in cells]
    best = next((place for place, cell in enumerate(cells) if cell.get("name") == view.best), None)
    tied = [cell for cell in cells if cell.get("within_noise") is True and cell.get("name") != view.best]
    note = "Losses in nats per token, at each run's best step; ± is the standard error of the difference over the rows."
    if tied:
        note += f" {plural(len(tied), 'run')} within noise of the best: any of them may be the better one."
    columns = "|".join(["run", *names, "validation loss #", "behind #", "curve"])
    return table("The runs by validation loss", columns, rows, strong_row=best, note=note)


def _row(cell: Mapping[str, Any], keys: list[str], best: str) -> tuple[Cell | str, ...]:
    settings = load.mapping(cell.get("set"))
    values = [one_line(setting(settings.get(key)), 60) for key in keys]
    if len(keys) > MOST_KEYS:
        values = [", ".join(f"{key}={value}" for key, value in zip(keys, values, strict=True))]
    status = load.text(cell.get("status"))
    ended = one_line(load.text(cell.get("stopped_because")), 200) if status in ("stopped", "failed") else ""
    health = health_cell(load.text(cell.get("health")) or "unknown")
    name = load.text(cell.get("name"))
    return (
        Cell(one_line(name, 60), note="best" if name == best else ""),
        *values,
        figure(load.number(cell.get("eval_loss"))) if status else "not run yet",
        Cell(behind(cell), note="within noise" if cell.get("within_noise") is True and name != best else ""),
        Cell(status, note=ended, tone="bad") if ended else health,
    )


def behind(cell: Mapping[str, Any]) -> str:
    """How far a cell is behind the best, with its standard error where it is known.

    >>> behind({"difference": 0.0241, "standard_error": 0.008}), behind({"difference": None})
    ('+0.024 ± 0.008', '')
    """
    difference, error = load.number(cell.get("difference")), load.number(cell.get("standard_error"))
    if not difference:
        return ""
    digits = 3 if error is None or 0.001 <= error < 0.1 else 4 if error < 0.1 else 2
    shown = f"{difference:+.{digits}f}"
    return shown if error is None else f"{shown} ± {error:.{digits}f}"


def seeds_table(seeds: list[Mapping[str, Any]]) -> Table:
    """Mean and spread of the cells that differ in their seed alone."""
    rows: list[tuple[Cell | str, ...]] = []
    for one in seeds:
        settings = ", ".join(f"{key}={setting(value)}" for key, value in load.mapping(one.get("set")).items())
        spread = load.number(one.get("sd"))
        rows.append(
            (
                one_line(settings) or "all alike",
                figure(load.count(one.get("runs"))),
                figure(load.number(one.get("mean"))),
                "one run" if spread is None else figure(spread),
            )
        )
    columns = "settings|seeds #|mean loss #|standard deviation #"
    return table("Spread over seeds", columns, rows, note="What only another seed changes.")
