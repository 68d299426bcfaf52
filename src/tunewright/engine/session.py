"""What the loop's events do: each event for every run it is due for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NoReturn

import torch

from tunewright.engine import slot_files
from tunewright.engine.base import Base
from tunewright.engine.batcher import Window
from tunewright.engine.job import Job
from tunewright.engine.measure import measure
from tunewright.engine.room import free, no_room
from tunewright.engine.roster import OnDone, OnPackEvent, Roster, alone
from tunewright.engine.slot import Line, Slot
from tunewright.engine.step import forward_backward, is_out_of_memory
from tunewright.schema.errors import Interrupted


class Session(Roster):
    """Runs in progress over one base, in one pack. The loop calls its methods in order.

    ``steps``: how many the pack has made. The numbers of a step stay on the device until a line of somebody is due.
    """

    def __init__(
        self,
        base: Base,
        jobs: Sequence[Job],
        on_event: OnPackEvent,
        on_done: OnDone,
        *,
        slots: int | None = None,
        resume: bool = False,
        resume_hint: str = "",
    ) -> None:
        super().__init__(base, jobs, on_event, on_done, slots=slots, resume=resume)
        self.steps = 0
        self._resume_hint = resume_hint
        self._unread: list[tuple[list[Line], torch.Tensor]] = []

    # --- evaluation -------------------------------------------------------------------------------------------

    def evaluation_due(self) -> bool:
        return any(slot.evaluation_due() for slot in self.slots)

    def evaluate(self) -> None:
        """Look at every slot that is due, all in one forward pass; log; keep parameters that are the best so far.

        Of a slot that averages, it is the mean that is looked at and kept.
        """
        due = [slot for slot in self.slots if slot.evaluation_due()]
        self._write_lines(due)
        with self._seats.means.shown([slot.seat for slot in due]):
            val = measure(self._seats.pack, due, lambda slot: slot.val)
            probe = measure(self._seats.pack, due, lambda slot: slot.probe)
            for slot in due:
                with alone(slot):
                    if slot.failure is None and slot.note_evaluation(val.get(slot), probe.get(slot)):
                        slot_files.keep_best(slot, self._seats)

    # --- training ---------------------------------------------------------------------------------------------

    def train_step(self) -> None:
        """One update of every slot. Waits for the device only when somebody's line is due."""
        began = time.perf_counter()
        step = self._forward_backward()
        if step is None:
            return
        loss_K, windows = step
        rates = [slot.learning_rate() for slot in self.slots]
        norm_K = self._seats.optimizer.update(rates, loss_K)
        self._seats.means.take([slot.state.step + 1 for slot in self.slots])
        lines = [slot.note_step(window, rate) for slot, window, rate in zip(self.slots, windows, rates, strict=True)]
        self._unread.append((lines, torch.stack([loss_K.double(), norm_K])))
        self._write_lines([slot for slot in self.slots if slot.lines_due()])
        self.steps += 1
        taken_s = time.perf_counter() - began
        for slot in self.slots:
            slot.state.train_seconds += taken_s

    def _forward_backward(self) -> tuple[torch.Tensor, list[Window]] | None:
        """Losses and what they are of; in smaller pieces as long as memory runs out; None: nothing fits."""
        while True:
            windows = [slot.window() for slot in self.slots]
            micro_rows = [slot.state.micro_rows for slot in self.slots]
            try:
                loss_K = forward_backward(
                    self._seats.pack,
                    windows,
                    step=[slot.state.step for slot in self.slots],
                    micro_rows=micro_rows,
                    loss_scale=self._seats.loss_scale,
                )
                return loss_K, windows
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                cause = str(error)
            # outside the handler: the exception keeps the failed pass's tensors alive. Parameters are as they were
            free(self.base.device)
            rows = max(min(size, len(window.indexes)) for size, window in zip(micro_rows, windows, strict=True))
            if rows > 1:
                self._room.fewer_rows(self.slots, rows)
            elif self.K > 1:
                self._read()
                self._park(self._room.fewer_slots(self.slots))
            else:
                self.slots[0].failure = no_room(self.slots[0], cause)
                return None

    def _write_lines(self, slots: Sequence[Slot]) -> None:
        """Read the numbers of all steps since the last reading, at once; write the lines of these slots."""
        if slots:
            self._read()
        for slot in slots:
            with alone(slot):
                slot.write_lines()

    def _read(self) -> None:
        unread, self._unread = self._unread, []
        if unread:
            values = torch.cat([numbers_2K for _, numbers_2K in unread], dim=1).tolist()
            lines = [line for step, _ in unread for line in step]
            for line, loss, grad_norm in zip(lines, *values, strict=True):
                line.loss, line.grad_norm = loss, grad_norm

    # --- checkpoints ------------------------------------------------------------------------------------------

    def checkpoint_due(self) -> bool:
        return any(slot.checkpoint_due() for slot in self.slots)

    def checkpoint(self) -> None:
        for slot in self.slots:
            if slot.checkpoint_due():
                with alone(slot):
                    slot_files.checkpoint(slot, self._seats)

    # --- the end ----------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Who ended leaves, and what came of it is told; who waits takes a row; rows without anybody go."""
        self._read()
        super().finish()

    def interrupt(self) -> NoReturn:
        """Leave a checkpoint of every run that has begun, and go, as the user asked."""
        self._write_lines(self.slots)
        begun = [slot for slot in (*self.slots, *self.waiting) if slot.state.step > 0]
        for slot in begun:
            with alone(slot):
                slot_files.checkpoint(slot, self._seats)
        steps = sorted({slot.state.step for slot in begun}) or [0]
        after = f"step {steps[0]}" if len(steps) == 1 else f"steps {steps[0]} to {steps[-1]}"
        raise Interrupted(f"interrupted after {after}", hint=self._resume_hint)
