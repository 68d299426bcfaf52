"""Who trains: the runs that sit in the pack's rows, those that wait for one, and how they come and go."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self

from tunewright.engine import slot_files
from tunewright.engine.base import Base
from tunewright.engine.batcher import Tables
from tunewright.engine.job import Job, TrainResult
from tunewright.engine.memory import PeakMemory
from tunewright.engine.prepare import Fitting, check_together, fit
from tunewright.engine.room import Room
from tunewright.engine.seats import Seats
from tunewright.engine.slot import Slot
from tunewright.schema.errors import Interrupted, TunewrightError, UsageError

Outcome = TrainResult | TunewrightError
OnPackEvent = Callable[[int, dict[str, Any]], str | None]
"""Sees (index of the job, metrics event); may answer why that job should stop."""

OnDone = Callable[[int, Outcome], None]
"""Told (index of the job, what came of it) when it ends."""


class Roster:
    """``slots``: the runs that sit in the pack's rows, in their order. ``waiting``: those without a row, the next one
    first. ``outcomes``: what came of those that ended, by the index of their job.

    When a run ends, the first that waits takes its row. When nobody waits the row is dropped at once: idle it would
    cost its share of every further step, dropping it costs about one. So K, and with it the last bits of the others'
    numbers, changes only when a run ends with nobody waiting, branches into a row of its own, or is parked.

    Raises what is wrong with any job before the first one starts.
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
    ) -> None:
        if not jobs:
            raise UsageError("no jobs to train")
        self.base = base
        self.outcomes: dict[int, Outcome] = {}
        self._on_event, self._on_done, self._resume = on_event, on_done, resume
        self._peak = PeakMemory(base.device)
        self._room = Room(slots)
        self._tables = Tables()
        self._jobs: list[Job] = []
        self._fittings: list[Fitting] = []
        self.waiting = deque([self._slot(job) for job in jobs])
        self.slots = [self.waiting.popleft() for _ in jobs[: self._room.slots]]
        recipes, fittings = [slot.job.recipe for slot in self.slots], [slot.fitting for slot in self.slots]
        self._seats = Seats(base, recipes, fittings, room_for=self._fittings)
        for row, slot in enumerate(self.slots):
            slot.sit(row)
            self._begin(slot)
        self._room.remember(self.slots)
        self._room.share(self.slots)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for slot in (*self.slots, *self.waiting):
            slot.close()

    def detach(self) -> None:
        """Give the base back as it was."""
        self._seats.pack.detach()

    @property
    def K(self) -> int:
        return self._seats.K

    def find(self, index: int) -> Slot:
        """The slot of job ``index``. Raises UsageError when it has ended."""
        for slot in (*self.slots, *self.waiting):
            if slot.index == index:
                return slot
        raise UsageError(f"run {index} is not in the pack any more")

    # --- coming -----------------------------------------------------------------------------------------------

    def admit(self, job: Job) -> int:
        """One more run, for the next row that is free. Returns its index.

        Raises UsageError when the pack has no room for it: a rank above the largest of the first jobs, other layers.
        """
        self._seats.pack.check_room(fit(self.base, job.recipe).spec)
        slot = self._slot(job)
        self.waiting.append(slot)
        return slot.index

    def branch(self, index: int, job: Job) -> int:
        """A run that begins as a copy of what run ``index`` is now, and follows its own recipe from here.

        Parameters, optimizer state, cursor, counts and best so far are the trunk's: with the same rows and rates up
        to here (an absolute warm-up, a stable phase) it becomes what the separate run would be. Its folder gets the
        trunk's metrics and a checkpoint at once. It goes before others that wait. Returns its index.
        Raises UsageError for another rank, alpha or target than the trunk's, or another share of steps to average.
        """
        trunk = self.find(index)
        ours, theirs = trunk.fitting.spec, fit(self.base, job.recipe).spec
        if (ours.rank, ours.scale, ours.layers) != (theirs.rank, theirs.scale, theirs.layers):
            raise UsageError("a branch has its trunk's lora_rank, lora_alpha and lora_target")
        if job.recipe.average_share != trunk.job.recipe.average_share:
            raise UsageError("a branch has its trunk's average_share")
        slot = self._slot(job)
        slot.carried = self._seats.carry(trunk.seat) if trunk.carried is None else dict(trunk.carried)
        slot.follow(trunk)
        with alone(slot):
            slot_files.copy_history(slot, trunk)
            slot_files.checkpoint(slot, self._seats)
        self.waiting.appendleft(slot)
        return slot.index

    def stop(self, index: int, because: str) -> None:
        """End a run after one more evaluation."""
        self.find(index).stop(because)

    def _slot(self, job: Job) -> Slot:
        fitting = fit(self.base, job.recipe)
        check_together([*(known.recipe for known in self._jobs), job.recipe], [*self._fittings, fitting])
        slot = Slot(len(self._jobs), job, fitting, self._tables)
        self._jobs.append(job)
        self._fittings.append(fitting)
        return slot

    def _seat(self, row: int) -> None:
        """Let the first who waits take a row, anew or with what it carries."""
        slot = self.waiting.popleft()
        self.slots[row : row + 1] = [slot]
        with alone(slot):
            slot.sit(row)
            self._seats.assign(row, slot.job.recipe, slot.fitting)
            if slot.carried is not None:
                self._seats.load(row, slot.carried)
        if not slot.begun:
            self._begin(slot)
        slot.carried = None

    def _begin(self, slot: Slot) -> None:
        with alone(slot):
            slot.begin(partial(self._on_event, slot.index))
            if slot.carried is not None:  # a branch: its best so far is its trunk's
                slot_files.write_best(slot, self._seats)
                return
            slot.best_1P = self._seats.params(slot.seat).to("cpu", copy=True)
            if self._resume:
                slot_files.restore(slot, self._seats)

    # --- going ------------------------------------------------------------------------------------------------

    def ended(self) -> bool:
        """Whether somebody leaves, or somebody who waits may have a row."""
        return any(slot.over() for slot in self.slots) or (bool(self.waiting) and self._room.slots > self.K)

    def finish(self) -> None:
        """Who ended leaves, and what came of it is told; who waits takes a row; rows without anybody go."""
        free_rows = [slot.seat for slot in self.slots if slot.over()]
        for row in free_rows:
            self._tell(self.slots[row])
        while free_rows and self.waiting:
            self._seat(free_rows.pop(0))
        self._keep([row for row in range(len(self.slots)) if row not in free_rows])
        while self.slots and self.waiting and self._room.slots > self.K:
            self._seats.select([*range(self.K), 0])
            self._seat(self.K - 1)
        self._room.share(self.slots)

    def _tell(self, slot: Slot) -> None:
        run, only = slot.job.run, len(self._jobs) == 1
        with alone(slot):
            if slot.checkpoint_due():  # stopped after its step had been looked at
                slot_files.checkpoint(slot, self._seats)
            if slot.failure is None and run is not None and not run.best.exists():
                slot_files.write_best(slot, self._seats)
        if only and slot.failure is None:
            self._seats.put(slot.seat, slot.best_1P)
        slot.close()
        kept = self._seats.pack if only else None
        self.outcomes[slot.index] = slot.failure or slot.result(kept, self._peak.peak_GiB())
        self._on_done(slot.index, self.outcomes[slot.index])

    def _keep(self, rows: Sequence[int]) -> None:
        """Drop all rows but these; the pack itself stays when none is left."""
        if rows:
            self._seats.select(rows)
        self.slots = [self.slots[row] for row in rows]
        for row, slot in enumerate(self.slots):
            slot.sit(row)

    def _park(self, slots: Sequence[Slot]) -> None:
        """Let slots wait, with what they have; they come before those that have not begun."""
        for slot in slots:
            slot.rise(self._seats.carry(slot.seat))
        self.waiting.extendleft(reversed(slots))
        self._keep([row for row, slot in enumerate(self.slots) if slot not in slots])
        self._room.share(self.slots)


@contextmanager
def alone(slot: Slot) -> Iterator[None]:
    """What goes wrong here ends this slot, and leaves its neighbours alone."""
    try:
        yield
    except Interrupted:
        raise
    except TunewrightError as error:
        slot.failure = error
