"""Hand-made cases: curves with known shapes and diagnoses with chosen findings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tunewright.prescribe.case import Case
from tunewright.schema.curve import EMPTY, Curve, Series
from tunewright.schema.facts import RunSummary
from tunewright.schema.finding import Diagnosis, Finding, GuideReading, Severity, Source, health_of

ERRORS = {
    "non_finite",
    "all_masked",
    "weights_not_updating",
    "divergence",
    "worse_than_start",
    "leak",
    "template_mismatch",
    "labels_unrelated",
}
INFOS = {
    "plateau",
    "gap",
    "memorising",
    "lr_constant",
    "underfit",
    "too_few_points",
    "prefix_log",
    "not_an_nll",
    "spike",
}
WARNINGS = {
    "oscillation",
    "no_learning",
    "overfit",
    "rows_masked",
    "truncated",
    "noisy_labels",
    "duplicates",
    "val_shift",
    "no_stop_token",
    "lr_zero_tail",
    "warmup_too_long",
    "lr_jump",
    "scale_mismatch",
    "forgetting",
}
SYMPTOMS = sorted(ERRORS | INFOS | WARNINGS)
GUIDE_CONFIG: dict[str, Any] = {
    "method": "lora",
    "num_train_epochs": 5.0,
    "learning_rate": 1e-4,
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 8,
    "warmup_ratio": 0.1,
    "lora_rank": 8,
    "lora_alpha": 16.0,
    "lora_dropout": 0.0,
    "val_size": 0.1,
    "max_grad_norm": 1.0,
    "replay": None,
    "val": None,
    "max_steps": None,
    "warmup_steps": None,
    "early_stopping_patience": 0,
    "lr_scheduler_type": "cosine",
}


def finding(symptom: str, steps: tuple[int, int] = (50, 100), **evidence: Any) -> Finding:
    severity: Severity = "error" if symptom in ERRORS else "info" if symptom in INFOS else "warning"
    return Finding("TW000", symptom, severity, steps, evidence or {"figure": 1.0}, f"{symptom} was measured at 1.0")


def diagnosis(*findings: Finding | str, loss: float | None = None, evals: int = 0, steps: int = 100) -> Diagnosis:
    made = tuple(finding(item) if isinstance(item, str) else item for item in findings)
    reading = GuideReading(loss, "", "", "")
    return Diagnosis(Source("csv", "log.csv", steps, 1, evals), health_of(made), reading, (), made)


def curve(
    eval_of: Callable[[int], float] | None = None,
    *,
    evals: Iterable[int] = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100),
    total: int = 100,
    train_of: Callable[[int], float] = lambda step: 2.0 - 0.2 * math.log(step),
    epochs: float | None = None,
    **more: Any,
) -> Curve:
    """A curve of ``total`` steps; both losses are functions of the step."""
    return Curve(
        "csv",
        "log.csv",
        Series.of((step, train_of(step)) for step in range(1, total + 1)),
        Series.of((step, eval_of(step)) for step in evals) if eval_of else EMPTY,
        total_steps=total,
        steps_per_epoch=total / epochs if epochs else None,
        **more,
    )


def case(
    *findings: Finding | str,
    loss: float | None = None,
    config: Mapping[str, Any] | None = None,
    made: Curve | None = None,
    history: tuple[RunSummary, ...] = (),
    **more: Any,
) -> Case:
    evals = 0 if made is None else len(made.eval_loss)
    settings = GUIDE_CONFIG if config is None else config
    return Case(diagnosis(*findings, loss=loss, evals=evals), made, settings, history=history, **more)


def past(name: str, eval_loss: float | None, *, forgetting: float | None = None, **changed: Any) -> RunSummary:
    """A past run that differs from GUIDE_CONFIG in ``changed``."""
    config = {**GUIDE_CONFIG, **changed}
    return RunSummary(name, config, eval_loss, 2.4, None, forgetting, "healthy", tuple(changed))


def falling(step: int) -> float:
    """An evaluation loss still falling at step 100: 1.5 - 0.2 ln(step)."""
    return 1.5 - 0.2 * math.log(max(1, step))


def turning(step: int) -> float:
    """An evaluation loss lowest at step 40, then rising."""
    return 0.6 + 0.00015 * (step - 40) ** 2
