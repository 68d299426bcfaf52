"""Cells trained on our engine: packed, or one alone as a control. Nothing is saved but the curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.tuner.cells import Cell, Log, Look
from bench.tuner.pairs import Pair, lay_out, settings
from tunewright.app.prepare import Prepared, prepare_settings
from tunewright.app.request import Request
from tunewright.engine.base import Base, load_base
from tunewright.engine.job import Job
from tunewright.engine.loop import run_pack
from tunewright.engine.session import Session
from tunewright.planner.steps import total_steps
from tunewright.schema.recipe import Recipe


@dataclass(frozen=True)
class Bench:
    """A pair ready to train: its base, and its rows as the product reads them."""

    pair: Pair
    base: Base
    read: Prepared
    test: Any

    @classmethod
    def of(cls, pair: Pair) -> Bench:
        lay_out(pair)
        given = settings(pair)
        # no refusal: near copies among rows are part of some tasks
        read = prepare_settings(given, Request(), refuse_faults=False)
        sealed = prepare_settings({**given, "val": pair.file("test")}, Request(), refuse_faults=False)
        return cls(pair, load_base(given["model"], method="lora", precision="fp32"), read, sealed.val.rows)

    def recipe(self, cell: Cell) -> Recipe:
        """The whole recipe of a cell."""
        return Recipe.model_validate(
            {
                **settings(self.pair),
                "num_train_epochs": float(cell.epochs),
                "learning_rate": cell.rate,
                "lr_scheduler_type": cell.schedule,
                "lora_rank": cell.rank,
                "seed": cell.seed,
                "eval_steps": self.pair.eval_every,
                "per_device_eval_batch_size": 32,
            }
        )

    def job(self, recipe: Recipe) -> Job:
        """Sealed rows go where the engine looks at general text: a second loss beside the first at every look."""
        return Job(recipe, self.read.train.rows, self.read.val.rows, probe=self.test)


@dataclass
class _Curve:
    """Looks of a run as its events come in."""

    looks: list[Look] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def see(self, event: dict[str, Any]) -> None:
        if "loss" in event:
            self.losses.append(event["loss"])
        if "eval_loss" in event:
            mean = sum(self.losses) / len(self.losses) if self.losses else math.nan
            self.losses = []
            self.looks.append(Look(event["step"], event["tokens"], event["eval_loss"], event["general_loss"], mean))


def train_alone(bench: Bench, cell: Cell) -> Log:
    """One cell without neighbours and without a trunk: the control of the other two."""
    [log] = train_packed(bench, [cell])
    return Log(log.cell, log.steps, log.looks, alone=True)


def train_packed(bench: Bench, cells: Sequence[Cell]) -> list[Log]:
    """Cells side by side, each from its own start to its own end."""
    curves = [_Curve() for _ in cells]
    recipes = [bench.recipe(cell) for cell in cells]

    def on_event(place: int, event: dict[str, Any]) -> None:
        curves[place].see(event)

    run_pack(bench.base, [bench.job(recipe) for recipe in recipes], on_event=on_event)
    rows = len(bench.read.train.rows)
    return [
        Log(cell, total_steps(recipe, rows), tuple(curve.looks))
        for cell, recipe, curve in zip(cells, recipes, curves, strict=True)
    ]


def train_branched(bench: Bench, trunks: Sequence[Cell], epochs: Sequence[int]) -> list[Log]:
    """WSD cells of every length from one constant trunk each (``trunks``: its epochs are not looked at).

    With a warm-up in steps, and an order of rows that does not depend on the length, a branch is the separate run.
    """
    rows = len(bench.read.train.rows)
    cells = [[Cell("wsd", count, trunk.rate, trunk.rank, trunk.seed) for count in epochs] for trunk in trunks]
    recipes = [[bench.recipe(cell) for cell in row] for row in cells]
    steps = [total_steps(recipe, rows) for recipe in recipes[0]]
    decay = [max(1, round(recipe.decay_share * count)) for recipe, count in zip(recipes[0], steps, strict=True)]
    forks = [count - down for count, down in zip(steps, decay, strict=True)]
    constant = [row[0].changed(lr_scheduler_type="constant", max_steps=max(forks)) for row in recipes]
    curves = [_Curve() for _ in trunks]
    branches: dict[int, tuple[int, int]] = {}  # index of the branch -> (trunk, which length)

    def on_event(place: int, event: dict[str, Any]) -> None:
        curves[place].see(event)

    def on_boundary(session: Session) -> None:
        for trunk in [slot for slot in session.slots if slot.index < len(trunks)]:
            for length, fork in enumerate(forks):
                known = (trunk.index, length) in branches.values()
                if trunk.state.step == fork and not known and not trunk.state.stopped_because.startswith("non-finite"):
                    index = session.branch(trunk.index, bench.job(recipes[trunk.index][length]))
                    branches[index] = (trunk.index, length)
                    before = curves[trunk.index]
                    seen = [look for look in before.looks if look.step < fork or look.step % bench.pair.eval_every == 0]
                    curves.append(_Curve(seen, list(before.losses)))

    run_pack(bench.base, [bench.job(recipe) for recipe in constant], on_event=on_event, on_boundary=on_boundary)
    made = {which: curves[index] for index, which in branches.items()}
    return [
        Log(cell, steps[length], tuple((made.get((trunk, length)) or curves[trunk]).looks))
        for trunk, row in enumerate(cells)
        for length, cell in enumerate(row)
    ]
