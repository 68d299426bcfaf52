"""Which runs there are: for every base the same faults at rotating severities, on backgrounds that differ.

A background is a sound recipe near the reference: either method, its schedule, batch size, length, rank, decay and
seed drawn by chance. Faults and controls draw from the same backgrounds, so that nothing but the fault tells them
apart.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.fault_sft.bases import BASES
from bench.fault_sft.injections import COMPOUNDS, CONTROLS, INJECTIONS, inject
from bench.fault_sft.spec import Recipe, Spec

PLAIN_CONTROLS = 18
MORE_CONTROLS = 8
COMPOUNDS_EACH = 3
# schedule -> factor on the reference's learning rate, which was tuned under a cosine: what never decays wants less
SCHEDULES = {"cosine": 1.0, "linear": 1.0, "cosine_floor": 1.0, "wsd": 0.6, "constant": 0.4}
# The reference was found with this many rows in a batch; Adam's learning rate follows the root of it.
REFERENCE_BATCH = 8
References = Mapping[str, Mapping[str, Any]]


def plan(base: str, references: References, draw: int = 0) -> list[Spec]:
    """All runs of the Hugging Face Trainer on ``base``: first each control and each fault once, then more.

    Faults and controls are mixed, so that a part of the list is a sample of the whole. ``draw``: the committed runs
    are draw 0; any other number gives other backgrounds, other severities and other seeds.
    """
    rng = random.Random(f"plan {base}" + (f" {draw}" if draw else ""))
    place = list(BASES).index(base) + draw
    first = [_control(base, references, rng, name) for name in _control_names()]
    second: list[Spec] = []
    for number, injection in enumerate(INJECTIONS.values()):
        turned = injection.severities[(place + number) % len(injection.severities) :] + injection.severities
        for chosen, severity in zip((first, second), dict.fromkeys(turned), strict=False):
            chosen.append(inject(background(base, references, rng), (injection.name, severity)))
    for turn in range(COMPOUNDS_EACH):
        pair = COMPOUNDS[(place * COMPOUNDS_EACH + turn) % len(COMPOUNDS)]
        first.append(inject(background(base, references, rng), *pair))
    rng.shuffle(first)
    rng.shuffle(second)
    more = [_control(base, references, rng, "plain") for _ in range(MORE_CONTROLS)]
    return first + more + second


def _control_names() -> list[str]:
    return ["plain"] * PLAIN_CONTROLS + [name for name in CONTROLS if name != "plain"]


def _control(base: str, references: References, rng: random.Random, name: str) -> Spec:
    spec = CONTROLS[name](background(base, references, rng), 1.0)
    return replace(spec, severity="" if name == "plain" else name)


def background(base: str, references: References, rng: random.Random) -> Spec:
    """A sound run: the reference of one of the methods, with everything that may vary drawn by chance."""
    method = rng.choice(("lora", "full"))
    known = references[f"{base}/{method}"]["recipe"]
    batch = rng.choice((4, 8, 8, 16))
    schedule = rng.choice(list(SCHEDULES))
    sound = known["learning_rate"] * (batch / REFERENCE_BATCH) ** 0.5 * SCHEDULES[schedule]
    rate = sound * rng.choice((0.7, 1.0, 1.0, 1.3))
    recipe = Recipe(
        method=method,
        learning_rate=float(f"{rate:.3g}"),
        epochs=known["epochs"],
        batch=batch,
        accumulation=2 if batch == 4 and rng.random() < 0.85 else 1,
        schedule=schedule,
        warmup=rng.choice((0.03, 0.05, 0.1)),
        weight_decay=rng.choice((0.0, 0.01, 0.1)),
        rank=rng.choice((4, 8, 16, 32)),
        dropout=rng.choice((0.0, 0.0, 0.05, 0.1)) if method == "lora" else 0.0,
        evals=rng.choice((8, 10, 12, 16)),
    )
    return Spec(base, recipe, seed=rng.randrange(10_000))
