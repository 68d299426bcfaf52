"""Do the numbers of a run agree? Steps, rows and epochs tell the effective batch and the rounding rule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Rounding = Literal["up", "down", "none"]


@dataclass(frozen=True)
class StepsCheck:
    """effective_batch and rounding that explain the steps; both None when no batch size does. ``text`` says it."""

    effective_batch: int | None
    rounding: Rounding | None
    text: str


def check_steps(rows: int, epochs: float, steps: int | None) -> StepsCheck:
    """The effective batch that makes ``rows`` x ``epochs`` into ``steps``, and how steps per epoch were rounded.

    With steps unknown (None) there is nothing to compare.

    Rounding up counts the last, smaller batch of an epoch (the usual loader); rounding down drops it; none divides
    all rows seen by the batch. Tried in that order, over the batches near rows x epochs / steps.

    >>> check_steps(625, 5, 395).text
    '395 = 79 x 5: 625 rows / effective batch 8 = 78.1, rounded up to 79 steps per epoch'
    >>> check_steps(825, 5, 515).rounding
    'down'
    """
    if steps is None:
        return StepsCheck(None, None, "the number of steps is not known")
    if rows <= 0 or epochs <= 0 or steps <= 0:
        return StepsCheck(None, None, f"{steps} steps of {rows} rows over {epochs:g} epochs: nothing to compare")
    rough = rows * epochs / steps
    near = sorted(range(max(1, int(rough * 0.5)), int(rough * 2) + 2), key=lambda batch: abs(batch - rough))
    for rounding in ("up", "down", "none"):
        for batch in near:
            if _steps(rows, epochs, batch, rounding) == steps:
                return StepsCheck(batch, rounding, _text(rows, epochs, steps, batch, rounding))
    text = f"{steps} steps do not follow from {rows} rows x {epochs:g} epochs at any whole batch (about {rough:.1f})"
    return StepsCheck(None, None, text)


def _steps(rows: int, epochs: float, batch: int, rounding: Rounding) -> int:
    if rounding == "none":
        return round(rows * epochs / batch)
    per_epoch = math.ceil(rows / batch) if rounding == "up" else rows // batch
    return math.ceil(per_epoch * epochs - 1e-9)


def _text(rows: int, epochs: float, steps: int, batch: int, rounding: Rounding) -> str:
    exact = rows / batch
    if rounding == "none":
        return f"{steps} = {rows} rows x {epochs:g} epochs / effective batch {batch}, not rounded per epoch"
    up, down = math.ceil(exact), int(exact)
    per_epoch = up if rounding == "up" else down
    text = f"{steps} = {per_epoch} x {epochs:g}: {rows} rows / effective batch {batch} = {exact:.1f}"
    if up == down:
        return f"{text} steps per epoch"
    text = f"{text}, rounded {rounding} to {per_epoch} steps per epoch"
    if rounding == "down":
        left = rows - down * batch
        text += (
            f"; the last batch of {left} {'row' if left == 1 else 'rows'} was dropped or not counted: "
            f"counted, it is {up} x {epochs:g} = {_steps(rows, epochs, batch, 'up')}"
        )
    return text
