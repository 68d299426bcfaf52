"""A Trainer's arguments under the names of a recipe: what is known of a run that someone else configured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tunewright.curve.beside import OUR_SCHEDULES

_SAME = (
    *("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"),
    *("num_train_epochs", "learning_rate", "weight_decay", "max_grad_norm", "adam_beta1", "adam_beta2"),
    *("gradient_checkpointing", "seed"),
)


def recipe_keys(args: Any, model: Any = None) -> dict[str, Any]:
    """The recipe keys that ``args`` (transformers' TrainingArguments or a subclass) and the model tell.

    What a recipe has no word for is left out, as is every value the installed version does not have.

    >>> from types import SimpleNamespace
    >>> recipe_keys(SimpleNamespace(learning_rate=1e-4, lr_scheduler_type="cosine", max_steps=-1))
    {'learning_rate': 0.0001, 'lr_scheduler_type': 'cosine', 'method': 'full'}
    """
    keys: dict[str, Any] = {name: _plain(getattr(args, name, None)) for name in _SAME}
    schedule = getattr(args, "lr_scheduler_type", None)
    keys["lr_scheduler_type"] = OUR_SCHEDULES.get(str(getattr(schedule, "value", schedule)))
    keys["logging_steps"] = _count(getattr(args, "logging_steps", None))
    keys["max_steps"] = _count(getattr(args, "max_steps", None))
    keys["max_length"] = _count(getattr(args, "max_length", None))  # TRL's SFTConfig
    keys["packing"] = _plain(getattr(args, "packing", None))
    keys |= _warmup(args)
    keys |= _adapter(model)
    return {name: value for name, value in keys.items() if value is not None}


def _plain(value: Any) -> bool | int | float | None:
    if isinstance(value, (bool, int)):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else None


def _count(value: Any) -> int | None:
    """A whole number of at least 1, or None (Trainers write -1 for "not set" and shares below 1)."""
    whole = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 1 and value == int(value)
    return int(value) if whole else None


def _warmup(args: Any) -> dict[str, Any]:
    """Steps, or a share of all steps: transformers 5 takes a ``warmup_steps`` below 1 for one."""
    steps = _plain(getattr(args, "warmup_steps", None))
    ratio = _plain(getattr(args, "warmup_ratio", None))
    if steps and steps >= 1:
        return {"warmup_steps": int(steps)}
    return {"warmup_ratio": float(steps or ratio or 0.0)} if steps is not None or ratio is not None else {}


def _adapter(model: Any) -> dict[str, Any]:
    """Rank, alpha and dropout of a PEFT LoRA adapter; "full" for a model without one."""
    configs = getattr(model, "peft_config", None)
    if not isinstance(configs, Mapping) or not configs:
        return {"method": "full"}
    config = next(iter(configs.values()))
    rank, alpha = _count(getattr(config, "r", None)), _plain(getattr(config, "lora_alpha", None))
    dropout = _plain(getattr(config, "lora_dropout", None))
    quantised = bool(getattr(model, "is_loaded_in_4bit", False))
    known = {"lora_rank": rank, "lora_alpha": alpha, "lora_dropout": dropout}
    return {"method": "qlora" if quantised else "lora", **known}
