"""One run: ours and a peer in turns on the same order; and the memory of a process that does nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from bench.engine.compare import Ratios, Speed, difference, middle, same_work, speed
from bench.engine.field import OURS, TRL, Entry, Field
from bench.engine.orders import Order, Report
from bench.engine.work import Work
from bench.records import Records

GiB = 2**30
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class SingleRow:
    """A line of the single-run table. Ratios are ours over theirs, so above 1 we are faster.

    cpu_ratio: the same by processor seconds, which other jobs on the machine disturb less.
    loss_difference: the largest relative one of any step, None where the batches differ (packed rows).
    same_tokens: whether both saw the same tokens and supervised tokens in every step.
    """

    work: str
    peer: str
    ours: Speed
    theirs: Speed
    ratio: Ratios
    cpu_ratio: Ratios
    loss_difference: float | None
    same_tokens: bool


@dataclasses.dataclass(frozen=True)
class MemoryRow:
    """Most memory above that of the loaded libraries, each contestant in a process of its own. Below 1 ours is less."""

    work: str
    peer: str
    ours_GiB: float
    peer_GiB: float
    ratio: float


def measure_peer(
    field: Field, records: Records, work: Work, order: Order, peer: Entry, *, rounds: int, say: Say
) -> SingleRow:
    """Rounds of ours, then the peer. The work's first steps are not timed, but their losses count."""
    pairs: list[tuple[Report, Report]] = []
    for number in range(1, rounds + 1):
        say(f"{work.name}, {peer.name}: round {number} of {rounds}")
        ours, theirs = (
            train(field, records, f"single/{work.name}/{peer.name}/{number}/{entry.name}", entry, order)
            for entry in (OURS, peer)
        )
        pairs.append((ours, theirs))
    ours_speeds, peer_speeds = ([speed(pair[side], work.warm_steps) for pair in pairs] for side in (0, 1))
    both = list(zip(ours_speeds, peer_speeds, strict=True))
    comparable = peer.layout != "packed"
    return SingleRow(
        work=work.name,
        peer=peer.name,
        ours=middle(ours_speeds),
        theirs=middle(peer_speeds),
        ratio=Ratios.of([a.tokens_per_s / b.tokens_per_s for a, b in both]),
        cpu_ratio=Ratios.of([a.tokens_per_cpu_s / b.tokens_per_cpu_s for a, b in both]),
        loss_difference=max(difference(a.losses, b.losses) for a, b in pairs) if comparable else None,
        same_tokens=all(same_work(a, b) if comparable else _same_in_all(a, b) for a, b in pairs),
    )


def _same_in_all(ours: Report, theirs: Report) -> bool:
    """Packing deals the same rows out to other steps: only the sums can agree."""
    return sum(ours.tokens) == sum(theirs.tokens) and sum(ours.supervised) == sum(theirs.supervised)


def train(field: Field, records: Records, key: str, entry: Entry, order: Order) -> Report:
    """An entry's report on an order, measured or remembered."""
    wanted = dataclasses.replace(order, layout=entry.layout)
    report: dict[str, Any] = records.get(key, lambda: dataclasses.asdict(field.process(entry).train(wanted).reports[0]))
    return Report(**report)


def measure_memory(field: Field, records: Records, work: Work, order: Order, say: Say) -> MemoryRow:
    """Ours and TRL, each in a fresh process that trains one order."""
    peaks = []
    for entry in (OURS, TRL):
        say(f"{work.name}, memory: {entry.name}")
        peaks.append(
            records.get(f"memory/{work.name}/{entry.name}", lambda entry=entry: _peak_GiB(field, entry, order))
        )
    return MemoryRow(work.name, TRL.name, peaks[0], peaks[1], peaks[0] / peaks[1])


def _peak_GiB(field: Field, entry: Entry, order: Order) -> float:
    with field.fresh(entry) as contestant:
        return contestant.train(dataclasses.replace(order, layout=entry.layout)).peak_bytes / GiB
