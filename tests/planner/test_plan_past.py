"""What the plan learns from past runs, and when it does not."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tunewright.planner.learning_rate import first_run
from tunewright.planner.planner import make_plan
from tunewright.schema.facts import DataFacts, MachineFacts, ModelFacts, PastRun, RunSummary
from tunewright.schema.plan import Plan

MODEL = ModelFacts("narrow", "llama", 128, 4, 1000, 800_000, 1024, ((128, 128),), 2.0)
CPU = MachineFacts("cpu", 16.0, True, 4)
DATA = DataFacts(600, 60, 30_000, 9_000, 100, 1024, 500, sha256="aaaa")


def plan(past: tuple[PastRun, ...] = (), *, preset: str | None = None, **given: Any) -> Plan:
    return make_plan(DATA, MODEL, CPU, given={"data": "rows.jsonl", **given}, past=past, preset=preset)


BASE = plan().recipe.model_dump(mode="json")


def run(name: str, loss: float | None, *, health: str = "healthy", **more: Any) -> PastRun:
    """A run on the same data that differs from the plan in ``more``; rows, tokens and sha256 may be given too."""
    about = {key: more.pop(key) for key in ("data_sha256", "rows", "tokens_per_row") if key in more}
    summary = RunSummary(name, {**BASE, **more}, loss, 3.0, None, None, health)
    return PastRun(summary, **{"data_sha256": "aaaa", "rows": 600, "tokens_per_row": 50.0, **about})


def rates(*pairs: tuple[float, float], **more: Any) -> tuple[PastRun, ...]:
    return tuple(run(f"sweep-1/cell-{n}", loss, learning_rate=rate, **more) for n, (rate, loss) in enumerate(pairs, 1))


TOLD = rates((1e-3, 0.7), (2e-3, 0.6), (5e-3, 0.8))


def test_the_best_of_several_learning_rates_is_taken_with_the_runs_named() -> None:
    made = plan(TOLD)
    assert made.recipe.learning_rate == 2e-3
    value = next(value for value in made.values if value.key == "learning_rate")
    assert "sweep-1/cell-1: 1e-3 gave evaluation loss 0.7" in value.why
    assert "sweep-1/cell-2: 2e-3 gave evaluation loss 0.6" in value.why
    assert "this data" in value.why
    assert "past runs" in value.source


@pytest.mark.parametrize(
    "past",
    [
        (),
        rates((1e-3, 0.7), (2e-3, 0.6)),  # at the edge
        rates((1e-3, 0.5), (2e-3, 0.6), (5e-3, 0.8)),  # at the lower edge
        rates((1e-3, 0.7), (2e-3, 0.602), (5e-3, 0.6), (1e-2, 0.6), lora_alpha=16.0),  # another alpha
        rates(*((rate, math.nan) for rate in (1e-3, 2e-3, 5e-3))),
        rates(*((rate, None) for rate in (1e-3, 2e-3, 5e-3))),
        (*TOLD[:2], run("x", 0.8, learning_rate=5e-3, num_train_epochs=3.0)),  # not the same trial
        rates((1e-3, 0.7), (2e-3, 0.6), (5e-3, 0.8), data_sha256="bbbb", rows=2000),  # more than three times the rows
        rates((1e-3, 0.7), (2e-3, 0.6), (5e-3, 0.8), data_sha256="bbbb", tokens_per_row=500.0),
        rates((1e-3, 0.7), (2e-3, 0.6), (5e-3, 0.8), data_sha256="bbbb", tokens_per_row=None),
        rates((1e-3, 0.7), (2e-3, 0.6), (5e-3, 0.8), stage="pt"),
        rates((1e-3, 0.7), (2e-3, 0.6), (5e-3, 0.8), gradient_accumulation_steps=64),
    ],
)
def test_without_a_telling_trial_the_rule_decides(past: tuple[PastRun, ...]) -> None:
    assert plan(past).recipe.learning_rate == first_run("lora", 128)


def test_a_sick_run_counts_as_tried_and_as_no_good() -> None:
    past = (*rates((1e-3, 0.7), (2e-3, 0.6)), run("hot", 0.3, health="sick", learning_rate=1e-2))
    assert plan(past).recipe.learning_rate == 2e-3


def test_of_values_as_good_the_lower_is_taken() -> None:
    past = rates((1e-3, 0.7), (2e-3, 0.603), (4e-3, 0.6), (8e-3, 0.9))
    assert plan(past).recipe.learning_rate == 2e-3


def test_similar_data_counts_where_the_same_was_not_tried_and_says_so() -> None:
    elsewhere = rates((1e-3, 0.9), (3e-3, 0.8), (5e-3, 0.9), data_sha256="bbbb", rows=900)
    value = next(value for value in plan(elsewhere).values if value.key == "learning_rate")
    assert value.value == 3e-3
    assert "similar data (900 rows there)" in value.why
    farther = rates((2e-3, 0.9), (4e-3, 0.1), (6e-3, 0.9), data_sha256="cccc", rows=1500)
    assert plan((*farther, *elsewhere)).recipe.learning_rate == 3e-3
    assert plan((*elsewhere, *TOLD)).recipe.learning_rate == 2e-3


def test_what_the_user_or_a_preset_set_is_never_overruled() -> None:
    assert plan(TOLD, learning_rate=1e-4).recipe.learning_rate == 1e-4
    with_preset = plan(TOLD, preset="guide-small")
    assert with_preset.recipe.learning_rate == plan(preset="guide-small").recipe.learning_rate


def test_epochs_are_learned_though_the_planned_warm_up_went_with_them() -> None:
    past = tuple(
        run(f"train-{n}", loss, num_train_epochs=epochs, warmup_steps=10 * n)
        for n, (epochs, loss) in enumerate(((4.0, 0.8), (10.0, 0.6), (16.0, 0.6)), 1)
    )
    made = plan(past)
    assert made.recipe.num_train_epochs == 10.0
    assert "train-2: 10 gave" in next(value.why for value in made.values if value.key == "num_train_epochs")


def test_the_plan_does_not_depend_on_the_order_of_the_runs() -> None:
    assert plan(TOLD).recipe == plan(TOLD[::-1]).recipe
