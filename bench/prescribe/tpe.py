"""Optuna's TPE on random search's space, told of the faulty run first and of each run that it asked for."""

from __future__ import annotations

import json
import math
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.fault_sft.record import Record
from bench.fault_sft.spec import Spec
from bench.peers import python_of
from bench.prescribe.space import CHOICES, REACH, chosen_by, middle_rate, recipe_of
from bench.tuner.optuna_search import PINS

PEER = Path(__file__).with_name("tpe_peer.py")
SEEDS = 2**31


def next_of(first: Spec, runs: Sequence[Record], seed: int) -> Spec:
    """The run that a study of these runs asks for next. ``first``: the case, whose method, rows and faults stay.

    What lies outside the space (a rate 100 times too high) is told as the nearest value in it. Raises
    subprocess.CalledProcessError when Optuna's environment cannot be made or its search fails.
    """
    middle = middle_rate(first)
    bounds = middle / REACH, middle * REACH
    order = {
        "seed": random.Random(f"{first.id} {seed} {len(runs)}").randrange(SEEDS),
        "rates": bounds,
        "choices": CHOICES,
        "trials": [as_trial(run, *bounds) for run in runs],
    }
    python = python_of("optuna", pins=PINS, torch=False)
    answer = subprocess.run([python, PEER], input=json.dumps(order), stdout=subprocess.PIPE, text=True, check=True)
    asked: dict[str, Any] = json.loads(answer.stdout)
    return Spec(first.base, recipe_of(first, asked["learning_rate"], asked), seed=first.seed, kind="tpe", ops=first.ops)


def as_trial(run: Record, lowest: float, highest: float) -> dict[str, Any]:
    """A run as a trial of the space: its settings and its last evaluation, None where that is no number."""
    loss = run.log.evals[-1][1] if run.log.evals else math.nan
    rate = min(highest, max(lowest, run.spec.recipe.learning_rate))
    values = {"learning_rate": rate, **chosen_by(run.spec.recipe)}
    return {"values": values, "loss": loss if math.isfinite(loss) else None}
