"""Evaluating slots of a pack together, in smaller pieces as long as memory runs out."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext

from tunewright.engine.batcher import Rows
from tunewright.engine.evaluate import Floats, packed_row_losses
from tunewright.engine.pack import Pack
from tunewright.engine.room import free, no_room, note_half
from tunewright.engine.slot import Slot
from tunewright.engine.step import is_out_of_memory


def measure(pack: Pack, slots: list[Slot], rows_of: Callable[[Slot], Rows]) -> dict[Slot, Floats]:
    """Row losses of each slot on its rows, all in one forward pass; slots without rows are left out.

    Out of memory: fewer rows at a time, then fewer slots; a slot of which not one row fits fails. Training is not
    touched by it.
    """
    return _measure(pack, [slot for slot in slots if len(rows_of(slot))], rows_of)


def _measure(pack: Pack, slots: list[Slot], rows_of: Callable[[Slot], Rows]) -> dict[Slot, Floats]:
    while slots:
        size = min(slot.state.eval_rows for slot in slots)
        whole = len(slots) == pack.K
        try:
            with nullcontext() if whole else pack.only([slot.seat for slot in slots]):
                losses = packed_row_losses(pack, [rows_of(slot) for slot in slots], size)
            return dict(zip(slots, losses, strict=True))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            cause = str(error)
        # outside the handler: the exception keeps the failed pass's tensors alive
        free(pack.device)
        if size > 1:
            note_half(slots, "per_device_eval_batch_size", size)
            for slot in slots:
                slot.state.eval_rows = min(slot.state.eval_rows, math.ceil(size / 2))
        elif len(slots) > 1:
            half = len(slots) // 2
            return _measure(pack, slots[:half], rows_of) | _measure(pack, slots[half:], rows_of)
        else:
            slots[0].failure = no_room(slots[0], cause)
            break
    return {}
