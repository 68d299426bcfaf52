"""The faults: how each is put into a sound recipe, at which severities, and what a right reading may call it.

``families`` are those any of which is a right answer; ``visible`` says whether a log alone can show the fault at all
("outcome": only where the run's own outcome shows it, which labels.py decides). Numbers in comments are those of the
list of forty injections the benchmark was planned with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from bench.fault_sft.spec import LONGEST_RUN, Recipe, Spec

Visible = Literal["always", "outcome", "never"]
Put = Callable[[Spec, float], Spec]


@dataclass(frozen=True)
class Injection:
    """put: spec and severity to the faulty spec; onset: share of the run at which it begins."""

    name: str
    put: Put
    severities: tuple[float, ...]
    families: tuple[str, ...]
    visible: Visible
    onset: float = 0.0


def _recipe(**changes: Callable[[Recipe, float], object]) -> Put:
    """Sets each field to a function of the recipe and the severity."""

    def put(spec: Spec, severity: float) -> Spec:
        values = {key: value(spec.recipe, severity) for key, value in changes.items()}
        return replace(spec, recipe=spec.recipe.changed(**values))

    return put


def _op(name: str, **also: float) -> Put:
    """Switches a manipulation of data or training on, its size being the severity."""

    def put(spec: Spec, severity: float) -> Spec:
        return replace(spec, ops={**spec.ops, name: severity, **also})

    return put


def _both(first: Put, second: Put) -> Put:
    return lambda spec, severity: second(first(spec, severity), severity)


def _epochs_of(steps: float) -> Callable[[Recipe, float], object]:
    return lambda recipe, severity: steps / recipe.steps_per_epoch


INSTABILITY, NOTHING, OVERFIT = "instability", "not_learning", "overfit"
DATA, SCHEDULE, LOGGING, NUMERIC = "data", "schedule", "logging", "numeric"

_LISTED = (
    # 1, 2: the optimisation breaks
    Injection(
        "lr_high",
        _recipe(learning_rate=lambda r, s: r.learning_rate * s),
        (3, 10, 30, 100),
        (INSTABILITY,),
        "outcome",
    ),
    # 3, 4
    Injection("lr_low", _recipe(learning_rate=lambda r, s: r.learning_rate / s), (10, 30, 100), (NOTHING,), "outcome"),
    # 5
    Injection(
        "no_warmup",
        _recipe(learning_rate=lambda r, s: r.learning_rate * s, warmup=lambda r, s: 0.0),
        (10, 30),
        (INSTABILITY,),
        "outcome",
    ),
    # 6
    Injection(
        "constant_lr",
        _recipe(
            schedule=lambda r, s: "constant", warmup=lambda r, s: 0.0, learning_rate=lambda r, s: r.learning_rate * s
        ),
        (1, 3),
        (INSTABILITY, OVERFIT),
        "outcome",
    ),
    # 7
    Injection("schedule_short", _op("schedule_share"), (0.3, 0.5), (SCHEDULE,), "always"),
    # 8
    Injection("warmup_all", _recipe(warmup=lambda r, s: s), (1.0, 0.6), (SCHEDULE,), "always"),
    # 9
    Injection(
        "batch_one",
        _recipe(batch=lambda r, s: 1, epochs=lambda r, s: 160 / r.rows, learning_rate=lambda r, s: r.learning_rate * s),
        (1, 5),
        (INSTABILITY, NOTHING),
        "outcome",
    ),
    # 10
    Injection(
        "batch_huge",
        _recipe(batch=lambda r, s: 32, accumulation=lambda r, s: s, epochs=lambda r, s: 1.0),
        (2, 4),
        (NOTHING,),
        "outcome",
    ),
    # 11
    Injection("few_steps", _recipe(epochs=lambda r, s: r.epochs * s), (0.3, 0.12), (NOTHING,), "outcome"),
    # 12
    Injection(
        "tiny_epochs",
        _recipe(rows=lambda r, s: s, batch=lambda r, s: 8, epochs=lambda r, s: LONGEST_RUN / (s / 8)),
        (48, 24, 96),
        (OVERFIT,),
        "outcome",
    ),
    # 13
    Injection(
        "duplicates",
        _both(_op("duplicate"), _recipe(epochs=lambda r, s: max(r.epochs, 3.0))),
        (16, 48),
        (OVERFIT, DATA),
        "outcome",
    ),
    # 14
    Injection("label_noise", _op("noise"), (0.5, 0.25, 1.0), (DATA,), "outcome"),
    # 15 - 17
    Injection("permuted", _op("permute"), (1,), (DATA,), "never"),
    Injection("odd_template", _op("odd_template"), (2,), (DATA,), "never"),
    Injection("template_differs", _op("odd_template"), (1,), (DATA,), "never"),
    # 18, 19
    Injection("all_masked", _op("mask_all"), (1,), (DATA, NUMERIC), "always"),
    Injection("rows_masked", _both(_op("mask_rows"), _recipe(batch=lambda r, s: 4)), (0.9, 0.5), (DATA,), "outcome"),
    # 20, 21
    Injection("loss_on_prompt", _op("loss_on_prompt"), (1,), (DATA,), "never"),
    Injection("no_end", _op("drop_end"), (1,), (DATA,), "never"),
    # 22, 23
    Injection("leak", _op("leak"), (4, 2), (DATA,), "never"),
    Injection("val_shift", _op("shift_valid"), (1,), (DATA, OVERFIT), "outcome"),
    # 24
    Injection("garbage_batch", _op("garbage_at", garbage_at_for=1), (0.5, 0.7), (INSTABILITY, DATA), "outcome", 0.5),
    Injection("garbage_batches", _op("garbage_at", garbage_at_for=4), (0.5,), (INSTABILITY, DATA), "outcome", 0.5),
    # 25
    Injection("nan_weights", _op("nan_at"), (0.5, 0.1, 0.8), (NUMERIC,), "always", 0.1),
    Injection(
        "nan_unfiltered",
        _both(_op("nan_at"), _recipe(nan_filter=lambda r, s: False)),
        (0.3,),
        (NUMERIC,),
        "always",
        0.3,
    ),
    # 26: an overflow without a scaler ends in NaN
    Injection("overflow", _op("overflow_at"), (0.4,), (NUMERIC,), "always", 0.4),
    # 27
    Injection("rank_one", _recipe(method=lambda r, s: "lora", rank=lambda r, s: 1), (1,), (NOTHING,), "outcome"),
    # 28, 29
    Injection("frozen", _op("frozen"), (1,), (NOTHING,), "always"),
    Injection("no_step", _op("no_step"), (1,), (NOTHING,), "always"),
    # 30, 31
    Injection(
        "weight_decay",
        _recipe(weight_decay=lambda r, s: s / r.learning_rate),
        (0.3, 0.1),
        (NOTHING, INSTABILITY),
        "outcome",
    ),
    Injection(
        "dropout",
        _recipe(method=lambda r, s: "lora", dropout=lambda r, s: s),
        (0.6, 0.9),
        (NOTHING,),
        "outcome",
    ),
    # 32: the target's curve looks well while other skills go
    Injection(
        "full_high_lr",
        _recipe(method=lambda r, s: "full", learning_rate=lambda r, s: s),
        (5e-3,),
        (INSTABILITY, OVERFIT),
        "outcome",
    ),
    # 33
    Injection("sorted_rows", _op("sorted"), (1,), (DATA,), "never"),
    # 35
    Injection("scaled_log", _op("scaled_log"), (8, 16), (LOGGING,), "always"),
    # 36
    Injection("lr_restart", _op("restart_at", schedule_share=0.55), (0.5, 0.6), (SCHEDULE,), "always", 0.5),
    # 37
    Injection("truncated", _op("truncate"), (0.45,), (DATA,), "outcome"),
    # 38
    Injection("data_switch", _op("switch"), (0.5,), (DATA, INSTABILITY), "outcome", 0.5),
    # 39
    Injection(
        "optimizer",
        _recipe(
            beta2=lambda r, s: 0.9,
            epsilon=lambda r, s: 1e-12,
            learning_rate=lambda r, s: r.learning_rate * s,
            clip=lambda r, s: 1e6,
        ),
        (8, 25),
        (INSTABILITY,),
        "outcome",
    ),
)
INJECTIONS: dict[str, Injection] = {injection.name: injection for injection in _LISTED}

# Looks like a fault, does no harm: a warning about these is a false alarm (34, 40, and skipped steps of 26).
_NO_STEPS_LOST = {"scaler": 1.0}
CONTROLS: dict[str, Put] = {
    "plain": lambda spec, _: spec,
    "tight_clip": _recipe(clip=lambda r, s: 1e-4),
    "longer": _recipe(epochs=lambda r, s: r.epochs * 1.5),
    "scaler_skips": lambda spec, _: replace(spec, ops={"overflow_at": 0.0, "overflow_at_for": 2, **_NO_STEPS_LOST}),
    "one_skip": lambda spec, _: replace(spec, ops={"overflow_at": 0.45, "overflow_at_for": 1, **_NO_STEPS_LOST}),
    "few_valid_rows": _recipe(valid_rows=lambda r, s: 40),
    "few_evals": _recipe(evals=lambda r, s: 5),
}

COMPOUNDS: tuple[tuple[tuple[str, float], tuple[str, float]], ...] = (
    (("lr_high", 30), ("garbage_batch", 0.5)),
    (("tiny_epochs", 48), ("schedule_short", 0.5)),
    (("lr_low", 100), ("warmup_all", 1.0)),
    (("duplicates", 16), ("scaled_log", 8)),
    (("lr_high", 10), ("label_noise", 0.5)),
    (("rows_masked", 0.9), ("lr_low", 30)),
    (("garbage_batch", 0.5), ("nan_weights", 0.8)),
    (("lr_restart", 0.5), ("garbage_batch", 0.7)),
)


def inject(spec: Spec, *faults: tuple[str, float]) -> Spec:
    """The spec with these faults, one after another."""
    for name, severity in faults:
        spec = INJECTIONS[name].put(spec, severity)
    return replace(
        spec,
        kind="fault",
        faults=tuple(name for name, _ in faults),
        severity="+".join(f"{severity:g}" for _, severity in faults),
    )
