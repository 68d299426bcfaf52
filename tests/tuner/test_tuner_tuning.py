"""The series of runs, driven by a runner whose curves are computed from the recipe."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tunewright.doctor.diagnose import diagnose
from tunewright.schema.curve import Curve, Series
from tunewright.schema.facts import RunSummary
from tunewright.schema.prescription import Change
from tunewright.schema.recipe import Recipe
from tunewright.tuner.budget import Budget, Spent
from tunewright.tuner.cut import Costs
from tunewright.tuner.step import Outcome, Step, Tuning
from tunewright.tuner.tuning import decayed_by_then, tune

ROWS, BATCH = 800, 16
PER_EPOCH = ROWS // BATCH
FIRST = Recipe(model="m", data="d.jsonl", per_device_train_batch_size=BATCH, num_train_epochs=8.0)


def made_curve(recipe: Recipe, *, forgets: bool, rises_after: float) -> Curve:
    """Losses that fall towards a floor; eval rises after ``rises_after`` epochs; the probe rises without replay."""
    total = round(recipe.num_train_epochs * PER_EPOCH)
    noise = np.random.default_rng(0)
    steps = np.arange(1, total + 1)
    loss = 0.3 + 3.0 * np.exp(-steps / 40) + 0.01 * noise.standard_normal(total)
    evals = np.unique(np.linspace(0, total, 11).astype(int))
    epoch = evals / PER_EPOCH
    eval_loss = 0.35 + 3.0 * np.exp(-evals / 40) + 0.08 * np.clip(epoch - rises_after, 0, None)
    general = 0.1 + (0.25 * epoch if forgets and recipe.replay is None else 0 * epoch)
    return Curve(
        "tunewright",
        "",
        Series(steps, loss),
        eval_loss=Series(evals, eval_loss),
        general_loss=Series(evals, general),
        learning_rate=Series(steps, np.linspace(1, 0.001, total) * recipe.learning_rate),
        total_steps=total,
        steps_per_epoch=float(PER_EPOCH),
        eval_rows=100,
        config=recipe.model_dump(),
    )


def runner(*, forgets: bool = False, rises_after: float = math.inf) -> Callable[..., Outcome]:
    def run(name: str, recipe: Recipe, changes: tuple[Change, ...], why: str) -> Outcome:
        curve = made_curve(recipe, forgets=forgets, rises_after=rises_after)
        best = int(np.argmin(curve.eval_loss.values))
        summary = RunSummary(
            name=name,
            config=recipe.model_dump(),
            eval_loss=float(curve.eval_loss.values[best]),
            base_eval_loss=curve.base_eval_loss,
            best_epoch=float(curve.eval_loss.steps[best]) / PER_EPOCH,
            forgetting=float(curve.general_loss.values[best] - curve.general_loss.values[0]),
            health="healthy",
        )
        spent = Spent(train_tokens=1000 * round(recipe.num_train_epochs), runs=1)
        return Outcome(name, recipe, summary, diagnose(curve), curve, spent, "all steps done")

    return run


def go(run: Callable[..., Outcome], **given: object) -> tuple[Tuning, list[str]]:
    said: list[str] = []
    options = {"budget": Budget(), "rows": ROWS, "cost_of": lambda recipe: Costs(1000.0, 1.0), **given}
    return tune(FIRST, run=run, tell=said.append, **options), said  # type: ignore[arg-type]


def test_a_healthy_run_is_kept_and_nothing_else_is_run() -> None:
    tuning, said = go(runner())
    assert [step.outcome.name for step in tuning.steps] == ["run-1"]
    assert "no change left" in tuning.stopped_because
    assert said[0].startswith("run-1: curve healthy")


def test_forgetting_is_answered_with_replay_and_the_run_that_keeps_skills_is_kept() -> None:
    tuning, said = go(runner(forgets=True))
    assert tuning.steps[1].outcome.recipe.replay is not None
    assert [change.key for change in tuning.steps[1].changes] == ["replay"]
    assert tuning.best.outcome.name == "run-2"
    assert any("replay" in line for line in said)


def test_overfitting_is_answered_with_fewer_epochs() -> None:
    tuning, _ = go(runner(rises_after=3.0))
    assert tuning.steps[0].outcome.diagnosis.has("overfit")
    epochs = [step.outcome.recipe.num_train_epochs for step in tuning.steps]
    assert len(epochs) > 1
    assert epochs[1] < epochs[0]


def test_the_budget_ends_a_tuning_with_the_reason_in_words() -> None:
    tuning, _ = go(runner(forgets=True), budget=Budget(tokens=8500))
    assert len(tuning.steps) == 1
    assert tuning.stopped_because.startswith("the budget is used up")
    assert tuning.best is tuning.steps[0]


def test_a_run_that_nearly_fits_is_cut_to_what_is_left() -> None:
    def cost_of(recipe: Recipe) -> Costs:
        return Costs(1000.0 * recipe.num_train_epochs, 1.0)

    tuning, _ = go(runner(forgets=True), budget=Budget(tokens=8000 + 6000), cost_of=cost_of)
    cut = tuning.steps[1].outcome.recipe.num_train_epochs
    assert 0.5 * FIRST.num_train_epochs < cut < FIRST.num_train_epochs
    assert [change.key for change in tuning.steps[1].changes] == ["replay", "num_train_epochs"]
    assert any("cut to what is left" in change.why for change in tuning.steps[1].changes)


def test_the_first_run_too_is_cut_to_the_budget() -> None:
    def cost_of(recipe: Recipe) -> Costs:
        return Costs(1000.0 * recipe.num_train_epochs, 1.0)

    tuning, _ = go(runner(), budget=Budget(tokens=3000), cost_of=cost_of)
    assert tuning.steps[0].outcome.recipe.num_train_epochs == pytest.approx(2.9)
    assert "cut to what is left" in tuning.steps[0].changes[0].why


def test_a_first_run_cut_too_short_to_be_judged_ends_by_the_budget() -> None:
    made, run = [], runner()

    def short(name: str, recipe: Recipe, changes: tuple[Change, ...], why: str) -> Outcome:
        outcome = run(name, recipe, changes, why)
        parts = {"loss": 3, "eval_loss": 2, "learning_rate": 3}
        whole = {key: getattr(outcome.curve, key) for key in parts}
        few = {key: Series(whole[key].steps[:n], whole[key].values[:n]) for key, n in parts.items()}
        curve = replace(outcome.curve, **few, total_steps=3)
        made.append(name)
        return replace(outcome, curve=curve, diagnosis=diagnose(curve))

    answer, _ = go(short, budget=Budget(tokens=100), cost_of=lambda recipe: Costs(1000 * recipe.num_train_epochs, 1.0))
    assert made == ["run-1"]
    assert answer.stopped_because.startswith("the budget is used up: run-1 was cut to what it held; ")
    assert "cannot be judged" in answer.stopped_because


def test_without_room_for_a_last_run_the_best_short_one_is_kept() -> None:
    short = Step(runner()("run-1", FIRST.changed(num_train_epochs=1.0), (), ""), (), "a probe", None, "probe")
    costs: dict[str, object] = {"cost_of": lambda recipe: Costs(1000.0 * recipe.num_train_epochs, 1.0)}
    tuning, _ = go(runner(), before=(short,), spent=Spent(train_tokens=7500), budget=Budget(tokens=8000), **costs)
    assert tuning.steps == (short,)
    assert "too little is left for a last run" in tuning.stopped_because


def test_runs_are_not_made_longer_than_was_seen_to_help() -> None:
    def still_falling(name: str, recipe: Recipe, changes: tuple[Change, ...], why: str) -> Outcome:
        return runner()(name, recipe.changed(num_train_epochs=1.0), changes, why)

    free, _ = go(still_falling, budget=Budget(runs=2))
    assert free.steps[1].changes[0].key == "num_train_epochs"
    bound, _ = go(still_falling, longest=1.0)
    assert len(bound.steps) == 1
    assert "the loss turned before" in bound.stopped_because


def test_a_run_that_turned_at_a_high_rate_is_made_again_with_its_area_under_the_rate() -> None:
    outcome = runner(rises_after=3.0)("run-1", FIRST.changed(lr_scheduler_type="linear"), (), "")
    change = decayed_by_then(Step(outcome, (), "", None))
    assert change is not None
    best = int(np.argmin(outcome.curve.eval_loss.values))
    s, total = int(outcome.curve.eval_loss.steps[best]), 8 * PER_EPOCH
    assert change.after == pytest.approx((2 * s - s**2 / total) / PER_EPOCH, abs=0.05)
    constant = runner(rises_after=3.0)("run-1", FIRST.changed(lr_scheduler_type="constant"), (), "")
    assert decayed_by_then(Step(constant, (), "", None)) is None
    falling = runner()("run-1", FIRST.changed(lr_scheduler_type="linear"), (), "")
    assert decayed_by_then(Step(falling, (), "", None)) is None


def test_every_run_is_reported_as_it_ends() -> None:
    seen: list[int] = []

    def on_step(steps: tuple[Step, ...], best: Step) -> None:
        assert best in steps
        seen.append(len(steps))

    tuning, _ = go(runner(forgets=True), on_step=on_step)
    assert seen == list(range(1, len(tuning.steps) + 1))


def test_the_same_outcomes_give_the_same_tuning() -> None:
    first, second = (go(runner(forgets=True))[0] for _ in range(2))
    assert [step.outcome.recipe for step in first.steps] == [step.outcome.recipe for step in second.steps]
