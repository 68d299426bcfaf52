"""Which runs of a sweep train together: one frozen base, as many adapters on it at once as memory admits.

Packing changes the time a sweep takes, never a result, and saves no token. Pure: recipes and facts in, packs out, the
same ones every time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewright.planner.cost import launching_s
from tunewright.planner.memory import budget_GiB
from tunewright.planner.packs import Cell, alone_because, pack_peak_GiB, shared_values, slots_that_fit
from tunewright.planner.words import figure
from tunewright.schema.errors import UsageError
from tunewright.schema.facts import MachineFacts

RANK_RATIO = 8
"""Ranks further apart are packed apart: a smaller one is padded to the largest, and the padding would cost more
than the base's share of the step it saves."""
MOST_SLOTS = {"cpu": 16, "cuda": 32}
"""Slots taken without being asked for: what they share is by then a small part of a step. Two rows a step on the
bundled model took 89 ms of a core's time alone, 58 beside 3 others, 48 beside 15, 49 beside 31."""


@dataclass(frozen=True)
class Pack:
    """Cells that train together.

    cells   : places in the sweep's list of cells, the longest run first, so that the last to end is not a long one
    slots   : at most so many at once; a cell that ends gives its slot to the next
    steps   : of the whole pack, until its last cell ends
    tokens  : input tokens through forward and backward, of all its cells
    seconds : a guess like a single run's; None for a device nothing is known of
    """

    cells: tuple[int, ...]
    slots: int
    steps: int
    tokens: int
    seconds: float | None
    peak_GiB: float
    why: str


@dataclass(frozen=True)
class _Group:
    """Cells that may train together, and what tells them from the other groups."""

    places: tuple[int, ...]
    shared: Mapping[str, Any]
    alone: str = ""


def plan_packs(cells: Sequence[Cell], machine: MachineFacts, *, slots: int | None = None) -> tuple[Pack, ...]:
    """Every cell in exactly one pack, in the order of their first cells.

    slots : train so many at once; None: what memory admits, at most :data:`MOST_SLOTS` of the device

    A cell that does not even fit alone is packed alone, and that is said. Raises UsageError when ``slots`` do not
    fit, saying how many do.
    """
    if slots is not None and slots < 1:
        raise UsageError(f"--slots {slots}: expected 1 or more")
    groups = _groups(cells)
    return tuple(_pack(cells, group, groups, machine, slots) for group in groups)


def total_seconds(packs: Iterable[Pack]) -> float | None:
    """Packs train one after another; None when one of them is not known."""
    known = [pack.seconds for pack in packs]
    return None if None in known else sum(second for second in known if second is not None)


def _groups(cells: Sequence[Cell]) -> list[_Group]:
    """Cells by what they must share, then by rank; in the order of their first cells."""
    together: dict[tuple[Any, ...], list[int]] = {}
    alone: list[_Group] = []
    for place, cell in enumerate(cells):
        reason = alone_because(cell.recipe)
        if reason:
            alone.append(_Group((place,), shared_values(cell.recipe), reason))
        else:
            together.setdefault(tuple(shared_values(cell.recipe).items()), []).append(place)
    groups = [*alone, *(group for places in together.values() for group in _by_rank(cells, places))]
    return sorted(groups, key=lambda group: min(group.places))


def _by_rank(cells: Sequence[Cell], places: Sequence[int]) -> list[_Group]:
    """Cut into groups whose largest rank is at most 8 times the smallest."""
    ordered = sorted(places, key=lambda place: (-cells[place].recipe.lora_rank, place))
    cut: list[list[int]] = []
    for place in ordered:
        if cut and cells[cut[-1][0]].recipe.lora_rank <= RANK_RATIO * cells[place].recipe.lora_rank:
            cut[-1].append(place)
        else:
            cut.append([place])
    shared = shared_values(cells[places[0]].recipe)
    if len(cut) == 1:
        return [_Group(tuple(places), shared)]
    return [_Group(tuple(part), {**shared, "lora_rank": _span(cells, part)}) for part in cut]


def _span(cells: Sequence[Cell], places: Sequence[int]) -> str:
    ranks = sorted({cells[place].recipe.lora_rank for place in places})
    return str(ranks[0]) if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}"


def _pack(
    cells: Sequence[Cell], group: _Group, groups: Sequence[_Group], machine: MachineFacts, asked: int | None
) -> Pack:
    places = sorted(group.places, key=lambda place: (-cells[place].cost.steps, place))
    members = [cells[place] for place in places]
    fitting = slots_that_fit(members, machine)
    usual = MOST_SLOTS.get(machine.device, MOST_SLOTS["cpu"])
    wanted = min(len(members), usual if asked is None else asked)
    if asked is not None and wanted > max(1, fitting):
        raise _too_many(members[0], asked, max(1, fitting), machine)
    slots = max(1, min(wanted, fitting))
    peak_GiB = pack_peak_GiB(members, slots, machine)
    steps = pack_steps([cell.cost.steps for cell in members], slots)
    return Pack(
        cells=tuple(places),
        slots=slots,
        steps=steps,
        tokens=sum(cell.cost.tokens for cell in members),
        seconds=_seconds(members, steps, machine),
        peak_GiB=peak_GiB,
        why=f"{_why_together(group, groups)}; {_why_slots(slots, fitting, len(members), peak_GiB, machine)}",
    )


def pack_steps(steps: Sequence[int], slots: int) -> int:
    """Steps until the last run ends when ``slots`` go on at once and the next takes the first slot that is free.

    >>> pack_steps([40, 20, 20], slots=2)
    40
    """
    ends = [0] * slots
    for length in steps:
        heapq.heapreplace(ends, ends[0] + length)
    return max(ends)


def _seconds(cells: Sequence[Cell], steps: int, machine: MachineFacts) -> float | None:
    """The cells' arithmetic one by one, and what launching a step takes once for all of them."""
    total = launching_s(cells[0].recipe, steps, cells[0].model, machine)
    for cell in cells:
        if cell.cost.seconds is None:
            return None
        total += cell.cost.seconds - launching_s(cell.recipe, cell.cost.steps, cell.model, machine)
    return total


def _too_many(cell: Cell, asked: int, fitting: int, machine: MachineFacts) -> UsageError:
    need_GiB = pack_peak_GiB([cell], asked, machine)
    return UsageError(
        f"--slots {asked}: they would take about {need_GiB:.1f} GiB, {budget_GiB(machine):.1f} may be used; "
        f"{fitting} {'fits' if fitting == 1 else 'fit'} (batch {cell.recipe.per_device_train_batch_size})",
        hint=f"--slots {fitting}, or leave it out",
    )


def _why_together(group: _Group, groups: Sequence[_Group]) -> str:
    if group.alone:
        return f"alone: {group.alone}"
    others = [other.shared for other in groups if other is not group and not other.alone]
    differing = [key for key, value in group.shared.items() if any(other.get(key, value) != value for other in others)]
    if not differing:
        return "one base, the same rows and batch shape"
    named = ", ".join(f"{key} is {_said(group.shared[key])}" for key in differing)
    return f"apart from the other packs: {named}"


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else figure(value)


def _why_slots(slots: int, fitting: int, cells: int, peak_GiB: float, machine: MachineFacts) -> str:
    room = f"about {peak_GiB:.2f} of {budget_GiB(machine):.2f} GiB"
    if not fitting:
        return f"one at a time, and even that may not fit: {room}"
    if slots == cells:
        return room if cells == 1 else f"all {cells} at once, {room}"
    return f"{slots} of {cells} at once ({'memory admits no more' if slots == fitting else 'more fit'}), {room}"
