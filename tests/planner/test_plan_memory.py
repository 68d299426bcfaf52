"""Memory: the guide's line, what makes it grow, and the fit through two measurements."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.planner.memory import GIB, Load, Memory, MemoryLine, budget_GiB, estimated, fitted
from tunewright.schema.errors import UsageError
from tunewright.schema.facts import MachineFacts, ModelFacts

LAYER = ((4096, 4096), (4096, 1024), (4096, 1024), (4096, 4096), (4096, 14336), (4096, 14336), (14336, 4096))
LLAMA = ModelFacts("llama-8b", "llama", 4096, 32, 128_256, 8_030_000_000, 8192, LAYER * 32, 2.0)
GPU = MachineFacts("cuda", 80.0, True, 16)
LOAD = Load("lora", "bf16", "adamw", 16, 1024, 0.5, gradient_checkpointing=False)


def peak(load: Load = LOAD, rows: int = 1) -> float:
    return estimated(LLAMA, GPU, load).train.at(rows)


def test_fixed_part_of_full_is_sixteen_bytes_a_weight() -> None:
    fixed = estimated(LLAMA, GPU, replace(LOAD, method="full")).train.fixed_GiB
    assert fixed == pytest.approx(8_030_000_000 * 16 / GIB + 0.8)


def test_fixed_part_of_lora_is_the_base_and_sixteen_bytes_an_adapter_weight() -> None:
    fixed = estimated(LLAMA, GPU, LOAD).train.fixed_GiB
    assert fixed == pytest.approx((8_030_000_000 * 2 + LLAMA.lora_parameters(16) * 16) / GIB + 0.8)


def test_a_mean_of_the_weights_is_four_bytes_a_trained_one() -> None:
    fixed = [estimated(LLAMA, GPU, replace(LOAD, averages=averages)).train.fixed_GiB for averages in (False, True)]
    assert fixed[1] - fixed[0] == pytest.approx(LLAMA.lora_parameters(16) * 4 / GIB)


def test_a_four_bit_base_takes_about_a_third_of_the_sixteen_bit_one() -> None:
    # the linear weights shrink to 9/32, the embeddings stay
    lora, qlora = (estimated(LLAMA, GPU, replace(LOAD, method=name)).train.fixed_GiB for name in ("lora", "qlora"))
    assert 0.3 < qlora / lora < 0.45


@pytest.mark.parametrize(
    "heavier",
    [
        {"method": "full"},
        {"precision": "fp32"},
        {"rank": 64},
        {"length": 2048},
        {"supervised_share": 1.0},
        {"averages": True},
    ],
)
def test_each_of_these_needs_more(heavier: dict[str, object]) -> None:
    assert peak(replace(LOAD, **heavier)) > peak()  # type: ignore[arg-type]


@pytest.mark.parametrize("lighter", [{"gradient_checkpointing": True}, {"method": "qlora"}, {"optim": "sgd"}])
def test_each_of_these_needs_less(lighter: dict[str, object]) -> None:
    assert peak(replace(LOAD, **lighter)) < peak()  # type: ignore[arg-type]


def test_evaluation_keeps_no_activations() -> None:
    memory = estimated(LLAMA, GPU, LOAD)
    assert memory.eval.per_row_GiB < memory.train.per_row_GiB / 5
    assert memory.eval.fixed_GiB == memory.train.fixed_GiB
    assert isinstance(memory, Memory)
    assert not memory.measured


def test_two_measurements_make_the_line() -> None:
    line = fitted((8, 6.0), (2, 3.0))
    assert (line.fixed_GiB, line.per_row_GiB) == (2.0, 0.5)
    assert line.at(16) == 10.0


def test_noise_that_falls_becomes_a_flat_line_at_the_higher_point() -> None:
    assert fitted((1, 3.1), (2, 3.0)) == MemoryLine(3.1, 0.0)


def test_one_batch_size_twice_is_no_line() -> None:
    with pytest.raises(UsageError, match="two different batch sizes"):
        fitted((2, 3.0), (2, 3.1))


@given(st.floats(0, 100), st.floats(0, 10), st.floats(0, 500))
@settings(max_examples=200, deadline=None)
def test_rows_within_is_the_most_that_fits(fixed: float, per_row: float, budget: float) -> None:
    line = MemoryLine(fixed, per_row)
    rows = line.rows_within(budget)
    assert rows == 0 or line.at(rows) <= budget * (1 + 1e-9) + 1e-9
    if rows < 2**20 and per_row > 1e-9:
        assert line.at(rows + 2) > budget


def test_unknown_memory_is_no_budget() -> None:
    assert budget_GiB(MachineFacts("cuda", float("nan"), True, 1)) == 0.0
    assert budget_GiB(MachineFacts("cuda", 10.0, True, 1)) == pytest.approx(9.0)
