"""The steps of printed rows that name none and have no progress bar beside them, from the Trainer's closing row.

The closing row tells how many steps were made: run time x steps per second. Where the rows name their epoch too, an
epoch's steps follow, and with them each row's step, however many rows there are and wherever a resume went on.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tunewright.curve.names import columns_of, to_float

EXACT = 0.02
"""Steps a row may be this share away from a whole number: closing rows have four figures, epochs as many."""

SPREAD = 0.1
"""The same where only the number of rows is known, which the last steps may have left without one."""

Rows = list[dict[str, Any]]
Closings = Sequence[tuple[int, dict[str, Any]]]
"""(rows before it, the closing row) of every training in the text"""


def is_train(row: dict[str, Any]) -> bool:
    return "loss" in columns_of(frozenset(row))


def by_closing(rows: Rows, closings: Closings) -> tuple[int | None, int | None]:
    """Give every row a step; (steps a row, steps in all), both None and no step given where nothing tells."""
    per_epoch, every = _of_epochs(rows, closings)
    if per_epoch and every:
        _by_epochs(rows, per_epoch, every)
        return every, round(per_epoch * (to_float(closings[-1][1].get("epoch")) or 0.0))
    return _by_count(rows, closings)


def _steps(closing: dict[str, Any]) -> float:
    """Steps that a closing row speaks of; 0 when it does not."""
    return (to_float(closing.get("train_runtime")) or 0.0) * (to_float(closing.get("train_steps_per_second")) or 0.0)


def _of_epochs(rows: Rows, closings: Closings) -> tuple[float, int] | tuple[None, None]:
    """(steps of an epoch, steps of a row) from the first training in the text, when that began at the start."""
    if not closings:
        return None, None
    count, closing = closings[0]
    epochs = [to_float(row.get("epoch")) or 0.0 for row in rows[:count] if is_train(row)]
    end, steps = to_float(closing.get("epoch")) or 0.0, _steps(closing)
    if len(epochs) < 2 or not end or not steps or any(later <= before for before, later in pairwise(epochs)):
        return None, None
    apart = (epochs[-1] - epochs[0]) / (len(epochs) - 1)
    every = round(steps / end * apart)
    begins_at_the_start = epochs[0] < 1.5 * apart
    if every < 1 or not begins_at_the_start or abs(steps / end * apart - every) > EXACT * every:
        return None, None
    return every / apart, every


def _by_epochs(rows: Rows, per_epoch: float, every: int) -> None:
    """Training rows are ``every`` steps apart; an epoch that falls is a resume, and evaluations lie between rows."""
    step, last = 0, 0.0
    for row in rows:
        epoch = to_float(row.get("epoch"))
        near = step if epoch is None else round(epoch * per_epoch)
        if is_train(row):
            resumed = epoch is not None and epoch <= last
            step = round(near / every) * every if resumed else step + every
            last = last if epoch is None else epoch
        row["step"] = step if is_train(row) else min(max(near, step), step + every)


def _by_count(rows: Rows, closings: Closings) -> tuple[int | None, int | None]:
    """Rows spread evenly over the steps, when that is a whole number of steps a row."""
    count = sum(map(is_train, rows))
    share = _steps(closings[-1][1]) / count if closings and count else 0.0
    every = round(share)
    if every < 1 or abs(share - every) > SPREAD * every:
        return None, None
    step = 0
    for row in rows:
        step += every if is_train(row) else 0
        row["step"] = step
    return every, step
