"""A sweep at work: pack after pack is trained, every cell that ends is read, measured and ranked with the others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tunewright.app.general import General
from tunewright.app.progress import Progress
from tunewright.app.report import report
from tunewright.app.run_one import run_packed
from tunewright.app.series import decide
from tunewright.app.sweep_answer import CellJson, best_json, cell_json, ranked_cells, spread_json
from tunewright.app.sweep_plan import PlannedCell, SweepPlan, pack_json
from tunewright.app.task import Task
from tunewright.app.train import load_recipe_base, work_for
from tunewright.app.val_rows import kept_rows, measure_rows
from tunewright.app.watch import Watch
from tunewright.engine.base import Base
from tunewright.planner.pack_plan import Pack, total_seconds
from tunewright.planner.words import counted
from tunewright.record.run import Run
from tunewright.reporter.words import duration, figure
from tunewright.schema import jsonio
from tunewright.schema.errors import Interrupted, RunFailed, TunewrightError
from tunewright.tuner.ranking import RowLosses

WRITE_EVERY_S = 1.0
"""tuning.json is not written more often than this while cells end: a sweep may have thousands, and goes on without."""


@dataclass
class SweepAtWork:
    """One sweep at work. ``results``, ``rows``: what each cell came to, and its losses row by row, by its name."""

    folder: Run
    plan: SweepPlan
    watch: Watch
    results: dict[str, CellJson] = field(default_factory=dict)
    rows: dict[str, RowLosses] = field(default_factory=dict)
    errors: list[TunewrightError] = field(default_factory=list)
    base: Base | None = None
    base_keys: tuple[Any, ...] = ()
    forwarded: int = 0  # tokens of asking the base for replay rows, and of measuring row by row
    written_s: float = 0.0

    def go(self, resume: bool) -> dict[str, Any]:
        self.started_s = time.perf_counter() - float(self.folder.read("tuning.json").get("seconds", 0.0))
        self.folder.update(status="running")
        self.progress = Progress(self.watch, len(self.plan.cells))
        self._show_plan()
        for cell in self.plan.cells if resume else ():
            if self._run(cell).status() == "finished":
                self._ended(cell)
        try:
            for order, pack in enumerate(self.plan.packs, start=1):
                self._pack(order, pack, resume)
        finally:
            self._write()
        return self._finish()

    def _run(self, cell: PlannedCell) -> Run:
        return Run(self.folder.path / cell.name)

    def tell(self, text: str) -> None:
        decide(self.folder, self.watch, text)

    def _show_plan(self) -> None:
        packs, seconds = self.plan.packs, total_seconds(self.plan.packs)
        self.tell(
            f"plan: {counted(len(self.plan.cells), 'cell')} of {' x '.join(self.plan.grid)} in "
            f"{counted(len(packs), 'pack')}, {sum(pack.tokens for pack in packs):,} tokens"
            + ("" if seconds is None else f", about {duration(seconds)}")
        )
        for note in self.plan.notes:
            self.tell(f"note: {note}")

    def _pack(self, order: int, pack: Pack, resume: bool) -> None:
        """Train what is left of one pack; when the pack as a whole cannot be trained its cells have failed."""
        every = [self.plan.cells[place] for place in pack.cells]
        cells = [cell for cell in every if cell.name not in self.results]
        if self.watch.should_stop():
            raise Interrupted(f"interrupted before pack {order}")
        if cells:
            self.tell(f"pack {order} of {len(self.plan.packs)}: {counted(len(cells), 'cell')}, {pack.why}")
        try:
            self._train(cells, pack.slots, resume)
        except Interrupted:
            raise
        except TunewrightError as error:
            for cell in cells:
                if cell.name not in self.results:
                    self._run(cell).update(status="failed", ended=time.time(), error=error.message)
                    self._ended(cell, error)
        for cell in every:
            self._measure(cell)
        self._write()

    def _train(self, cells: Sequence[PlannedCell], slots: int, resume: bool) -> None:
        if not cells:
            return
        base = self._base_of(cells[0])
        general = General(base, self.folder.path, self.watch)
        asked_before = general.tokens
        tasks = [
            Task(self._run(cell), cell.prepared.plan, work_for(cell.prepared, general), label=cell.label)
            for cell in cells
        ]
        self.forwarded += general.tokens - asked_before

        def on_ended(place: int, ended: dict[str, Any] | TunewrightError) -> None:
            if not isinstance(ended, Interrupted):
                self._ended(cells[place], ended if isinstance(ended, TunewrightError) else None)
                self._write(sparing=True)

        run_packed(tasks, base, self.progress, slots=slots, resume=resume, on_ended=on_ended)

    def _measure(self, cell: PlannedCell) -> None:
        """Losses row by row, for the noise of the differences: from the best parameters, which are on disk by now."""
        run = self._run(cell)
        if self.results[cell.name]["status"] == "failed":
            return
        try:
            self.forwarded += measure_rows(run, cell.recipe, self._base_of(cell), cell.prepared.val.rows)
        except TunewrightError as error:
            self.tell(f"note: the noise of {cell.name} is not known: {error.message}")
        rows = kept_rows(run)
        if rows is not None:
            self.rows[cell.name] = rows

    def _base_of(self, cell: PlannedCell) -> Base:
        """The base a cell's recipe names; the last one when it is the same."""
        recipe = cell.recipe
        keys = (recipe.model, recipe.method, recipe.precision, recipe.template)
        if self.base is None or keys != self.base_keys:
            self.base = None  # let go of the old one before the new one is loaded
            self.base, self.base_keys = load_recipe_base(cell.prepared, self.watch), keys
        return self.base

    def _ended(self, cell: PlannedCell, error: TunewrightError | None = None) -> None:
        """Take in what a cell came to, from its folder, and say it."""
        result = cell_json(self._run(cell), cell)
        self.results[cell.name] = result
        self.errors += [error] if error else []
        self.progress.ended()
        came = {
            "finished": f"validation loss {figure(jsonio.number_or_none(result['eval_loss']))}",
            "stopped": f"stopped, {result['stopped_because']}",
            "failed": f"failed, {result['stopped_because']}",
        }
        self.tell(f"{cell.label}: {came[result['status']]}")

    def _cells(self) -> list[CellJson]:
        """What is known of each cell, ranked; those that have not ended come last, in the grid's order."""
        waiting = [
            {"run": str(self._run(cell).path), "name": cell.name, "set": cell.settings}
            for cell in self.plan.cells
            if cell.name not in self.results
        ]
        packs = {
            self.plan.cells[place].name: pack_number
            for pack_number, pack in enumerate(self.plan.packs, start=1)
            for place in pack.cells
        }
        return [{**cell, "pack": packs[cell["name"]]} for cell in (*ranked_cells(self.results, self.rows), *waiting)]

    def _write(self, *, sparing: bool = False, **final: Any) -> None:
        """tuning.json as far as the sweep has come; ``sparing``: unless it was written just now."""
        if sparing and time.monotonic() - self.written_s < WRITE_EVERY_S:
            return
        self.written_s = time.monotonic()
        self.folder.write("tuning.json", {**self.folder.read("tuning.json"), **self._answer(), **final})

    def _answer(self) -> dict[str, Any]:
        cells = self._cells()
        results = [cell for cell in self.results.values() if cell["status"] != "failed"]
        answer: dict[str, Any] = {
            "cells": cells,
            "best": best_json(cells),
            "base_eval_loss": next((cell["base_eval_loss"] for cell in results), None),
            "packs": [pack_json(pack, self.plan.cells) for pack in self.plan.packs],
            "tokens": {
                "train": sum(cell["tokens"]["train"] for cell in results),
                "eval": sum(cell["tokens"]["eval"] for cell in results) + self.forwarded,
            },
            "seconds": time.perf_counter() - self.started_s,
            "notes": self.plan.notes,
        }
        return {**answer, "seeds": spread_json(results)} if "seed" in self.plan.grid else answer

    def _finish(self) -> dict[str, Any]:
        count = len(self.plan.cells)
        if len(self.errors) == count:
            first = self.errors[0]
            self.folder.update(status="failed", ended=time.time(), error=first.message)
            raise RunFailed(f"every cell failed; the first: {first.message}", hint=first.hint, code=first.code)
        answer = jsonio.plain({**self._answer(), "stopped_because": f"all {counted(count, 'cell')} were run"})
        self._write(**answer)
        for line in _verdict(answer):
            self.tell(line)
        self.folder.update(status="finished", ended=time.time())
        return {**answer, "report": str(report(self.folder.path))}


def _verdict(answer: dict[str, Any]) -> list[str]:
    """The best cell, and those that may be as good."""
    if answer["best"] is None:
        return ["no cell ended with a finite validation loss"]
    best, *others = answer["cells"]
    tied = [cell["name"] for cell in others if cell.get("within_noise")]
    lines = [f"best: {best['name']}, validation loss {figure(jsonio.number_or_none(best['eval_loss']))}"]
    return [*lines, f"within noise of it: {', '.join(tied)}"] if tied else lines
