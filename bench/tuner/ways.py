"""Every way to search that the table compares, on one pair."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bench.peers import ENVIRONMENTS
from bench.tuner.cells import Schedule
from bench.tuner.optuna_search import Form, Studies
from bench.tuner.peers import (
    RECIPES,
    alto,
    asha,
    asha_annealed,
    one_shot,
    random_runs,
    tinker_rate,
    top_after_first,
    top_after_first_annealed,
)
from bench.tuner.score import SEEDS, Way
from bench.tuner.search import Grid
from bench.tuner.tree import guide_tree
from tunewright.planner.learning_rate import first_run

NATIVE: tuple[Schedule, ...] = ("cosine", "linear")
GRACES = (0.25, 1.0)
ETAS = (3, 4)
PRUNERS: dict[str, tuple[Schedule, Form]] = {
    "cosine": ("cosine", "whole"),
    "linear": ("linear", "whole"),
    "annealed branches": ("wsd", "annealed"),
}


def ways(about: Mapping[str, Any], grid: Grid, environments: Path = ENVIRONMENTS) -> list[Way]:
    """All of them, on the pair that ``about`` describes; Optuna's studies are made here (seconds)."""
    found: list[Way] = []
    every: tuple[Schedule, ...] = (*NATIVE, "wsd")
    for schedule in every:
        found.append(Way("random runs", schedule, partial(random_runs, schedule)))
        found.append(Way("ALTO's rules", schedule, partial(alto, schedule), anytime=False))
    for schedule in NATIVE:
        for eta in ETAS:
            for grace in GRACES:
                found.append(
                    Way("ASHA", f"{schedule}, eta {eta}, grace {grace:g}", partial(asha, schedule, eta, grace))
                )
        for grace in GRACES:
            for keep in (1, 2):
                form = f"{schedule}, best {keep} after {grace:g} epochs"
                peer = partial(top_after_first, schedule, grace, keep)
                found.append(Way("top-k after the first rung", form, peer, anytime=False))
    for eta in ETAS:
        found.append(Way("ASHA", f"annealed branches, eta {eta}", partial(asha_annealed, eta)))
    for keep in (1, 2):
        form, peer = f"annealed branches, best {keep}", partial(top_after_first_annealed, keep)
        found.append(Way("top-k after the first rung", form, peer, anytime=False))
    for form, (schedule, shape) in PRUNERS.items():
        studies = Studies(grid, schedule, shape, SEEDS, environments)
        found.append(Way("TPE + Hyperband", form, studies.peer))
    return [*found, *_recipes(about)]


def _recipes(about: Mapping[str, Any]) -> list[Way]:
    """Whoever begins with a fixed recipe: the guides' tree, and the recipes alone."""
    hidden, rows = int(about["hidden"]), int(about["rows"])
    planned = first_run("lora", hidden)
    recipes = {
        **RECIPES,
        "Tinker's rule (r32, 3 epochs)": (tinker_rate(hidden, str(about["family"])), 32, 3.0),
        "our plan's first run": (planned, 16, 3.0),
    }
    every: tuple[Schedule, ...] = (*NATIVE, "wsd")
    found = [
        Way(f"one shot: {name}", schedule, partial(one_shot, schedule, *recipe))
        for name, recipe in recipes.items()
        for schedule in every
    ]
    starts = {"Unsloth's recipe": 2e-4, "our prior": planned}
    for name, rate in starts.items():
        found += [
            Way("the guides' tree", f"from {name}, {schedule}", partial(guide_tree, schedule, rows, rate=rate))
            for schedule in every
        ]
    return found
