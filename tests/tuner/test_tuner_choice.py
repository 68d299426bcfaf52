"""Which run is kept, from hand-made steps."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tunewright.schema.curve import Curve, Series
from tunewright.schema.facts import RunSummary
from tunewright.schema.finding import Diagnosis, GuideReading, Source
from tunewright.schema.recipe import Recipe
from tunewright.tuner.budget import Spent
from tunewright.tuner.choice import choose
from tunewright.tuner.step import Outcome, Step

RECIPE = Recipe(model="m", data="d.jsonl")


def step(name, loss, *, phase="run", forgetting=0.0, health="healthy", noise=0.0):
    at = np.arange(10, 101, 10)
    evals = loss + noise * (-1.0) ** np.arange(len(at))
    curve = Curve("tunewright", "", Series(at, evals), eval_loss=Series(at, evals), total_steps=100, steps_per_epoch=10)
    summary = RunSummary(name, RECIPE.model_dump(), loss, 3.0, None, forgetting, health)
    reading = GuideReading(loss, "", "", "")
    diagnosis = Diagnosis(Source("tunewright", "", 100, 10, len(at)), health, reading, (), ())
    return Step(Outcome(name, RECIPE, summary, diagnosis, curve, Spent(), "all steps done"), (), "", None, phase)


@pytest.mark.parametrize("goal", ["eval", "balanced"])
def test_the_lowest_loss_is_kept_and_no_loss_counts_as_the_worst(goal):
    steps = (step("a", 0.5), step("b", 0.4), step("c", math.nan))
    assert choose(steps, goal).outcome.name == "b"


@pytest.mark.parametrize("goal", ["eval", "balanced"])
def test_a_sick_run_is_kept_only_when_all_are(goal):
    sick = step("sick", 0.1, health="sick")
    assert choose((sick, step("well", 0.5)), goal).outcome.name == "well"
    assert choose((sick, step("worse", 0.5, health="sick")), goal).outcome.name == "sick"


def test_old_skills_count_under_balanced_alone():
    steps = (step("forgets", 0.3, forgetting=9.0), step("keeps", 0.5))
    assert choose(steps, "eval").outcome.name == "forgets"
    assert choose(steps, "balanced").outcome.name == "keeps"


def test_when_every_run_forgets_the_one_that_forgets_least_is_kept():
    steps = (step("much", 0.3, forgetting=9.0), step("less", 0.5, forgetting=3.0))
    assert choose(steps, "balanced").outcome.name == "less"


@pytest.mark.parametrize(("whole", "kept"), [(0.4001, "whole"), (0.47, "short")])
def test_under_balanced_a_whole_run_goes_before_a_short_one_within_noise(whole, kept):
    steps = (step("short", 0.4, phase="race", noise=0.004), step("whole", whole))
    assert choose(steps, "balanced").outcome.name == kept
    assert choose(steps, "eval").outcome.name == "short"
