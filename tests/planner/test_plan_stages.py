"""Stages by data volume (Mastering Large Model Training, 4.3), the tables of 3.2 and 3.3, and the guides' ranges."""

from __future__ import annotations

from typing import Any

import pytest

from tunewright.planner.guide_ranges import SEVEN_PROJECTIONS, guides_on, guides_on_warmup, ranges_for
from tunewright.planner.stages import stages_for
from tunewright.planner.tasks import MEMORY_TABLE, TASKS, check_vram, memory_row, task_values
from tunewright.schema.errors import UsageError


@pytest.mark.parametrize(
    ("domain", "instructions", "stages"),
    [
        (1_000_001, 5_000, ["pt", "sft"]),
        (1_000_000, 5_000, ["pt", "sft"]),
        (10_000, 5_000, ["pt", "sft"]),
        (9_999, 5_000, ["sft"]),
        (1, 1, ["sft"]),
        (None, 5_000, ["sft"]),
        (0, 5_000, ["sft"]),
        (5_000, None, ["pt", "sft"]),
        (5_000_000, 0, ["pt", "sft"]),
    ],
)
def test_stages_by_volume(domain: int | None, instructions: int | None, stages: list[str]) -> None:
    made = stages_for(domain, instructions)
    assert [stage.stage for stage in made] == stages
    assert all(stage.name and stage.why for stage in made)


@pytest.mark.parametrize("domain", [10_000, 300_000, 1_000_000])
def test_between_the_guides_bounds_its_silence_is_said_and_a_measurement_decides(domain: int) -> None:
    first = stages_for(domain, 100)[0]
    assert "silent" in first.why
    assert "measured gain" in first.why


def test_domain_text_alone_ends_with_a_general_instruction_set() -> None:
    general = stages_for(20_000, None)[1]
    assert "Alpaca" in general.why
    assert "hub:NAME" in general.why


@pytest.mark.parametrize(("domain", "instructions"), [(None, None), (0, 0), (-1, 5)])
def test_no_rows_are_refused(domain: int | None, instructions: int | None) -> None:
    with pytest.raises(UsageError, match="at least one row"):
        stages_for(domain, instructions)


@pytest.mark.parametrize(("task", "rank", "alpha"), [("simple", 4, 8), ("regular", 8, 16), ("complex", 16, 16)])
def test_tasks_are_the_guides_table(task: str, rank: int, alpha: int) -> None:
    assert {value.key: value.value for value in task_values(task)} == {"lora_rank": rank, "lora_alpha": alpha}
    row = TASKS[task]
    assert row.rank_range[0] <= rank <= row.rank_range[1]
    assert row.alpha_range[0] <= alpha <= row.alpha_range[1]


def test_the_guides_disagreement_with_itself_is_said() -> None:
    why = task_values("regular")[0].why
    assert "1:1" in why
    assert "2:1" in why


def test_an_unknown_task_is_answered_with_the_choices() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'regular'.*simple, regular, complex"):
        task_values("reguler")


@pytest.mark.parametrize(("GB", "pair"), [(8, (1, 16)), (16, (2, 8)), (24, (4, 4)), (40, (8, 2))])
def test_memory_table_makes_an_effective_batch_of_16_in_every_row(GB: int, pair: tuple[int, int]) -> None:
    row = memory_row(GB)
    assert row.from_GB == GB
    assert row.pair() == pair
    assert row.batch[0] <= pair[0] <= row.batch[1]
    assert row.accumulation[0] <= pair[1] <= row.accumulation[1]


def test_memory_table_is_the_guides() -> None:
    printed = [(8, (1, 1), (8, 16)), (16, (1, 2), (8, 16)), (24, (2, 4), (4, 8)), (40, (4, 8), (2, 4))]
    assert [(row.from_GB, row.batch, row.accumulation) for row in MEMORY_TABLE] == printed


@pytest.mark.parametrize(("GB", "row_GB"), [(4, 8), (12, 8), (23.9, 16), (80, 40)])
def test_memory_between_two_rows_takes_the_lower(GB: float, row_GB: int) -> None:
    assert memory_row(GB).from_GB == row_GB


@pytest.mark.parametrize("vram", [0.0, -8.0, float("nan"), float("inf")])
def test_vram_must_be_a_positive_number(vram: float) -> None:
    with pytest.raises(UsageError, match="above 0"):
        check_vram(vram)


@pytest.mark.parametrize(
    ("method", "printed"),
    [("full", (1e-5, 5e-5)), ("lora", (1e-4, 3e-4)), ("qlora", (2e-4, 2e-4))],
)
def test_learning_rate_ranges_by_method(method: str, printed: tuple[float, float]) -> None:
    by_method = [said for said in ranges_for("learning_rate", method=method) if said.source.startswith("The Training")]
    assert [(said.low, said.high) for said in by_method] == [printed]


@pytest.mark.parametrize(
    ("value", "word"), [(5e-5, "below"), (1e-4, "agrees"), (3e-4, "agrees"), (4e-4, "this is above")]
)
def test_a_range_says_whether_it_agrees(value: float, word: str) -> None:
    said = guides_on("learning_rate", value, method="lora").split("The Training Process; ")[1]
    assert word in said.split(")")[0]


def test_small_sets_have_ranges_of_their_own() -> None:
    assert "500-1,000" in guides_on("num_train_epochs", 8, rows=825)
    assert "500-1,000" not in guides_on("num_train_epochs", 8, rows=5000)


@pytest.mark.parametrize("target", ["all", SEVEN_PROJECTIONS])
def test_all_linear_layers_are_the_seven_projections(target: Any) -> None:
    assert "agrees" in guides_on("lora_target", target)
    assert "differs" in guides_on("lora_target", ("q_proj", "v_proj"))


def test_warm_up_is_judged_as_count_and_as_share() -> None:
    said = guides_on_warmup(50, 10_000)
    assert "10 to 100 steps (The Training Process; agrees)" in said
    assert "0.03 to 0.1 of all steps (The Training Process; this is below it)" in said


def test_a_key_no_guide_speaks_of_says_nothing() -> None:
    assert guides_on("adam_beta1", 0.9) == ""
