"""One run of a pack: where it is, what is due when, what it writes. It never looks at its neighbours."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import torch

from tunewright.engine.batcher import Rows, Tables, Window, step_window
from tunewright.engine.evaluate import Counts, Floats, mean_loss
from tunewright.engine.events import EventLog, OnEvent
from tunewright.engine.job import Job, TrainResult
from tunewright.engine.pack import Pack
from tunewright.engine.prepare import Fitting
from tunewright.engine.schedule import LRSchedule
from tunewright.engine.seats import Carried
from tunewright.engine.state import LoopState
from tunewright.planner import steps
from tunewright.schema.errors import DataError, TunewrightError

MOST_NON_FINITE = 10
"""Steps in a row whose loss or gradient is not finite before the run is given up."""


@dataclass
class Line:
    """A training line on its way to the metrics: its numbers come when they are next read from the device."""

    event: dict[str, Any]
    supervised: bool  # whether there was a token to train on; else loss and norm mean nothing
    loss: float = math.nan
    grad_norm: float = math.nan


class Slot:
    """One run in progress. Everything of it that survives a restart is in ``state``, and in its row of the pack.

    ``index``: its job's number. ``row``: where it sits; None while it waits, with what it has learnt in ``carried``.
    ``row_nll_n``, ``row_tokens_n``: the latest evaluation, row by row, for paired tests; None before the first.
    Raises DataError when no training row has a token to train on.
    """

    def __init__(self, index: int, job: Job, fitting: Fitting, tables: Tables) -> None:
        recipe = job.recipe
        self.index, self.job, self.fitting = index, job, fitting
        self.train = tables.rows(job.train, job.replay, job.replay_rows)
        self.val, self.probe = tables.rows(job.val), tables.rows(job.probe)
        if not self.train.supervised.any():
            raise DataError(f"none of the {len(self.train)} training rows has a token to train on", hint="loss_on: all")
        self.per_epoch = steps.steps_per_epoch(len(self.train), recipe.effective_batch_size)
        self.total = steps.total_steps(recipe, len(self.train))
        self.evaluated_at = steps.evaluation_steps(recipe, self.total, self.per_epoch)
        self.saved_at = steps.save_steps(recipe, self.total, self.per_epoch) | job.kept_at
        self.schedule = LRSchedule.of(recipe, self.total)

        self.state = LoopState(
            micro_rows=recipe.per_device_train_batch_size, eval_rows=recipe.per_device_eval_batch_size
        )
        self.row: int | None = None
        self.carried: Carried | None = None
        self.best_1P = torch.zeros(0)  # the best parameters so far, in the columns of the slot alone, on the CPU
        self.row_nll_n: Floats | None = None
        self.row_tokens_n: Counts = self.val.supervised
        self.saved_step = 0
        self.failure: TunewrightError | None = None
        self.notes = list(fitting.notes)
        self.begun = False
        self._lines: list[Line] = []
        self._log: EventLog | None = None
        self._since_s = time.perf_counter()

    def begin(self, on_event: OnEvent) -> None:
        """Open the files its events go to. Raises EnvironmentMissing when a tracker asked for is not installed."""
        self.begun = True
        self._log = EventLog(self.job.run, self.job.recipe, on_event)
        self.notes += self._log.notes

    def close(self) -> None:
        if self._log is not None:
            self._log.close()

    # --- what is due ------------------------------------------------------------------------------------------

    def evaluation_due(self) -> bool:
        state = self.state
        due = state.step in self.evaluated_at or bool(state.stopped_because)
        return due and state.evaluated_step != state.step and self.failure is None

    def checkpoint_due(self) -> bool:
        state = self.state
        due = state.step in self.saved_at or bool(state.stopped_because)
        return due and self.unsaved()

    def unsaved(self) -> bool:
        """Whether its newest checkpoint, if it writes any, is older than it is itself."""
        mine = self.job.run is not None and self.failure is None
        return mine and self.state.step > 0 and self.saved_step != self.state.step

    def lines_due(self) -> bool:
        step = self.state.step
        return step % self.job.recipe.logging_steps == 0 or step in self.evaluated_at or step in self.saved_at

    def over(self) -> bool:
        """Whether it ended and was looked at for the last time, or failed."""
        return self.failure is not None or (bool(self.state.stopped_because) and not self.evaluation_due())

    # --- a step -----------------------------------------------------------------------------------------------

    def window(self) -> Window:
        """The rows of its next step."""
        recipe = self.job.recipe
        return step_window(
            self.train,
            seed=recipe.seed,
            step=self.state.step,
            rows_per_step=recipe.effective_batch_size,
            reshuffle=recipe.reshuffle,
        )

    def learning_rate(self) -> float:
        """The rate of its next step."""
        recipe = self.job.recipe
        rate = recipe.learning_rate * self.schedule.multiplier(self.state.step)
        return rate * self.state.plateau.factor if recipe.lr_scheduler_type == "reduce_lr_on_plateau" else rate

    def note_step(self, window: Window, learning_rate: float) -> Line:
        """Count a step; its line is written when lines are due, its numbers read by then."""
        self.state.step += 1
        self.state.tokens_train += window.tokens
        event = {**self._stamp(), "learning_rate": learning_rate, "seconds": self.seconds(), "rows": window.numbers}
        line = Line(event, window.supervised > 0)
        self._lines.append(line)
        return line

    def write_lines(self) -> None:
        """Write the newest of the steps since the last line, and every one that is not finite."""
        lines, self._lines = self._lines, []
        for place, line in enumerate(lines, start=1):
            finite = math.isfinite(line.loss) and math.isfinite(line.grad_norm)
            if line.supervised:
                line.event |= {"loss": line.loss, "grad_norm": line.grad_norm}
                self._count_non_finite(line.event["step"], finite)
            if place == len(lines) or (line.supervised and not finite):
                self.emit(line.event)

    def _count_non_finite(self, step: int, finite: bool) -> None:
        state = self.state
        state.non_finite_in_a_row = 0 if finite else state.non_finite_in_a_row + 1
        if state.non_finite_in_a_row >= MOST_NON_FINITE:
            self.stop(f"non-finite loss since step {step - state.non_finite_in_a_row + 1}")

    # --- an evaluation ----------------------------------------------------------------------------------------

    def note_evaluation(self, val_nll_n: Floats | None, probe_nll_n: Floats | None) -> bool:
        """Take note of row losses (None: no such rows), write them, and say whether they are the best so far."""
        state, event = self.state, self._stamp()
        if val_nll_n is not None:
            self.row_nll_n = val_nll_n
            event["eval_loss"] = self._mean(self.val, val_nll_n)
        if probe_nll_n is not None:
            event["general_loss"] = self._mean(self.probe, probe_nll_n)
        event["seconds"] = self.seconds()
        improved = state.judge(event.get("eval_loss"), event.get("general_loss"))
        patience = self.job.recipe.early_stopping_patience
        if patience and state.evaluations_without_gain >= patience:
            self.stop(f"early stopping: no gain in {patience} evaluations after step {state.best_step}")
        if state.step == self.total:
            self.stop(f"all {self.total} steps done")
        if val_nll_n is not None or probe_nll_n is not None:
            self.emit(event)
        return improved

    def _mean(self, rows: Rows, nll_n: Floats) -> float:
        self.state.tokens_eval += int(rows.lengths[rows.supervised > 0].sum())
        return mean_loss(nll_n, rows.supervised)

    # --- telling ----------------------------------------------------------------------------------------------

    def stop(self, because: str) -> None:
        """End it after one more evaluation; the first reason given is the one that counts."""
        self.state.stopped_because = self.state.stopped_because or because

    def emit(self, event: dict[str, Any]) -> None:
        """Write an event everywhere; the caller may answer with a reason to stop."""
        assert self._log is not None
        because = self._log.emit(event)
        if because:
            self.stop(because)

    def result(self, kept: Pack | None, peak_GiB: float) -> TrainResult:
        """What came of it, counted up."""
        state = self.state
        return TrainResult(
            steps=state.step,
            tokens_train=state.tokens_train,
            tokens_eval=state.tokens_eval,
            base_eval_loss=state.base_eval_loss,
            eval_loss=state.best_loss,
            best_step=state.best_step,
            general_rise=state.general_rise,
            train_seconds=state.train_seconds,
            tokens_per_s=state.tokens_train / state.train_seconds if state.train_seconds else 0.0,
            peak_GiB=peak_GiB,
            stopped_because=state.stopped_because,
            kept=kept,
            notes=tuple(self.notes),
            tokens_inherited=state.tokens_inherited,
        )

    def seconds(self) -> float:
        """Wall time since the run's start, time out of the pack not counted."""
        return self.state.seconds + (0.0 if self.row is None else time.perf_counter() - self._since_s)

    def follow(self, trunk: Slot) -> None:
        """Begin where another slot is: its counts, its best, its clock. What it spent so far stays its own."""
        self.state = self.state.branch_of(trunk.state, trunk.seconds())
        self.best_1P = trunk.best_1P.clone()
        self.row_nll_n, self.row_tokens_n = trunk.row_nll_n, trunk.row_tokens_n
        if self.val is not trunk.val:  # another measure: nothing seen so far counts
            self.state.measured_anew()
            self.row_nll_n, self.row_tokens_n = None, self.val.supervised

    @property
    def seat(self) -> int:
        """The row it sits in."""
        assert self.row is not None
        return self.row

    def sit(self, row: int) -> None:
        """Take a row, or another one."""
        if self.row is None:
            self._since_s = time.perf_counter()
        self.row = row

    def keep_time(self) -> None:
        """Move the seconds so far into the state, from where a checkpoint takes them."""
        self.state.seconds, self._since_s = self.seconds(), time.perf_counter()

    def rise(self, carried: Carried) -> None:
        """Give the row up for now, with what it held."""
        self.keep_time()
        self.row, self.carried = None, carried

    def _stamp(self) -> dict[str, Any]:
        state = self.state
        return {"step": state.step, "epoch": state.step / self.per_epoch, "tokens": state.tokens_train}
