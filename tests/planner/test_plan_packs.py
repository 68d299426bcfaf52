"""Packing a sweep's cells: everything is run once, nothing goes over the memory, and every pack says why it is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.planner.memory import budget_GiB
from tunewright.planner.pack_plan import MOST_SLOTS, RANK_RATIO, Pack, pack_steps, plan_packs, total_seconds
from tunewright.planner.packs import Cell, pack_peak_GiB, slots_that_fit
from tunewright.schema.errors import UsageError
from tunewright.schema.facts import DataFacts, MachineFacts, ModelFacts
from tunewright.schema.plan import Cost
from tunewright.schema.recipe import Recipe

MODEL = ModelFacts("m", "llama", 1024, 24, 32_000, 400_000_000, 4096, ((1024, 1024), (1024, 4096)) * 48, 2.0)
DATA = DataFacts(600, 100, 60_000, 20_000, 256, 512, 600)
GPU = MachineFacts("cuda", 24.0, True, 8)


def cell(steps: int = 100, **settings: Any) -> Cell:
    recipe = Recipe(model="m", data="d.jsonl", val="v.jsonl", **settings)
    return Cell(recipe, Cost(steps, 10, steps * 800, 4.0, 3.0, steps * 0.1), DATA, MODEL)


def packed(cells: Sequence[Cell], **more: Any) -> list[list[int]]:
    return [sorted(pack.cells) for pack in plan_packs(cells, more.pop("machine", GPU), **more)]


def test_what_only_a_slot_needs_to_know_is_packed_together() -> None:
    values: dict[str, tuple[Any, Any]] = {
        "learning_rate": (1e-4, 1e-3),
        "lora_rank": (8, 32),
        "lora_alpha": (16.0, 32.0),
        "lora_dropout": (0.0, 0.1),
        "lora_target": ("all", ("q_proj", "v_proj")),
        "num_train_epochs": (1.0, 3.0),
        "lr_scheduler_type": ("cosine", "linear"),
        "weight_decay": (0.0, 0.1),
        "seed": (0, 1),
        "warmup_steps": (0, 10),
    }
    for key, (one, other) in values.items():
        assert packed([cell(**{key: one}), cell(**{key: other})]) == [[0, 1]], key


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("method", "lora", "qlora"),
        ("per_device_train_batch_size", 4, 8),
        ("gradient_accumulation_steps", 1, 2),
        ("max_length", 128, 256),
        ("loss_on", "assistant", "all"),
        ("gradient_checkpointing", False, True),
        ("data", "d.jsonl", "e.jsonl"),
        ("optim", "adamw", "sgd"),
    ],
)
def test_what_the_base_the_rows_or_the_batch_hang_on_is_packed_apart_and_named(key: str, one: Any, other: Any) -> None:
    def at(value: Any) -> Cell:
        alone = cell()
        return replace(alone, recipe=Recipe(**{**alone.recipe.model_dump(), key: value}))

    packs = plan_packs([at(one), at(other), at(one)], GPU)
    assert [pack.cells for pack in packs] == [(0, 2), (1,)]
    assert all(key in pack.why for pack in packs)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "full"},
        {"modules_to_save": ("embed_tokens",)},
        {"init_adapter": "runs/a/best"},
        {"lora_target": ("q_proj", "lm_head")},
    ],
)
def test_what_changes_the_base_trains_alone_and_says_so(settings: dict[str, Any]) -> None:
    packs = plan_packs([cell(**settings), cell(), cell(**settings), cell(learning_rate=1e-3)], GPU)
    assert [pack.cells for pack in packs] == [(0,), (1, 3), (2,)]
    assert packs[0].why.startswith("alone: ")
    assert packs[1].why.startswith("one base, ")


def test_a_seed_that_decides_the_split_is_not_shared() -> None:
    def held_out(seed: int) -> Cell:
        alone = cell(seed=seed)
        return replace(alone, recipe=Recipe(**{**alone.recipe.model_dump(), "val": None}))

    assert packed([held_out(0), held_out(1)]) == [[0], [1]]


def test_ranks_far_apart_are_not_padded_to_each_other() -> None:
    ranks = (4, 128, 32, 16, 8, 64)
    packs = plan_packs([cell(lora_rank=rank) for rank in ranks], GPU)
    for pack in packs:
        inside = [ranks[place] for place in pack.cells]
        assert max(inside) <= RANK_RATIO * min(inside)
    assert len(packs) == 2
    assert "lora_rank is 16 to 128" in packs[1].why or "lora_rank is 16 to 128" in packs[0].why


def test_the_longest_runs_go_first() -> None:
    steps = (10, 40, 20, 40)
    (pack,) = plan_packs([cell(steps=count) for count in steps], GPU, slots=2)
    assert pack.cells == (1, 3, 2, 0)
    assert pack.steps == 60
    assert pack_steps([10, 10, 40], slots=2) > pack_steps([40, 10, 10], slots=2)


def test_memory_decides_how_many_at_once_and_too_many_are_refused_with_the_number_that_fits() -> None:
    cells = [cell(learning_rate=1e-5 * (1 + n), per_device_train_batch_size=16) for n in range(40)]
    small = MachineFacts("cuda", 8.0, True, 8)
    fitting = slots_that_fit(cells, small)
    assert 1 <= fitting < 40
    (pack,) = plan_packs(cells, small)
    assert pack.slots == min(fitting, MOST_SLOTS["cuda"])
    assert plan_packs(cells, small, slots=fitting)[0].slots == fitting
    with pytest.raises(UsageError, match=f"{fitting} fits?|{fitting} fit "):
        plan_packs(cells, small, slots=fitting + 1)


def test_without_memory_to_spare_cells_go_one_by_one() -> None:
    tiny = MachineFacts("cuda", 1.0, True, 8)
    (pack,) = plan_packs([cell(), cell(learning_rate=1e-3)], tiny)
    assert pack.slots == 1
    assert "may not fit" in pack.why
    with pytest.raises(UsageError, match="1 fits"):
        plan_packs([cell(), cell(learning_rate=1e-3)], tiny, slots=2)


def test_no_more_slots_than_are_asked_for_and_at_least_one() -> None:
    cells = [cell(learning_rate=1e-5 * (1 + n)) for n in range(5)]
    assert [pack.slots for pack in plan_packs(cells, GPU, slots=3)] == [3]
    assert [pack.slots for pack in plan_packs(cells, GPU, slots=9)] == [5]
    with pytest.raises(UsageError, match="--slots 0"):
        plan_packs(cells, GPU, slots=0)


def test_packing_saves_seconds_and_no_tokens() -> None:
    cells = [cell(learning_rate=1e-5 * (1 + n)) for n in range(8)]
    one_by_one, side_by_side = plan_packs(cells, GPU, slots=1), plan_packs(cells, GPU, slots=8)
    assert sum(pack.tokens for pack in one_by_one) == sum(pack.tokens for pack in side_by_side) == 8 * 80_000
    alone_s, together_s = total_seconds(one_by_one), total_seconds(side_by_side)
    assert alone_s == pytest.approx(8 * 10.0)
    assert together_s is not None
    assert together_s < alone_s


def test_seconds_nobody_knows_stay_unknown() -> None:
    unknown = replace(cell(), cost=replace(cell().cost, seconds=None))
    packs = plan_packs([cell(), unknown], GPU)
    assert total_seconds(packs) is None


CELLS = st.lists(
    st.builds(
        cell,
        steps=st.integers(1, 500),
        learning_rate=st.sampled_from([1e-4, 1e-3]),
        lora_rank=st.sampled_from([1, 4, 16, 64, 256]),
        method=st.sampled_from(["lora", "qlora", "full"]),
        per_device_train_batch_size=st.sampled_from([1, 4, 32]),
        gradient_checkpointing=st.booleans(),
        seed=st.integers(0, 2),
    ),
    min_size=1,
    max_size=24,
)
MACHINES = st.builds(MachineFacts, st.sampled_from(["cuda", "cpu"]), st.floats(0.5, 200), st.just(True), st.just(4))


def over(cells: Sequence[Cell], pack: Pack, machine: MachineFacts) -> bool:
    return pack_peak_GiB([cells[place] for place in pack.cells], pack.slots, machine) > budget_GiB(machine)


@given(CELLS, MACHINES)
def test_every_cell_is_in_one_pack_none_is_over_the_budget_and_the_plan_is_always_the_same(
    cells: list[Cell], machine: MachineFacts
) -> None:
    packs = plan_packs(cells, machine)
    assert sorted(place for pack in packs for place in pack.cells) == list(range(len(cells)))
    assert [min(pack.cells) for pack in packs] == sorted(min(pack.cells) for pack in packs)
    for pack in packs:
        assert 1 <= pack.slots <= len(pack.cells)
        assert pack.slots == 1 or not over(cells, pack, machine)
        assert pack.peak_GiB == pack_peak_GiB([cells[place] for place in pack.cells], pack.slots, machine)
        assert max(cells[place].cost.steps for place in pack.cells) <= pack.steps
        assert pack.why
    assert plan_packs(cells, machine) == packs


@given(CELLS, MACHINES, st.integers(1, 30))
def test_more_slots_never_take_less_memory_or_more_steps(cells: list[Cell], machine: MachineFacts, slots: int) -> None:
    assert pack_peak_GiB(cells, slots + 1, machine) >= pack_peak_GiB(cells, slots, machine)
    steps = sorted((one.cost.steps for one in cells), reverse=True)
    assert pack_steps(steps, slots + 1) <= pack_steps(steps, slots)
