"""export --verify: the rows and the first loss of an export as the other trainer sees them, beside ours.

The tool is started in its own interpreter on the exported folder, as for training, and stopped where training would
begin. So what is compared went through its own reading, its own collator and its own loss.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewright.app.export import Written
from tunewright.data.tokens import TokenRow
from tunewright.engine.base import load_base
from tunewright.engine.evaluate import mean_loss, row_losses
from tunewright.engine.export import load_adapter
from tunewright.engine.on_model import take_off
from tunewright.engine.prepare import fit, open_pack
from tunewright.record.files import write_whole
from tunewright.schema.recipe import Recipe
from tunewright.trainers.interpreter import Interpreter
from tunewright.trainers.matching import Difference, described, differences
from tunewright.trainers.riding import Ride
from tunewright.trainers.tool import Tool

MOST_ROWS, LOSS_ROWS = 20_000, 8
MOST_APART = 1e-3
"""Nats per token between two sums of the same losses in another order; a token more or less moves it further."""

MOST_SHOWN = 20
PROBE_TIMEOUT_S = 1800.0


def verify(tool: Tool, written: Written, folder: Path, found: Interpreter) -> dict[str, Any]:
    """Compare the export in ``folder`` with what it was made from.

    Returns ``{"version", "python", "rows", "tokens", "supervised", "steps", "trainable", "loss", "differences",
    "same"}``; each figure has ``ours`` and ``theirs``. A loss is None where it cannot be compared, with a difference
    that says why. Raises RunFailed when the tool ends before it would train.
    """
    theirs = _probe(tool, folder, found)
    rows = written.job.train
    ours = described(rows)
    packed = bool(theirs["packed"])
    between = [] if packed else differences(ours, theirs["rows"], tool.title)
    same_rows = _same_rows(rows, ours, theirs["rows"][: theirs["loss_rows"]])
    loss, trainable = _ours(written.job.recipe, same_rows)
    if packed:
        between.append(Difference("packed", (), f"{tool.title} packs rows: totals are compared, not rows", False))
    figures: dict[str, Any] = {
        "rows": _both(len(ours), len(theirs["rows"])),
        "tokens": _both(_sum(ours, "tokens"), _sum(theirs["rows"], "tokens")),
        "supervised": _both(_sum(ours, "supervised"), _sum(theirs["rows"], "supervised")),
        "steps": _both(written.job.steps, theirs["steps"]),
        "trainable": _both(trainable, theirs["trainable"]),
        "loss": _both(loss, theirs["loss"]),
    }
    between += _of_figures(figures, packed, str(theirs["dtype"]))
    return {
        "tool": tool.name,
        "version": found.version,
        "python": found.path,
        "versions": theirs["versions"],
        **figures,
        "differences": [_said(one) for one in between],
        "same": not any(one.effect for one in between),
    }


def _probe(tool: Tool, folder: Path, found: Interpreter) -> dict[str, Any]:
    """The tool's answer on a copy of the export, so that nothing it writes stays in it."""
    with tempfile.TemporaryDirectory(prefix="tunewright-verify-") as place:
        for file in folder.iterdir():
            write_whole(Path(place) / file.name, file.read_bytes())
        order = {"most_rows": MOST_ROWS, "loss_rows": LOSS_ROWS}
        with Ride(tool, found.path, Path(place), "probe", **order) as ride:
            ride.wait(PROBE_TIMEOUT_S)
            if ride.status() != 0:
                raise ride.failed()
            return ride.answer()


def _same_rows(
    rows: Sequence[TokenRow], ours: Sequence[Mapping[str, Any]], asked: Sequence[Mapping[str, Any]]
) -> list[TokenRow] | None:
    """Our rows that are those the loss was asked of; None when one of them is not among ours."""
    places = {one["of_both"]: place for place, one in enumerate(ours)}
    if not asked or any(one["of_both"] not in places for one in asked):
        return None
    return [rows[places[one["of_both"]]] for one in asked]


def _ours(recipe: Recipe, rows: Sequence[TokenRow] | None) -> tuple[float | None, int]:
    """(nats per trained token of these rows before any update, dropout off; trainable numbers)."""
    base = load_base(recipe.model, method=recipe.method, precision=recipe.precision, template=recipe.template)
    fitting = fit(base, recipe)
    pack = open_pack(base, [fitting], recompute=False)
    try:
        if fitting.init is not None:
            load_adapter(pack, 0, fitting.init)
        loss = None if rows is None else mean_loss(*row_losses(pack, rows, len(rows)))
        return loss, pack.trainable()
    finally:
        take_off(base.model)


def _of_figures(figures: Mapping[str, Any], packed: bool, dtype: str) -> list[Difference]:
    """What the totals show: steps, trainable numbers, and a loss that rounding does not explain."""
    found = []
    if not packed and _agree(figures["rows"]) and not _agree(figures["tokens"]):
        found.append(Difference("tokens", (), "what follows the last trained token is there on one side only", False))
    if packed and not _agree(figures["supervised"]):
        found.append(Difference("supervised", (), "packing cuts or drops tokens that are trained on"))
    if not packed and not _agree(figures["steps"]):
        found.append(Difference("steps", (), "the run has another length there"))
    if not _agree(figures["trainable"]):
        found.append(Difference("trainable", (), "other layers are trained, or an adapter of another size"))
    ours, theirs = figures["loss"]["ours"], figures["loss"]["theirs"]
    if ours is None or theirs is None:
        why = "the rows it begins with are packed" if packed else "the rows it begins with are not among ours"
        found.append(Difference("loss", (), f"not compared: {why}", not packed))
    elif not abs(ours - theirs) <= MOST_APART:
        found.append(
            Difference("loss", (), f"{abs(ours - theirs):.4f} apart on the same tokens; it computes in {dtype}")
        )
    return found


def _agree(figure: Mapping[str, Any]) -> bool:
    return figure["theirs"] is None or figure["ours"] == figure["theirs"]


def _both(ours: Any, theirs: Any) -> dict[str, Any]:
    return {"ours": ours, "theirs": theirs}


def _sum(rows: Sequence[Mapping[str, Any]], key: str) -> int:
    return sum(int(row[key]) for row in rows)


def _said(one: Difference) -> dict[str, Any]:
    return {
        "what": one.what,
        "rows": list(one.rows[:MOST_SHOWN]),
        "count": len(one.rows),
        "why": one.why,
        "effect": one.effect,
    }
