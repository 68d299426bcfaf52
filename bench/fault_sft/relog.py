"""What the Trainer would have printed at any logging interval, from a log of every step.

``loss`` is the mean over the steps since the last log. With ``logging_nan_inf_filter`` (the default) a loss that is
not finite is replaced by the running mean of the window so far, which is exactly 0 in a window that began with it
(transformers 5.23.0, ``Trainer._inner_training_loop``). ``grad_norm`` and ``learning_rate`` are those of the last
step. Sums are kept in float32, as the Trainer keeps them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.fault_sft.record import Record

Row = dict[str, Any]


@dataclass(frozen=True)
class View:
    """How much of a run the log shows: every ``every`` steps, with or without step 0, every ``nth`` evaluation;
    ``bare``: losses only, no learning rate and no gradient norm."""

    name: str = "full"
    every: int = 1
    step_zero: bool = True
    nth_eval: int = 1
    bare: bool = False


VIEWS = (
    View(),
    View("no step 0", step_zero=False),
    View("every 5", every=5),
    View("every 10", every=10),
    View("every 25", every=25),
    View("few evals", nth_eval=4),
    View("losses only", bare=True),
    View("poor", every=10, step_zero=False, nth_eval=4),
)


def window_means(raw: Sequence[float], every: int, *, nan_filter: bool = True) -> list[tuple[int, float]]:
    """(step, printed loss) at every multiple of ``every``; steps after the last multiple are never printed.

    >>> window_means([1.0, 3.0, math.nan, math.nan], 2)
    [(2, 2.0), (4, 0.0)]
    """
    printed, total, last = [], np.float32(0), 0
    for step, loss in enumerate(raw, 1):
        if nan_filter and not math.isfinite(loss):
            # the Trainer counts the step in progress as not yet done
            total += total / np.float32(1 + (step - 1) - last)
        else:
            total += np.float32(loss)
        if step % every == 0:
            printed.append((step, float(total) / (step - last)))
            total, last = np.float32(0), step
    return printed


def shown_evals(evals: Sequence[tuple[int, float]], view: View) -> list[tuple[int, float]]:
    """Every nth evaluation after step 0, the last one always."""
    trained = [point for point in evals if point[0] > 0]
    kept = trained[view.nth_eval - 1 :: view.nth_eval]
    if trained and (not kept or kept[-1] != trained[-1]):
        kept = [*kept, trained[-1]]
    start = [point for point in evals if point[0] == 0] if view.step_zero else []
    return [*start, *kept]


def log_history(record: Record, view: View, until: int | None = None) -> list[Row]:
    """The rows of ``trainer_state.json``; ``until``: only what was logged up to that step (a run still going on)."""
    log, per_epoch = record.log, record.steps_per_epoch
    rows: list[Row] = []
    for step, loss in window_means(log.raw, view.every, nan_filter=record.spec.recipe.nan_filter):
        more = {} if view.bare else {"grad_norm": log.grad[step - 1], "learning_rate": log.rate[step - 1]}
        rows.append({"epoch": round(step / per_epoch, 4), **more, "loss": loss, "step": step})
    for step, loss in shown_evals(log.evals, view):
        rows.append({"epoch": round(step / per_epoch, 4), "eval_loss": loss, "step": step})
    rows.sort(key=lambda row: (row["step"], "eval_loss" in row))
    return [row for row in rows if until is None or row["step"] <= until]


def trainer_state(record: Record, view: View, until: int | None = None) -> dict[str, Any]:
    """The whole of ``trainer_state.json`` as far as a reader uses it."""
    history = log_history(record, view, until)
    steps = record.max_steps
    return {
        "epoch": history[-1]["epoch"] if history else 0.0,
        "global_step": history[-1]["step"] if history else 0,
        "log_history": history,
        "logging_steps": view.every,
        "max_steps": steps,
        "num_train_epochs": max(1, math.ceil(steps / record.steps_per_epoch)),
        "train_batch_size": record.spec.recipe.batch,
    }
