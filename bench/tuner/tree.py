"""The guides' decision tree as a search: run, read the losses, change what the guide says, run again.

The rules are the product's own implementation of them (``next --policy guide``). The best run seen is kept, which the
guides do not say, but anyone would do.
"""

from __future__ import annotations

import math
import random

from bench.tuner.cells import Cell, Log, Schedule
from bench.tuner.peers import Peer
from bench.tuner.search import Search
from tunewright.doctor.diagnose import diagnose
from tunewright.prescribe.case import Case
from tunewright.prescribe.prescribe import apply, prescribe
from tunewright.schema.curve import Curve, Series
from tunewright.schema.facts import RunSummary
from tunewright.schema.prescription import Change
from tunewright.schema.recipe import Recipe

MOST_RUNS = 12


def guide_tree(schedule: Schedule, rows: int, *, rate: float, rank: float = 16, epochs: float = 3.0) -> Peer:
    """From this first recipe until the guide keeps it, or asks for a run that was made already."""

    def peer(search: Search, rng: random.Random) -> None:
        grid = search.grid
        recipe = Recipe(
            model="m", data="d.jsonl", learning_rate=rate, lora_rank=round(rank), num_train_epochs=epochs,
            lr_scheduler_type=schedule,
        )  # fmt: skip
        seen: set[Cell] = set()
        history: list[RunSummary] = []
        changes: tuple[Change, ...] = ()
        while len(seen) < MOST_RUNS:
            cell = grid.nearest(schedule, recipe.learning_rate, recipe.lora_rank, recipe.num_train_epochs)
            if cell in seen:
                return
            seen.add(cell)
            search.run(cell)
            case = _case(grid.logs[cell], recipe, rows, tuple(history))
            prescription = prescribe(case, "guide")
            if prescription.keep:
                return
            history.append(_summary(f"run-{len(seen)}", grid.logs[cell], case, changes))
            changes, recipe = prescription.changes, apply(recipe, prescription)

    return peer


def _case(log: Log, recipe: Recipe, rows: int, history: tuple[RunSummary, ...]) -> Case:
    curve = curve_of(log)
    return Case(diagnosis=diagnose(curve), curve=curve, config=recipe.model_dump(), rows=rows, history=history)


def _summary(name: str, log: Log, case: Case, changes: tuple[Change, ...]) -> RunSummary:
    return RunSummary(
        name=name,
        config=case.config,
        eval_loss=log.best.eval,
        base_eval_loss=log.looks[0].eval,
        best_epoch=log.best.step * log.cell.epochs / log.steps,
        forgetting=None,
        health=case.diagnosis.health,
        changed=tuple(change.key for change in changes),
    )


def curve_of(log: Log) -> Curve:
    """What a run logged, as the doctor reads it: training losses are means over the steps between two looks."""
    return Curve(
        kind="bench",
        path="grid",
        loss=Series.of((look.step, look.train) for look in log.looks[1:]),
        eval_loss=Series.of((look.step, look.eval) for look in log.looks if math.isfinite(look.eval)),
        total_steps=log.steps,
        steps_per_epoch=log.steps / log.cell.epochs,
    )
