"""Which runs of a sweep train together: one frozen base, as many adapters on it at once as memory admits.

Runs share a pack when the base, the rows and the batch shape are the same; everything else (rate, schedule, rank,
alpha, layers, dropout, epochs, seed of the adapter) is a slot's own. Packing changes the time a sweep takes, never a
result, and saves no token. Pure: recipes and facts in, packs out, the same ones every time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewright.planner.adapter import number_format
from tunewright.planner.cost import launching_s
from tunewright.planner.memory import (
    Load,
    budget_GiB,
    estimated,
    load_length,
    slot_state_GiB,
    supervised_share,
)
from tunewright.planner.words import figure
from tunewright.schema.errors import UsageError
from tunewright.schema.facts import DataFacts, MachineFacts, ModelFacts
from tunewright.schema.plan import Cost
from tunewright.schema.recipe import Recipe

BASE_KEYS = ("model", "method", "precision", "gradient_checkpointing", "optim")
ROW_KEYS = ("data", "val", "val_size", "template", "stage", "loss_on", "max_length", "packing")
SHAPE_KEYS = ("per_device_train_batch_size", "gradient_accumulation_steps", "per_device_eval_batch_size")
RANK_RATIO = 8
"""Ranks further apart are packed apart: a smaller one is padded to the largest, and the padding would cost more
than the base's share of the step it saves."""
MOST_SLOTS = {"cpu": 16, "cuda": 32}
"""Slots taken without being asked for: what they share is by then a small part of a step. Two rows a step on the
bundled model took 89 ms of a core's time alone, 58 beside 3 others, 48 beside 15, 49 beside 31."""
OUTPUT_LAYERS = ("lm_head", "embed_out", "output_layer")
"""The usual names of the layer that makes the logits."""


@dataclass(frozen=True)
class Cell:
    """One run of a sweep as packing sees it: its resolved recipe, its predicted cost, and the facts behind it."""

    recipe: Recipe
    cost: Cost
    data: DataFacts
    model: ModelFacts


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


def pack_peak_GiB(cells: Sequence[Cell], slots: int, machine: MachineFacts) -> float:
    """The most memory ``slots`` of these cells take together, training or evaluating, GiB.

    peak = fixed + (slots - 1) x adapter state + slots x rows x memory per row, at the largest rank of the pack
    (smaller ones are padded to it) and with the longest row in every place. An estimate, as for a single run.
    """
    recipe, data, model = cells[0].recipe, cells[0].data, cells[0].model
    load = Load(
        method=recipe.method,
        precision=number_format(recipe.precision, machine),
        optim=recipe.optim,
        rank=max(cell.recipe.lora_rank for cell in cells),
        length=load_length(data, recipe.max_length),
        supervised_share=supervised_share(data),
        gradient_checkpointing=recipe.gradient_checkpointing,
    )
    memory = estimated(model, machine, load)
    more_GiB = (slots - 1) * slot_state_GiB(model, load)
    train = memory.train.at(slots * min(recipe.per_device_train_batch_size, data.rows))
    evaluating = memory.eval.at(slots * min(recipe.per_device_eval_batch_size, data.val_rows))
    return more_GiB + max(train, evaluating)


def slots_that_fit(cells: Sequence[Cell], machine: MachineFacts) -> int:
    """How many of these cells memory admits at once, at most all of them; 0 when not even one fits."""
    room_GiB = budget_GiB(machine)
    fitting, beyond = 0, len(cells) + 1  # memory only grows with the slots: bisect
    while beyond - fitting > 1:
        middle = (fitting + beyond) // 2
        if pack_peak_GiB(cells, middle, machine) <= room_GiB:
            fitting = middle
        else:
            beyond = middle
    return fitting


def _groups(cells: Sequence[Cell]) -> list[_Group]:
    """Cells by what they must share, then by rank; in the order of their first cells."""
    together: dict[tuple[Any, ...], list[int]] = {}
    alone: list[_Group] = []
    for place, cell in enumerate(cells):
        reason = alone_because(cell.recipe)
        if reason:
            alone.append(_Group((place,), _shared(cell.recipe), reason))
        else:
            together.setdefault(tuple(_shared(cell.recipe).items()), []).append(place)
    groups = [*alone, *(group for places in together.values() for group in _by_rank(cells, places))]
    return sorted(groups, key=lambda group: min(group.places))


def _shared(recipe: Recipe) -> dict[str, Any]:
    """The values a cell has in common with its pack. The seed only where it decides which rows are held out."""
    keys = [*BASE_KEYS, *ROW_KEYS, *SHAPE_KEYS]
    if recipe.val is None and recipe.val_size:
        keys.append("seed")
    return {key: getattr(recipe, key) for key in keys}


def alone_because(recipe: Recipe) -> str:
    """Why a cell cannot share a base with others; empty when it can."""
    if recipe.method == "full":
        return "full fine-tuning changes the base itself"
    if recipe.modules_to_save:
        return "modules_to_save trains whole layers of the base"
    if recipe.init_adapter is not None:
        return "init_adapter brings layers and a rank of its own"
    targets = (recipe.lora_target,) if isinstance(recipe.lora_target, str) else recipe.lora_target
    if any(name.rpartition(".")[2] in OUTPUT_LAYERS for name in targets):
        return "an adapter on the output layer works on every token of the vocabulary"
    return ""


def _by_rank(cells: Sequence[Cell], places: Sequence[int]) -> list[_Group]:
    """Cut into groups whose largest rank is at most 8 times the smallest."""
    ordered = sorted(places, key=lambda place: (-cells[place].recipe.lora_rank, place))
    cut: list[list[int]] = []
    for place in ordered:
        if cut and cells[cut[-1][0]].recipe.lora_rank <= RANK_RATIO * cells[place].recipe.lora_rank:
            cut[-1].append(place)
        else:
            cut.append([place])
    shared = _shared(cells[places[0]].recipe)
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
