"""The same run without its fault: what a prescription that undoes the fault, and nothing else, would give.

Manipulations of data and training are simply left out. A setting goes back to what it was where the severity tells
(a rate that was multiplied is divided); where what it was is not kept, to the tuned reference's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bench.fault_sft.spec import Recipe, Spec
from bench.prescribe.knobs import ALL_ROWS, different_rows

Undo = Callable[[Recipe, float, Recipe], Mapping[str, Any]]
"""(faulty recipe, severity, tuned reference) -> the settings as they were."""


def _rate(recipe: Recipe, times: float) -> float:
    return float(f"{recipe.learning_rate * times:.3g}")


UNDO: Mapping[str, Undo] = {
    "lr_high": lambda made, size, _: {"learning_rate": _rate(made, 1 / size)},
    "lr_low": lambda made, size, _: {"learning_rate": _rate(made, size)},
    "no_warmup": lambda made, size, tuned: {"learning_rate": _rate(made, 1 / size), "warmup": tuned.warmup},
    "constant_lr": lambda made, size, tuned: {
        "learning_rate": _rate(made, 1 / size),
        "schedule": tuned.schedule,
        "warmup": tuned.warmup,
    },
    "batch_one": lambda made, size, tuned: {"learning_rate": _rate(made, 1 / size), **_rows_a_step(tuned)},
    "batch_huge": lambda made, size, tuned: _rows_a_step(tuned),
    "few_steps": lambda made, size, _: {"epochs": made.epochs / size},
    "warmup_all": lambda made, size, tuned: {"warmup": tuned.warmup},
    "weight_decay": lambda made, size, tuned: {"weight_decay": tuned.weight_decay},
    "dropout": lambda made, size, tuned: {"dropout": tuned.dropout},
    "optimizer": lambda made, size, tuned: {
        "learning_rate": _rate(made, 1 / size),
        "beta2": tuned.beta2,
        "epsilon": tuned.epsilon,
        "clip": tuned.clip,
    },
}
NOT_KEPT = ("rank_one", "full_high_lr")
"""The method itself may have been another: the tuned reference stands in."""


def twin_of(spec: Spec, tuned: Recipe) -> Spec | None:
    """The run without its faults, same seed; None where only the tuned reference can stand in: fewer different rows
    than the others have, or a fault that hides what the recipe was. KeyError never: other faults are manipulations."""
    if different_rows(spec) != ALL_ROWS or set(spec.faults) & set(NOT_KEPT):
        return None
    recipe = spec.recipe
    for name, size in zip(spec.faults, spec.severity.split("+"), strict=True):
        recipe = recipe.changed(**UNDO[name](recipe, float(size), tuned)) if name in UNDO else recipe
    return replace(spec, recipe=recipe, ops={}, faults=(), severity="", kind="twin")


def _rows_a_step(tuned: Recipe) -> dict[str, Any]:
    return {"batch": tuned.batch, "accumulation": tuned.accumulation, "epochs": tuned.epochs}
