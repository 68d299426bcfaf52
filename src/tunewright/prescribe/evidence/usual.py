"""Back to where such a run is planned to start, when a setting lies far from there and the curve complains."""

from __future__ import annotations

from tunewright.prescribe.case import Case
from tunewright.prescribe.rule import Move, Rung
from tunewright.prescribe.values import show

FEW_ROWS_A_STEP, USUAL_ROWS_A_STEP = 4, 8


def back_to_usual(case: Case, says: str, *with_it: Move) -> tuple[Rung, ...]:
    """The learning rate that such a run is planned with, and moves that go with it; nothing where it is not known."""
    times, usual = case.times_usual("learning_rate"), case.usual.get("learning_rate")
    if times is None or usual is None:
        return ()
    where = f"x{times:.3g}" if times > 1 else f"1/{1 / times:.3g}"
    why = f"{says}; the LR is {where} of the {show(usual)} that a run of this method and model width is planned with"
    return (Rung("planned LR", why, (*with_it, Move("learning_rate", to=usual, why=why))),)


def more_rows_a_step(case: Case, says: str) -> tuple[Rung, ...]:
    """A step of a row or two is mostly noise: as many rows as make eight, where fewer than four are known."""
    batch = int(case.number("per_device_train_batch_size") or 0)
    rows = batch * int(case.number("gradient_accumulation_steps") or 1)
    if not 0 < rows < FEW_ROWS_A_STEP:
        return ()
    noisy = f"{says}; a step sees only {rows} row{'s' if rows > 1 else ''}"
    return (Rung("rows a step", noisy, (Move("gradient_accumulation_steps", to=USUAL_ROWS_A_STEP // batch),)),)
