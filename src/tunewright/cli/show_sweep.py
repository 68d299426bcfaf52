"""A sweep as text: what it would run, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.cli.show import folder_text, width
from tunewright.reporter.lines import hanging
from tunewright.reporter.words import duration, plural

if TYPE_CHECKING:
    from tunewright.app.sweep_plan import SweepPlan
    from tunewright.planner.pack_plan import Pack

MOST_NAMED = 40
"""Cells of a pack that are listed; the rest are counted."""


def sweep_plan_text(plan: SweepPlan) -> str:
    """The packs with their reasons and cells, and what it all takes."""
    lines = []
    for number, pack in enumerate(plan.packs, start=1):
        cost = f"{plural(len(pack.cells), 'run')}, {_cost(pack.tokens, pack.seconds)}, about {pack.peak_GiB:.2f} GiB"
        lines += [f"pack {number}: {cost}", *hanging("    ", pack.why, width())]
        lines += _cell_lines(plan, pack)
    total = plan.__json__()
    lines += ["", f"in all: {plural(len(plan.cells), 'run')}, {_cost(total['tokens'], total['seconds'])}"]
    for note in plan.notes:
        lines += hanging("note: ", note, width())
    return "\n".join(lines)


def _cost(tokens: int, seconds: float | None) -> str:
    return f"{tokens:,} tokens, {'time unknown' if seconds is None else f'about {duration(seconds)}'}"


def _cell_lines(plan: SweepPlan, pack: Pack) -> list[str]:
    named = [plan.cells[place] for place in pack.cells[:MOST_NAMED]]
    more = len(pack.cells) - len(named)
    lines = [f"    {cell.label}, {plural(cell.prepared.plan.predicted.steps, 'step')}" for cell in named]
    return [*lines, f"    and {more} more"] if more else lines


def sweep_text(answer: Mapping[str, Any]) -> str:
    """The ranked table, the best run, and what to do with it."""
    tokens, best = answer["tokens"], answer["best"]
    cost = f"{tokens['train']:,} tokens trained, {tokens['eval']:,} only forwarded, {duration(answer['seconds'])}"
    folder = Path(answer["cells"][0]["run"]).parent
    lines = [f"cost     {cost}", f"report   {answer['report']}"]
    if best is not None:
        lines[1:1] = [f"adapter  {best['adapter']}"]
        lines.append(f"next     tunewright exam {best['run']}")
    return folder_text(folder, *lines)
