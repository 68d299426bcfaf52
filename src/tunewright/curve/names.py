"""The names under which trainers log the same things, and numbers however they were written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

STEP_LIMIT = 2**53
"""Steps beyond this are not exact in the doubles most loggers write, so they are no steps."""

# First names win when a row has several. Compared after `plain_name`.
ALIASES: dict[str, tuple[str, ...]] = {
    "step": (
        *("train_global_step", "trainer_global_step", "global_step", "current_steps", "step", "steps"),
        *("iteration", "iter", "_step"),
    ),
    "epoch": ("epoch", "train_epoch", "epochs", "current_epoch"),
    "loss": ("loss", "train_loss", "training_loss", "loss_train", "train_loss_step", "train_nll", "value"),
    "eval_loss": (
        *("eval_loss", "val_loss", "validation_loss", "valid_loss", "loss_val", "loss_eval", "loss_validation"),
        *("dev_loss", "test_loss"),
    ),
    "general_loss": ("general_loss",),
    "learning_rate": ("learning_rate", "lr", "train_learning_rate", "train_lr"),
    "grad_norm": ("grad_norm", "gradient_norm", "train_grad_norm", "grad_norm_total", "total_norm"),
    "total_steps": ("total_steps", "max_steps"),
}
METRICS = ("loss", "eval_loss", "general_loss", "learning_rate", "grad_norm")

REWARD_WORDS = ("reward", "logps_chosen", "logps/chosen", "policy_loss", "value_loss", "completions/mean_length")
"""Columns only preference and reinforcement trainers write (TRL's DPO, GRPO, PPO)."""

_PLACE = {name: (metric, rank) for metric, names in ALIASES.items() for rank, name in enumerate(names)}


@lru_cache(maxsize=4096)
def plain_name(key: str) -> str:
    """A column's name without case, run prefix and separators.

    >>> plain_name("my-run - train/Loss"), plain_name("eval/loss")
    ('train_loss', 'eval_loss')
    """
    name = key.strip().lower().rsplit(" - ", 1)[-1]
    for separator in "/ -.:":
        name = name.replace(separator, "_")
    return name


@lru_cache(maxsize=4096)
def place(key: str) -> tuple[str, int] | None:
    """(metric, rank of this alias) of a column, or None for one that is not known.

    Further validation sets of the Trainer (``eval_<name>_loss``) rank behind the plain names.

    >>> place("lr"), place("eval_wiki_loss"), place("accuracy")
    (('learning_rate', 1), ('eval_loss', 99), None)
    """
    name = plain_name(key)
    if name.startswith("eval_") and name.endswith("_loss") and name not in _PLACE:
        return "eval_loss", 99
    return _PLACE.get(name)


def known(row: Mapping[str, Any]) -> dict[str, Any]:
    """The known metrics of one logged row under Tunewright's names; of several aliases the first wins."""
    best: dict[str, tuple[int, Any]] = {}
    for key, value in row.items():
        where = place(key) if isinstance(key, str) else None
        if where is None or value is None or value == "":
            continue
        metric, rank = where
        if metric not in best or rank < best[metric][0]:
            best[metric] = (rank, value)
    return {metric: value for metric, (_, value) in best.items()}


def has_reward(keys: Iterable[Any]) -> bool:
    """Whether the columns are those of a preference or reinforcement trainer."""
    return any(word in str(key).lower() for key in keys for word in REWARD_WORDS)


def to_float(value: Any) -> float | None:
    """A logged number, strings included ("0.5", "NaN", "Infinity"); None for what is no number.

    >>> to_float("-Infinity"), to_float(True), to_float([1])
    (-inf, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def to_step(value: Any) -> int | None:
    """A step number, or None for what is not a whole number from 0 to 2**53."""
    number = to_float(value)
    if number is None or not math.isfinite(number) or not 0 <= number < STEP_LIMIT or number != int(number):
        return None
    return int(number)
