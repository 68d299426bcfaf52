"""Back to where such a run is planned to start, when a setting lies far from there and the curve complains."""

from __future__ import annotations

import math

from tunewright.prescribe.case import Case
from tunewright.prescribe.rule import Move, Rung
from tunewright.prescribe.symptoms import bears_its_rate, rate_far_above
from tunewright.prescribe.values import as_times, show

FEW_ROWS_A_STEP, USUAL_ROWS_A_STEP = 4, 8
LEAST_STEPS = 100
"""Optimizer steps that a plan leaves a run of few rows; below, rows a step are taken down first."""
RATE_WITH_ROWS = 0.25
"""Power of rows a step that the best learning rate goes with: near the 0.23 of a public campaign, below Adam's 0.5."""


def back_to_usual(case: Case, says: str, *with_it: Move) -> tuple[Rung, ...]:
    """The learning rate that such a run is planned with, and moves that go with it; nothing where it is not known."""
    share, usual = case.times_usual("learning_rate"), case.usual.get("learning_rate")
    if share is None or usual is None:
        return ()
    where = f"{as_times(share)} of the {show(usual)}"
    why = f"{says}; the LR is {where} that a run of this method and model width is planned with"
    return (Rung("planned LR", why, (*with_it, Move("learning_rate", to=usual, why=why))),)


def more_rows_a_step(case: Case, says: str) -> tuple[Rung, ...]:
    """A step of a row or two is mostly noise: as many rows as make eight, where fewer than four are known.

    At the same epochs there would be as many times fewer steps, so epochs go up with the rows, as far as such a set is
    planned with; where that is not known they stay. The rate goes with the rows.
    """
    batch, rows = _batch(case), _rows_a_step(case)
    if not 0 < rows < FEW_ROWS_A_STEP:
        return ()
    times = USUAL_ROWS_A_STEP // batch * batch / rows
    noisy = f"{says}; a step sees only {rows} row{'s' if rows > 1 else ''}"
    moves = (
        Move("gradient_accumulation_steps", to=USUAL_ROWS_A_STEP // batch, why=noisy),
        *_as_many_steps(case, times, noisy),
        *_rate_with_rows(case, times, noisy),
    )
    return (Rung("rows a step", noisy, moves),)


def fewer_rows_a_step(case: Case, says: str) -> tuple[Rung, ...]:
    """The planned rows a step for a run that has at least twice as many and fewer steps than a plan leaves it, with as
    many more epochs as make those steps, if such a set is planned with so many. The rate goes with the rows."""
    planned, rows = int(case.usual.get("rows_a_step", 0)), _rows_a_step(case)
    if not 0 < 2 * planned <= rows or case.total_steps >= LEAST_STEPS:
        return ()
    batch = math.gcd(planned, min(_batch(case), planned))
    why = f"{says}; {case.total_steps} steps of {rows} rows are few: such a set is planned with {planned} rows a step"
    moves = (
        Move("per_device_train_batch_size", to=batch, why=why),
        Move("gradient_accumulation_steps", to=planned // batch, why=why),
        *_as_many_steps(case, LEAST_STEPS / max(1, case.total_steps) * planned / rows, why),
        *_rate_with_rows(case, planned / rows, why),
    )
    return (Rung("rows a step", why, moves),)


def planned_epochs(case: Case, why: str) -> tuple[Move, ...]:
    """The planned epochs for a run that had less than half of them; nothing where either is unknown or steps rule."""
    times, usual = case.times_usual("num_train_epochs"), case.usual.get("num_train_epochs")
    if times is None or usual is None or times >= 0.5 or case.duration_key == "max_steps":
        return ()
    return (Move("num_train_epochs", to=usual, why=why),)


def _as_many_steps(case: Case, times: float, why: str) -> tuple[Move, ...]:
    """Epochs ``times`` as many, at most the planned ones; nothing where those are not known."""
    share = case.times_usual("num_train_epochs")
    if share is None or share >= 1 or times <= 1 or case.duration_key == "max_steps":
        return ()
    return (Move("duration", min(times, 1 / share), why=why),)


def _rate_with_rows(case: Case, times: float, why: str) -> tuple[Move, ...]:
    """The fourth root of ``times`` as many rows, towards the planned rate and no farther; not up while the loss swings.
    Under more rows a rate above the planned one stays, unless it lies far above what its own few rows would have had
    and the run does not show that it bears it: then it goes all the way."""
    share = case.times_usual("learning_rate")
    if share is None or (share < 1 and (times < 1 or case.has("oscillation"))):
        return ()
    root = times**RATE_WITH_ROWS
    if times > 1 and share > 1:
        return (Move("learning_rate", 1 / share, why=why),) if _far_above_for_its_rows(case) else ()
    return (Move("learning_rate", min(root, 1 / share) if times > 1 else max(root, 1 / share), why=why),)


def _far_above_for_its_rows(case: Case) -> bool:
    planned = case.usual.get("rows_a_step", USUAL_ROWS_A_STEP)
    return rate_far_above(case, (_rows_a_step(case) / planned) ** RATE_WITH_ROWS) and not bears_its_rate(case)


def _batch(case: Case) -> int:
    return int(case.number("per_device_train_batch_size") or 0)


def _rows_a_step(case: Case) -> int:
    """Rows that one optimizer step sees, 0 where that is not known: a log may tell the batch and not how many batches
    make a step. Then the rows of an epoch and its steps tell."""
    accumulation = case.number("gradient_accumulation_steps")
    if accumulation:
        return _batch(case) * int(accumulation)
    per_epoch = None if case.curve is None else case.curve.steps_per_epoch
    return round(case.rows / per_epoch) if case.rows and per_epoch else 0
