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
        *("train_global_step", "trainer_global_step", "global_step", "current_steps", "global_step_max_steps"),
        *("step", "steps", "iteration", "iter", "it", "update", "num_updates", "_step"),
    ),
    "epoch": ("epoch", "train_epoch", "epochs", "current_epoch"),
    "loss": (
        *("loss", "train_loss", "training_loss", "loss_train", "train_loss_step", "train_nll"),
        *("train_loss_epoch", "value"),
    ),
    "eval_loss": (
        *("eval_loss", "val_loss", "validation_loss", "valid_loss", "loss_val", "loss_eval", "loss_validation"),
        *("dev_loss", "test_loss", "val_loss_epoch"),
    ),
    "general_loss": ("general_loss",),
    "learning_rate": (
        *("learning_rate", "lr", "train_learning_rate", "train_lr"),
        *("lr_adamw", "lr_adam", "lr_sgd", "lr_adamw_pg1", "lr_adam_pg1"),  # Lightning's monitor: lr-AdamW/pg1
    ),
    "grad_norm": ("grad_norm", "gradient_norm", "train_grad_norm", "grad_norm_total", "total_norm"),
    "total_steps": ("total_steps", "max_steps"),
}
METRICS = ("loss", "eval_loss", "general_loss", "learning_rate", "grad_norm")
LOSSES = frozenset({"loss", "eval_loss"})
MAPPABLE = (*METRICS, "step", "epoch")
"""What a user can point at a column of another name (``--map loss=train_nll``)."""

OTHER_SET = 99
"""The rank of further validation sets (``eval_<name>_loss``), behind every plain name."""

REWARD_WORDS = ("reward", "logps_chosen", "logps/chosen", "policy_loss", "value_loss", "completions/mean_length")
"""Columns only preference and reinforcement trainers write (TRL's DPO, GRPO, PPO)."""

_DATA_WORDS = {"messages", "conversations", "instruction", "prompt", "question", "text"}
"""Columns of rows to train on; beside a loss they are what a trainer sampled."""

_LOSS_WORDS = {"loss", "nll", "ce", "xent", "crossent", "crossentropy"}
_NO_LOSS_WORDS = {"aux", "router", "balance", "kl", "policy", "value", "reward", "entropy", "scale", "z", "ratio"}
DEEPEST = 4
"""Levels of objects in a logged row that are looked into."""

_SCORES = {"accuracy", "f1", "wer", "cer", "bleu", "rouge1", "rouge2", "rougel", "exact_match", "matthews_correlation"}
"""What evaluations score besides the loss, where an answer is right or wrong as a whole."""

_WRAPPERS = {"metrics", "metric", "logs", "log", "data", "scalars", "values", "payload", "stats", "losses"}
_BEST_WORDS = {"best", "lowest", "min", "minimum", "initial", "final", "target"}
_EVAL_WORDS = {"eval", "evaluation", "val", "valid", "validation", "dev", "test"}

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
        return "eval_loss", OTHER_SET
    return _PLACE.get(name)


@lru_cache(maxsize=4096)
def resembles(key: str) -> str | None:
    """The loss an unknown column may be by its words: "loss", "eval_loss" or None.

    >>> resembles("lm_ce"), resembles("val_nll"), resembles("aux_loss"), resembles("accuracy")
    ('loss', 'eval_loss', None, None)
    """
    words = set(plain_name(key).split("_"))
    if not words & _LOSS_WORDS or words & _NO_LOSS_WORDS:
        return None
    return "eval_loss" if words & _EVAL_WORDS else "loss"


def flat(row: Mapping[str, Any], levels: int = DEEPEST) -> dict[str, Any]:
    """A row whose metrics lie in objects of their own, as one level: ``{"metrics": {"eval": {"loss": 1.0}}}``.

    The names lead to the value, less the wrappers in front; the row's own values win over nested ones of that name.
    Objects more than ``levels`` deep are left out.

    >>> flat({"step": 3, "metrics": {"loss": 1.0, "eval": {"loss": 2.0}}})
    {'eval/loss': 2.0, 'loss': 1.0, 'step': 3}
    """
    nested: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict) and levels:
            within = flat(value, levels - 1).items()
            nested |= {name if plain_name(key) in _WRAPPERS else f"{key}/{name}": one for name, one in within}
    return {**nested, **{key: value for key, value in row.items() if not isinstance(value, dict)}}


def loss_named(word: str) -> str | None:
    """Which loss a printed line means by the word in front of "loss"; None for a part of one, or the best so far.

    >>> loss_named("val"), loss_named("Train"), loss_named(""), loss_named("aux")
    ('eval_loss', 'loss', 'loss', None)
    """
    word = word.lower()
    if word in _NO_LOSS_WORDS | _BEST_WORDS:
        return None
    return "eval_loss" if word in _EVAL_WORDS else "loss"


@lru_cache(maxsize=256)
def columns_of(keys: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """The known metrics among column names, each with its columns, best name first.

    ``value`` is the loss only beside ``Wall time``, as in TensorBoard's CSV: elsewhere it may be anything.

    >>> columns_of(frozenset({"train_loss", "loss", "lr"}))["loss"]
    ('loss', 'train_loss')
    """
    found: dict[str, list[tuple[int, str]]] = {}
    plain = {plain_name(key) for key in keys}
    for key in sorted(keys):
        where = place(key)
        if where is None or (plain_name(key) == "value" and "wall_time" not in plain):
            continue
        found.setdefault(where[0], []).append((where[1], key))
    return {metric: tuple(key for _, key in sorted(ranked)) for metric, ranked in found.items()}


def names_loss(keys: Iterable[Any], columns: Mapping[str, str] | None = None) -> bool:
    """Whether one of the columns is a loss, by a known name or by the user's word (``columns``: metric -> column)."""
    texts = frozenset(key for key in keys if isinstance(key, str))
    chosen = {name for metric, name in (columns or {}).items() if metric in LOSSES}
    return bool(texts & chosen) or not LOSSES.isdisjoint(columns_of(texts))


@lru_cache(maxsize=256)
def has_reward(keys: frozenset[str]) -> bool:
    """Whether the columns are those of a preference or reinforcement trainer."""
    return any(word in key.lower() for key in keys for word in REWARD_WORDS)


def is_score(key: str) -> bool:
    """Whether a column scores whole answers of an evaluation; the accuracy of single tokens follows the loss.

    >>> is_score("eval/accuracy"), is_score("eval_wer"), is_score("eval_mean_token_accuracy"), is_score("accuracy")
    (True, True, False, False)
    """
    where, _, name = plain_name(key).partition("_")
    return where in _EVAL_WORDS and name in _SCORES


def is_data(keys: Iterable[str]) -> bool:
    """Whether the columns are those of rows to train on."""
    return not _DATA_WORDS.isdisjoint(map(plain_name, keys))


def to_float(value: Any) -> float | None:
    """A logged number, strings included ("0.5", "NaN", "Infinity"); None for what is no number.

    >>> to_float("-Infinity"), to_float(True), to_float([1])
    (-inf, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and "_" in value:  # Python's own "1_000" is no logged number
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
