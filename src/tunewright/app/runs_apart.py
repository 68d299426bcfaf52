"""How far runs are apart in validation loss, and whether that is more than noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.app.kept_rows import END_FILE, kept_rows
from tunewright.app.settings import settings_of
from tunewright.curve.read import read_curves
from tunewright.prescribe.fit import noise_of_eval
from tunewright.prescribe.history import INERT
from tunewright.prescribe.promise import same_evaluation
from tunewright.record.run import Run
from tunewright.reporter import load
from tunewright.schema.errors import TunewrightError
from tunewright.tuner.ranking import NOISE_ERRORS, RowLosses, loss_error, paired_error


@dataclass(frozen=True)
class Seeds:
    """Runs that differ in their seed alone: how many, and the standard deviation of their losses."""

    runs: int
    sd: float


def apart(runs: Sequence[Run], known: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each run's distance to the first one, with what is known of its noise.

    difference     : its validation loss minus the first one's, nats per token; None where they cannot be compared
    standard_error : of that over the validation rows, where row losses were kept; ``paired`` when on the same rows
    seed_sd        : standard deviation over seeds, where the folder holds runs that differ in nothing else
    curve_noise    : standard deviation of one evaluation around its curve, where neither of those is known
    within_noise   : whether the difference is below two standard errors of it, by the largest noise known
    because        : why there is no difference or no noise, in words
    """
    seeds = seed_spread(runs, known)
    rows = [_rows(run, one) for run, one in zip(runs, known, strict=True)]
    noise_of = cache(_curve_noise)  # the first run's curve is asked for again and again
    return [_apart(place, runs, known, rows, seeds, noise_of) for place in range(len(runs))]


def _apart(
    place: int,
    runs: Sequence[Run],
    known: Sequence[Mapping[str, Any]],
    rows: Sequence[RowLosses | None],
    seeds: Seeds | None,
    noise_of: Callable[[Path], float | None],
) -> dict[str, Any]:
    one, first = known[place], known[0]
    answer: dict[str, Any] = {
        "difference": None, "standard_error": None, "paired": False, "seed_sd": seeds.sd if seeds else None,
        "seed_runs": seeds.runs if seeds else 0, "curve_noise": None, "within_noise": None, "because": "",
    }  # fmt: skip
    if place == 0:
        return {**answer, "difference": 0.0, "because": "the others are compared with this one"}
    unlike = unlike_because(one, first)
    if unlike:
        return {**answer, "because": unlike}
    difference = float(one["eval_loss"]) - float(first["eval_loss"])
    error, paired = _row_error(rows[place], rows[0])
    noise = [] if error is None else [error]
    noise += [math.sqrt(2) * seeds.sd] if seeds else []
    curve = None if noise else _larger(noise_of(runs[place].path), noise_of(runs[0].path))
    noise += [] if curve is None else [math.sqrt(2) * curve]
    return {
        **answer,
        "difference": difference,
        "standard_error": error,
        "paired": paired,
        "curve_noise": curve,
        "within_noise": abs(difference) <= NOISE_ERRORS * max(noise) if noise else None,
        "because": "" if noise else "no row losses, no other seeds and too few evaluations: the noise is not known",
    }


def unlike_because(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Why two runs' losses say nothing about each other; "" when they can be compared."""
    for run in (one, other):
        loss = load.number(run.get("eval_loss"))
        if loss is None or not math.isfinite(loss):
            return "no finite validation loss"
    if not one.get("model") or not other.get("model"):
        return "a log does not say which model was evaluated on which rows"
    if one.get("model") != other.get("model"):
        return "another model: losses per token depend on the tokenizer"
    if not same_evaluation(one["settings"], other["settings"]):
        return "evaluated on other rows, or read otherwise"
    return ""


def _rows(run: Run, known: Mapping[str, Any]) -> RowLosses | None:
    """Row losses at the best step: kept for it, or for the last evaluation where that was the best one."""
    at_end = known.get("best_step") is not None and known.get("best_step") == known.get("steps")
    try:
        return kept_rows(run) or (kept_rows(run, END_FILE) if at_end else None)
    except (TunewrightError, KeyError, TypeError, ValueError):
        return None


def _row_error(one: RowLosses | None, other: RowLosses | None) -> tuple[float | None, bool]:
    """Standard error of the difference over rows, and whether it is over the same ones."""
    if one is None or other is None:
        return None, False
    paired = np.array_equal(one.tokens_n, other.tokens_n)
    error = paired_error(one, other) if paired else math.hypot(loss_error(one), loss_error(other))
    return (error if math.isfinite(error) else None), paired


def _curve_noise(path: Path) -> float | None:
    """The noise of one evaluation around a run's curve; None where it has too few points, or cannot be read."""
    try:
        return noise_of_eval(read_curves(path)[0])
    except TunewrightError:
        return None


def _larger(*found: float | None) -> float | None:
    return max((one for one in found if one is not None), default=None)


def seed_spread(runs: Sequence[Run], known: Sequence[Mapping[str, Any]]) -> Seeds | None:
    """The spread over seeds of runs that lie beside the compared ones and share everything else; None without any.

    Only with a validation file: without one, another seed evaluates other rows. Several recipes are pooled.
    """
    squares, freedom, total = 0.0, 0, 0
    done: list[dict[str, Any]] = []
    for run, one in zip(runs, known, strict=True):
        settings = one["settings"]
        if not settings.get("val") or _but_seed(settings) in done:
            continue
        done.append(_but_seed(settings))
        losses = _losses_beside(run, settings)
        if len(losses) > 1:
            squares += (len(losses) - 1) * float(np.var(losses, ddof=1))
            freedom, total = freedom + len(losses) - 1, total + len(losses)
    return Seeds(total, math.sqrt(squares / freedom)) if freedom else None


def _losses_beside(run: Run, settings: Mapping[str, Any]) -> list[float]:
    """Finite losses of finished runs in the same folder with these settings, one for each seed."""
    losses: dict[Any, float] = {}
    for mark in sorted(run.path.parent.glob("*/run.json")):
        beside = Run(mark.parent)
        try:
            about, own = beside.read(), settings_of(beside)
        except TunewrightError:
            continue
        loss = load.number(load.mapping(about.get("result")).get("eval_loss"))
        if _but_seed(own) == _but_seed(settings) and loss is not None and math.isfinite(loss):
            losses[own.get("seed")] = loss
    return list(losses.values())


def _but_seed(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in INERT}
