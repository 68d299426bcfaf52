"""Two small tables of Mastering Large Model Training: adapter by kind of task (3.2), batch by GPU memory (3.3, 4.4)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunewright.planner.draft import Facts
from tunewright.planner.presets import GUIDE_LOW_MEMORY
from tunewright.planner.sources import MASTERING
from tunewright.schema.errors import UsageError
from tunewright.schema.plan import PlannedValue
from tunewright.schema.recipe_io import nearest

LOW_MEMORY_BELOW_GB = 12.0
EFFECTIVE_BATCH = 16
"""What every row of the memory table can make, the low end of the guide's ideal 16-32, and 4.4's 1 x 16."""


@dataclass(frozen=True)
class Task:
    """The guide's printed ranges (both ends included) and the pair taken from them."""

    rank_range: tuple[int, int]
    alpha_range: tuple[int, int]
    ratio: str
    rank: int
    alpha: float
    because: str


TASKS = {
    "simple": Task((4, 8), (8, 16), "2:1", 4, 8.0, "the small end for a simple task or little data"),
    "regular": Task(
        (8, 16),
        (8, 16),
        "2:1",
        8,
        16.0,
        "the guide prints ranges that would be 1:1 and the words 2:1 beside them; it starts with rank 8, alpha 16",
    ),
    "complex": Task((16, 32), (16, 32), "1:1", 16, 16.0, "start at the small end and go up when capacity is missing"),
}


@dataclass(frozen=True)
class MemoryRow:
    """One row of the guide's memory table: GPUs of at least ``from_GB``; ranges with both ends included."""

    from_GB: float
    batch: tuple[int, int]
    accumulation: tuple[int, int]

    def pair(self) -> tuple[int, int]:
        """The largest batch of the row and the accumulation that makes an effective batch of 16 with it.

        >>> MemoryRow(24, (2, 4), (4, 8)).pair()
        (4, 4)
        """
        batch = self.batch[1]
        low, high = self.accumulation
        return batch, min(high, max(low, EFFECTIVE_BATCH // batch))

    def __str__(self) -> str:
        batch = "-".join(str(end) for end in sorted(set(self.batch)))
        return f"batch {batch}, accumulation {self.accumulation[0]}-{self.accumulation[1]}"


MEMORY_TABLE = (
    MemoryRow(8, (1, 1), (8, 16)),
    MemoryRow(16, (1, 2), (8, 16)),
    MemoryRow(24, (2, 4), (4, 8)),
    MemoryRow(40, (4, 8), (2, 4)),
)


def memory_row(vram_GB: float) -> MemoryRow:
    """The table's row for this memory: the last one that does not ask for more; below 8 GB, the first.

    >>> memory_row(20).from_GB
    16
    """
    fitting = [row for row in MEMORY_TABLE if row.from_GB <= vram_GB]
    return fitting[-1] if fitting else MEMORY_TABLE[0]


def task_values(task: str) -> tuple[PlannedValue, ...]:
    """Rank and alpha of ``--task``. Raises UsageError for a name that is not in the table."""
    if task not in TASKS:
        guess = nearest(task, TASKS)
        meant = f", did you mean {guess!r}?" if guess else ""
        raise UsageError(f"no task {task!r}{meant}; expected one of: {', '.join(TASKS)}", hint="tunewright plan --help")
    row = TASKS[task]
    (low, high), (alpha_low, alpha_high) = row.rank_range, row.alpha_range
    why = (
        f"--task {task}: the guide prints rank {low}-{high}, alpha {alpha_low}-{alpha_high}, ratio {row.ratio}; "
        f"rank {row.rank}, alpha {row.alpha:g} because {row.because}"
    )
    source = f"{MASTERING}, 3.2"
    return PlannedValue("lora_rank", row.rank, why, source), PlannedValue("lora_alpha", row.alpha, why, source)


def vram_values(facts: Facts) -> tuple[PlannedValue, ...]:
    """What ``--vram`` brings: below 12 GB the low-memory settings, else batch and accumulation of the table's row.

    Empty when no memory was named, or when it was measured: a measurement overrules the table.
    """
    vram = facts.vram_GiB
    if vram is None:
        return ()
    if vram < LOW_MEMORY_BELOW_GB:
        values = [value.planned(facts, GUIDE_LOW_MEMORY.name, MASTERING) for value in GUIDE_LOW_MEMORY.values]
        said = f"--vram {vram:g} is below 12 GB: "
        return tuple(PlannedValue(value.key, value.value, said + value.why, value.source) for value in values)
    return () if facts.measured else _table_values(vram)


def _table_values(vram: float) -> tuple[PlannedValue, ...]:
    row = memory_row(vram)
    batch, accumulation = row.pair()
    why = (
        f"--vram {vram:g}: the guide's row for {row.from_GB:g} GB is {row}; "
        f"{batch} x {accumulation} = {batch * accumulation}, the effective batch every row of its table can make"
    )
    source = f"{MASTERING}, 3.3"
    return (
        PlannedValue("per_device_train_batch_size", batch, why, source),
        PlannedValue("gradient_accumulation_steps", accumulation, why, source),
    )


def check_vram(vram_GiB: float | None) -> None:
    """Raise UsageError unless the memory is a positive number, or not named at all."""
    if vram_GiB is not None and not (math.isfinite(vram_GiB) and vram_GiB > 0):
        raise UsageError(f"--vram {vram_GiB}: expected the GPU's memory in GB, a number above 0")
