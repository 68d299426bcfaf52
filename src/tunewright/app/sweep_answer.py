"""The ``sweep`` JSON: cells from their run folders, ranked, and the best of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.app.sweep_plan import PlannedCell
from tunewright.record.run import Run
from tunewright.schema import jsonio
from tunewright.tuner.ranking import Result, RowLosses, Spread, Standing, ranked, seed_spreads

NON_FINITE = "non-finite"
"""How the engine's reason begins when it gave a run up because its numbers broke."""
KEPT = ("eval_loss", "base_eval_loss", "steps", "best_step", "tokens", "health", "stopped_because", "adapter")
CellJson = dict[str, Any]


def cell_json(run: Run, cell: PlannedCell) -> CellJson:
    """One cell from its run folder. ``status``: finished, stopped (its numbers broke) or failed."""
    about = run.read()
    known = {"run": str(run.path), "name": cell.name, "set": cell.settings}
    if about.get("status") != "finished":
        why = about.get("error", "no reason was recorded")
        return {**known, "eval_loss": None, "status": "failed", "health": "unknown", "stopped_because": why}
    result = about["result"]
    broken = str(result["stopped_because"]).startswith(NON_FINITE)
    return {**known, "status": "stopped" if broken else "finished", **{key: result[key] for key in KEPT}}


def ranked_cells(results: Mapping[str, CellJson], rows: Mapping[str, RowLosses]) -> list[CellJson]:
    """Cells in the order of their losses, each with its distance to the best and the noise of that."""
    standings = ranked(
        [
            Result(name, result["status"], jsonio.number_or_none(result["eval_loss"]), rows.get(name))
            for name, result in results.items()
        ]
    )
    return [{**results[one.result.name], **_standing_json(one)} for one in standings]


def _standing_json(standing: Standing) -> dict[str, Any]:
    return {
        "difference": standing.difference,
        "standard_error": standing.standard_error,
        "within_noise": standing.tied,
    }


def best_json(cells: Sequence[CellJson]) -> dict[str, Any] | None:
    """The first of ranked cells, when it has a finite loss."""
    first = cells[0]
    if first.get("difference") is None:
        return None
    return {"run": first["run"], "eval_loss": first["eval_loss"], "adapter": first["adapter"]}


def spread_json(cells: Sequence[CellJson]) -> list[Spread]:
    """What only another seed changes."""
    return seed_spreads([(cell["set"], jsonio.number_or_none(cell["eval_loss"])) for cell in cells])
