"""What a slot leaves on disk: checkpoints and ``best/``. Without a run folder nothing is written."""

from __future__ import annotations

from tunewright.engine.checkpoint import newest_checkpoint, save_checkpoint
from tunewright.engine.seats import Seats
from tunewright.engine.slot import Slot
from tunewright.record.files import write_folder


def checkpoint(slot: Slot, seats: Seats) -> None:
    """Write everything that makes the slot's next step, the best parameters so far included, unless it is there."""
    run, state = slot.job.run, slot.state
    if run is None or not slot.unsaved():
        return
    slot.keep_time()
    tensors = seats.tensors(slot.seat) if slot.carried is None else dict(slot.carried)
    if state.best_step != state.step:
        tensors["best"] = slot.best_1P
    save_checkpoint(run.checkpoints, state.step, state.to_json(), tensors, spared=slot.job.kept_at)
    slot.saved_step = state.step


def restore(slot: Slot, seats: Seats) -> None:
    """Go on from the newest whole checkpoint, or from the start when there is none; say so in the metrics."""
    run = slot.job.run
    if run is None:
        return
    found, faults = newest_checkpoint(run.checkpoints, seats.shapes(slot.seat))
    slot.notes += faults
    if found is not None:
        slot.state.take(found.state)
        slot.saved_step = found.step
        seats.load(slot.seat, found.tensors)
        newest_1P = found.tensors.get("mean", found.tensors["params"])
        slot.best_1P = found.tensors.get("best", newest_1P).clone()
        write_best(slot, seats)  # a kill may have come between a newer best/ and its checkpoint
    slot.emit({"resumed_at": slot.state.step})


def keep_best(slot: Slot, seats: Seats) -> None:
    """The parameters of now are the best so far."""
    slot.best_1P.copy_(seats.params(slot.seat))
    if slot.state.step > 0:  # an untrained adapter is written only if it is still the best at the end
        write_best(slot, seats)


def write_best(slot: Slot, seats: Seats) -> None:
    """Write ``best/`` anew."""
    run = slot.job.run
    if run is None:
        return
    if slot.state.best_step == slot.state.step and seats.keeps_its_parameters(slot.seat):
        write_folder(run.best, lambda folder: seats.write(slot.seat, folder))
        return
    with seats.holding(slot.seat, slot.best_1P):
        write_folder(run.best, lambda folder: seats.write(slot.seat, folder))


def copy_history(slot: Slot, trunk: Slot) -> None:
    """A branch's metrics begin with its trunk's: the curve is whole, as that of the separate run."""
    if slot.job.run is None or trunk.job.run is None:
        return
    for event in list(trunk.job.run.events()):
        slot.job.run.append(event)
    slot.job.run.append({"resumed_at": slot.state.step})
