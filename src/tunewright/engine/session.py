"""What the loop's events do: one run's pack, optimizer, rows, state and files."""

from __future__ import annotations

import math
import time
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import torch

from tunewright.engine.base import Base
from tunewright.engine.batcher import Rows, Window, step_window
from tunewright.engine.checkpoint import newest_checkpoint, save_checkpoint
from tunewright.engine.evaluate import mean_loss, row_losses
from tunewright.engine.events import EventLog, OnEvent
from tunewright.engine.export import save_full, save_peft
from tunewright.engine.job import Job, LoopState, TrainResult
from tunewright.engine.memory import PeakMemory
from tunewright.engine.optimizer import FlatOptimizer, SlotRates
from tunewright.engine.precision import FP16_LOSS_SCALE
from tunewright.engine.prepare import open_pack
from tunewright.engine.schedule import LRSchedule
from tunewright.engine.step import forward_backward, is_out_of_memory
from tunewright.planner import steps
from tunewright.record.files import write_folder
from tunewright.schema.errors import DataError, Interrupted, RunFailed

MOST_NON_FINITE = 10
"""Steps in a row whose loss or gradient is not finite before the run is given up."""


class Session:
    """One run in progress. The loop calls its methods in order; everything that survives a restart is in ``state``."""

    def __init__(self, base: Base, job: Job, on_event: OnEvent) -> None:
        recipe = job.recipe
        self._started = time.perf_counter()
        self._peak = PeakMemory(base.device)
        self.base, self.job = base, job
        self.train = Rows(job.train, job.replay, job.replay_rows)
        self.val, self.probe = Rows(job.val), Rows(job.probe)
        if not self.train.supervised.any():
            raise DataError(f"none of the {len(self.train)} training rows has a token to train on", hint="loss_on: all")

        self.per_epoch = steps.steps_per_epoch(len(self.train), recipe.effective_batch_size)
        self.total = steps.total_steps(recipe, len(self.train))
        self.evaluated_at = steps.evaluation_steps(recipe, self.total, self.per_epoch)
        self.saved_at = steps.save_steps(recipe, self.total, self.per_epoch)
        self.schedule = LRSchedule.of(recipe, self.total)

        self.pack, notes = open_pack(base, recipe)
        self.loss_scale = FP16_LOSS_SCALE if base.dtype == torch.float16 else 1.0
        self.optimizer = FlatOptimizer(
            self.pack.params_KP,
            self.pack.grads_KP,
            [SlotRates.of(recipe)],
            kind=recipe.optim,
            decayed=self.pack.decayed,
            loss_scale=self.loss_scale,
        )
        self.state = LoopState(
            micro_rows=recipe.per_device_train_batch_size, eval_rows=recipe.per_device_eval_batch_size
        )
        self.best_KP = self.pack.params_KP.to("cpu", copy=True)
        self._saved_step = 0
        self._pending: list[tuple[dict[str, Any], bool, torch.Tensor]] = []
        self._log = EventLog(job.run, recipe, on_event)
        self.notes = [*notes, *self._log.notes]

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._log.close()

    # --- evaluation -------------------------------------------------------------------------------------------

    def evaluation_due(self) -> bool:
        state = self.state
        due = state.step in self.evaluated_at or bool(state.stopped_because)
        return due and state.evaluated_step != state.step

    def evaluate(self) -> None:
        """Measure, log, and keep the parameters if they are the best so far. Without validation rows the last are."""
        state, event = self.state, self._stamp()
        if len(self.val):
            event["eval_loss"] = self._mean_loss(self.val)
        if len(self.probe):
            event["general_loss"] = self._mean_loss(self.probe)
        event["seconds"] = self._seconds()
        state.evaluated_step = state.step
        improved = self._judge(event.get("eval_loss"), event.get("general_loss"))
        if state.step == self.total and not state.stopped_because:
            state.stopped_because = f"all {self.total} steps done"
        if len(self.val) or len(self.probe):
            self._emit(event)
        if improved:
            self._keep_best()

    def _judge(self, eval_loss: float | None, general_loss: float | None) -> bool:
        """Note an evaluation in the state. Returns whether it is the best so far."""
        state, patience = self.state, self.job.recipe.early_stopping_patience
        if state.step == 0:
            state.base_eval_loss, state.general_base = eval_loss, general_loss
        elif eval_loss is not None:
            state.plateau.see(eval_loss)
        best = state.best_loss
        improved = eval_loss is None or (math.isfinite(eval_loss) and (best is None or eval_loss < best))
        if improved:
            state.best_step, state.best_loss, state.general_best = state.step, eval_loss, general_loss
            state.evaluations_without_gain = 0
        else:
            state.evaluations_without_gain += 1
            if patience and state.evaluations_without_gain >= patience and not state.stopped_because:
                state.stopped_because = (
                    f"early stopping: no gain in {patience} evaluations after step {state.best_step}"
                )
        return improved

    def _mean_loss(self, rows: Rows) -> float:
        while True:
            try:
                loss = mean_loss(*row_losses(self.pack, rows, self.state.eval_rows))
                break
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                cause = str(error)
            # outside the handler: the exception keeps the failed pass's tensors alive
            self.state.eval_rows = self._halved("per_device_eval_batch_size", self.state.eval_rows, cause)
        self.state.tokens_eval += int(rows.lengths[rows.supervised > 0].sum())
        return loss

    # --- training ---------------------------------------------------------------------------------------------

    def train_step(self) -> None:
        """One optimizer update and its log line. Waits for the device only when a line is due."""
        began = time.perf_counter()
        state, recipe = self.state, self.job.recipe
        window = step_window(self.train, seed=recipe.seed, step=state.step, rows_per_step=recipe.effective_batch_size)
        learning_rate = recipe.learning_rate * self.schedule.multiplier(state.step)
        if recipe.lr_scheduler_type == "reduce_lr_on_plateau":
            learning_rate *= state.plateau.factor
        loss_K = self._forward_backward(window)
        norm_K = self.optimizer.update([learning_rate], loss_K)
        state.step += 1
        state.tokens_train += window.tokens
        event = {**self._stamp(), "learning_rate": learning_rate, "seconds": self._seconds(), "rows": window.numbers}
        self._pending.append((event, window.supervised > 0, torch.stack([loss_K.double(), norm_K])))
        if state.step % recipe.logging_steps == 0 or state.step in self.evaluated_at or state.step in self.saved_at:
            self._log_pending()
        state.train_seconds += time.perf_counter() - began

    def _forward_backward(self, window: Window) -> torch.Tensor:
        state = self.state
        while True:
            try:
                return forward_backward(
                    self.pack, [window], step=state.step, micro_rows=state.micro_rows, loss_scale=self.loss_scale
                )
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                cause = str(error)
            state.micro_rows = self._halved(
                "per_device_train_batch_size", min(state.micro_rows, len(window.indexes)), cause
            )

    def _halved(self, key: str, rows: int, cause: str) -> int:
        if rows == 1:
            raise RunFailed(
                f"out of memory after step {self.state.step} with one row at a time: {cause.splitlines()[0]}",
                hint="lower max_length, or set gradient_checkpointing: true, or method: qlora",
                code="out_of_memory",
            )
        if self.base.device.type == "cuda":
            torch.cuda.empty_cache()
        half = math.ceil(rows / 2)
        self.notes.append(
            f"out of memory after step {self.state.step}: {key} {rows} -> {half}, the effective batch stays as it is"
        )
        return half

    def _log_pending(self) -> None:
        """Read the losses of the steps since the last line, all at once; write the newest and every non-finite one."""
        if not self._pending:
            return
        values = torch.stack([numbers for _, _, numbers in self._pending])[:, :, 0].tolist()
        for place, ((event, supervised, _), (loss, norm)) in enumerate(
            zip(self._pending, values, strict=True), start=1
        ):
            finite = math.isfinite(loss) and math.isfinite(norm)
            if supervised:
                event |= {"loss": loss, "grad_norm": norm}
                self._count_non_finite(event["step"], finite)
            if place == len(self._pending) or (supervised and not finite):
                self._emit(event)
        self._pending.clear()

    def _count_non_finite(self, step: int, finite: bool) -> None:
        state = self.state
        state.non_finite_in_a_row = 0 if finite else state.non_finite_in_a_row + 1
        if state.non_finite_in_a_row >= MOST_NON_FINITE and not state.stopped_because:
            state.stopped_because = f"non-finite loss since step {step - state.non_finite_in_a_row + 1}"

    # --- what is written --------------------------------------------------------------------------------------

    def checkpoint_due(self) -> bool:
        state = self.state
        due = state.step in self.saved_at or bool(state.stopped_because)
        return self.job.run is not None and due and state.step > 0 and self._saved_step != state.step

    def checkpoint(self) -> None:
        """Write everything that makes the next step, the best parameters so far included."""
        assert self.job.run is not None
        self.state.seconds = self._seconds()
        self._started = time.perf_counter()
        tensors = {"params": self.pack.params_KP, **self.optimizer.state()}
        if self.state.best_step != self.state.step:
            tensors["best"] = self.best_KP
        save_checkpoint(self.job.run.checkpoints, self.state.step, self.state.to_json(), tensors)
        self._saved_step = self.state.step

    def restore(self) -> None:
        """Go on from the newest whole checkpoint, or from the start when there is none; say so in the metrics."""
        if self.job.run is None:
            return
        shapes = {name: tensor.shape for name, tensor in self.optimizer.state().items()}
        found, faults = newest_checkpoint(self.job.run.checkpoints, {"params": self.pack.params_KP.shape, **shapes})
        self.notes += faults
        if found is not None:
            self.state.take(found.state)
            self._saved_step = found.step
            self.pack.params_KP.copy_(found.tensors["params"])
            self.optimizer.load(found.tensors)
            self.best_KP = found.tensors.get("best", found.tensors["params"]).clone()
            self._write_best()  # a kill may have come between a newer best/ and its checkpoint
        self._emit({"resumed_at": self.state.step})

    def _keep_best(self) -> None:
        self.best_KP.copy_(self.pack.params_KP)
        if self.state.step > 0:  # an untrained adapter is written only if it is still the best at the end
            self._write_best()

    def _write_best(self) -> None:
        run = self.job.run
        if run is None:
            return
        now_KP = self.pack.params_KP.clone() if self.state.best_step != self.state.step else None
        self.pack.params_KP.copy_(self.best_KP)
        write_folder(run.best, self._fill_best)
        if now_KP is not None:
            self.pack.params_KP.copy_(now_KP)

    def _fill_best(self, folder: Path) -> None:
        if self.pack.full:
            save_full(self.pack, folder, self.base.tokenizer)
        else:
            save_peft(self.pack, 0, folder, base_name=self.base.folder)

    def _emit(self, event: dict[str, Any]) -> None:
        because = self._log.emit(event)
        if because and not self.state.stopped_because:
            self.state.stopped_because = because

    # --- endings ----------------------------------------------------------------------------------------------

    def interrupt(self) -> NoReturn:
        """Leave a checkpoint and go, as the user asked."""
        self._log_pending()
        run, step = self.job.run, self.state.step
        if run is None:
            raise Interrupted(f"interrupted after step {step}")
        if step > 0 and self._saved_step != step:
            self.checkpoint()
        raise Interrupted(f"interrupted after step {step}", hint=f"tunewright train --resume {run.path}")

    def finish(self) -> TrainResult:
        """Put the best parameters back and count up."""
        state = self.state
        self.pack.params_KP.copy_(self.best_KP)
        if self.job.run is not None and not self.job.run.best.exists():
            write_folder(self.job.run.best, self._fill_best)
        rise = None
        if state.general_best is not None and state.general_base is not None:
            rise = state.general_best - state.general_base
        return TrainResult(
            steps=state.step,
            tokens_train=state.tokens_train,
            tokens_eval=state.tokens_eval,
            base_eval_loss=state.base_eval_loss,
            eval_loss=state.best_loss,
            best_step=state.best_step,
            general_rise=rise,
            train_seconds=state.train_seconds,
            tokens_per_s=state.tokens_train / state.train_seconds if state.train_seconds else 0.0,
            peak_GiB=self._peak.peak_GiB(),
            stopped_because=state.stopped_because,
            pack=self.pack,
            notes=tuple(self.notes),
        )

    def _stamp(self) -> dict[str, Any]:
        state = self.state
        return {"step": state.step, "epoch": state.step / self.per_epoch, "tokens": state.tokens_train}

    def _seconds(self) -> float:
        return self.state.seconds + time.perf_counter() - self._started
