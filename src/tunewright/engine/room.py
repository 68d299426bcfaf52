"""How much fits in memory at once, found out by running out of it: what is computed stays, in smaller pieces."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import torch

from tunewright.engine.slot import Slot
from tunewright.schema.errors import RunFailed


class Room:
    """As many slots as asked for, and their recipes' micro-batches, until memory runs out."""

    def __init__(self, slots: int | None) -> None:
        self.slots = slots or sys.maxsize
        self.rows = sys.maxsize  # of a micro-batch, all slots together

    def share(self, slots: Sequence[Slot]) -> None:
        """Cut every slot's steps as its recipe says, or finer where all of them together would not fit."""
        for slot in slots:
            asked = slot.job.recipe.per_device_train_batch_size
            slot.state.micro_rows = max(1, min(asked, self.rows // len(slots)))

    def remember(self, slots: Sequence[Slot]) -> None:
        """Take over what these slots had found out before they were resumed."""
        for slot in slots:
            if slot.state.micro_rows < slot.job.recipe.per_device_train_batch_size:
                self.rows = min(self.rows, slot.state.micro_rows * len(slots))

    def fewer_rows(self, slots: Sequence[Slot], rows: int) -> None:
        """Half the rows of a training micro-batch."""
        note_half(slots, "per_device_train_batch_size", rows)
        self.rows = math.ceil(rows / 2) * len(slots)
        self.share(slots)

    def fewer_slots(self, slots: Sequence[Slot]) -> list[Slot]:
        """A quarter of the slots less. Returns those that must wait until others are done: the last ones."""
        self.slots = self.rows = len(slots) - max(1, len(slots) // 4)
        for slot in slots:
            slot.notes.append(f"{_ran_out(slot)}: {self.slots} runs at a time fit, the others wait for them")
        return list(slots[self.slots :])


def note_half(slots: Sequence[Slot], key: str, rows: int) -> None:
    """Note at each slot that ``key`` is halved from ``rows`` rows."""
    for slot in slots:
        half = math.ceil(rows / 2)
        slot.notes.append(f"{_ran_out(slot)}: {key} {rows} -> {half}, the effective batch stays as it is")


def no_room(slot: Slot, cause: str) -> RunFailed:
    """The end of a run of which not even one row fits."""
    return RunFailed(
        f"{_ran_out(slot)} with one row at a time: {cause.splitlines()[0]}",
        hint="lower max_length, or set gradient_checkpointing: true, or method: qlora",
        code="out_of_memory",
    )


def free(device: torch.device) -> None:
    """Give what the failed attempt left back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _ran_out(slot: Slot) -> str:
    return f"out of memory after step {slot.state.step}"
