"""Settings found beside a foreign log, under the recipe's names.

Only what is stated is taken: a key that is not there, is switched off (-1, null) or cannot be meant is left out.
``training_args.bin`` is a pickle and is never opened.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tunewright.curve.json_text import read_object, read_text
from tunewright.schema.errors import DataError

JSON_FILES = ("args.json", "adapter_config.json", "axolotl_config.json")
YAML_FILES = (
    *("training_args.yaml", "train.yaml", "train_config.yaml", "config.yaml", "config.yml", "axolotl.yaml"),
    *("axolotl.yml", "axolotl_config.yml", "llamaboard_config.yaml"),
)
MOST_BYTES = 2**16
"""Settings are a few kB, and YAML is slow to read."""

# Our key -> the names it has in TRL and transformers, LLaMA-Factory, Axolotl, ms-swift, Unsloth Studio, PEFT.
NUMBERS: dict[str, tuple[str, ...]] = {
    "learning_rate": ("learning_rate",),
    "num_train_epochs": ("num_train_epochs", "num_epochs", "epochs"),
    "weight_decay": ("weight_decay",),
    "max_grad_norm": ("max_grad_norm",),
    "warmup_ratio": ("warmup_ratio",),
    "lora_alpha": ("lora_alpha",),
    "lora_dropout": ("lora_dropout",),
    "val_size": ("val_size", "val_set_size", "split_dataset_ratio"),
    "adam_beta1": ("adam_beta1",),
    "adam_beta2": ("adam_beta2",),
}
COUNTS: dict[str, tuple[str, ...]] = {
    "per_device_train_batch_size": ("per_device_train_batch_size", "micro_batch_size", "batch_size"),
    "per_device_eval_batch_size": ("per_device_eval_batch_size", "eval_batch_size"),
    "gradient_accumulation_steps": ("gradient_accumulation_steps",),
    "max_steps": ("max_steps",),
    "warmup_steps": ("warmup_steps",),
    "max_length": ("max_length", "cutoff_len", "sequence_len", "max_seq_length"),
    "lora_rank": ("lora_rank", "lora_r", "r"),
    "logging_steps": ("logging_steps",),
    "eval_steps": ("eval_steps",),
    "save_steps": ("save_steps",),
    "seed": ("seed", "random_seed"),
    "early_stopping_patience": ("early_stopping_patience", "early_stopping_steps"),
}
ZERO_ALLOWED = ("warmup_steps", "seed")
POSITIVE = ("learning_rate", "num_train_epochs", "lora_alpha")
MODELS = ("model_name_or_path", "base_model_name_or_path", "base_model", "model_name", "model")
SCHEDULES = ("lr_scheduler_type", "lr_scheduler")
OUR_SCHEDULES = {
    "constant": "constant",
    "constant_with_warmup": "constant",
    "linear": "linear",
    "cosine": "cosine",
    "cosine_with_min_lr": "cosine_with_min_lr",
    "warmup_stable_decay": "wsd",
    "inverse_sqrt": "inverse_sqrt",
    "reduce_lr_on_plateau": "reduce_lr_on_plateau",
}
"""transformers' name of a schedule -> ours; any other is left out."""

TARGETS = ("lora_target", "lora_target_modules", "target_modules")
ALL_LINEAR = ("all", "all-linear")
METHODS = ("finetuning_type", "tuner_type", "train_type", "training_type", "adapter")
FOUR_BIT = ("load_in_4bit", "use_qlora")


def settings_beside(log: Path) -> dict[str, Any]:
    """The recipe keys stated in files beside ``log`` (a file, or a run's folder); of several files the earlier wins.

    Damaged files say nothing: the log itself is what was asked about.
    """
    folder = log if log.is_dir() else log.parent
    folders = [folder, folder.parent] if folder.name.startswith("checkpoint-") else [folder]
    found: dict[str, Any] = {}
    for place in folders:
        for name in (*JSON_FILES, *YAML_FILES):
            if (place / name).is_file():
                stated = as_recipe(_object(place / name))
                found = {**stated, **found, **({"method": "qlora"} if stated.get("method") == "qlora" else {})}
    return found  # an adapter's own file says LoRA whatever its base was loaded in, so qlora is kept once said


def _object(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_BYTES:
            return {}
        return read_object(path) if path.suffix == ".json" else read_yaml(path)
    except (DataError, OSError):
        return {}


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, {} for any other value. Raises DataError.

    Reading YAML costs more than reading a curve, so it is imported here.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    yaml = YAML(typ="safe", pure=True)
    try:
        value = yaml.load(read_text(path))
    except (YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not YAML: {str(error).splitlines()[0]}") from None
    return {str(key): item for key, item in value.items() if item is not None} if isinstance(value, dict) else {}


def as_recipe(theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Another tool's settings as recipe keys. W&B's ``{"value": x}`` form is unwrapped.

    >>> as_recipe({"lora_r": 8, "micro_batch_size": 2, "learning_rate": "2e-4", "max_steps": -1, "adapter": "qlora"})
    {'learning_rate': 0.0002, 'per_device_train_batch_size': 2, 'lora_rank': 8, 'method': 'qlora'}
    """
    given = {
        key: value["value"] if isinstance(value, dict) and "value" in value else value for key, value in theirs.items()
    }
    found: dict[str, Any] = {}
    for names, convert in ((NUMBERS, _number), (COUNTS, _count)):
        for ours, keys in names.items():
            values = (convert(ours, given[key]) for key in keys if key in given)
            _put(found, ours, next((value for value in values if value is not None), None))
    _put(found, "lr_scheduler_type", OUR_SCHEDULES.get(_text(given, SCHEDULES).rpartition(".")[2].lower()))
    _put(found, "model", _text(given, MODELS) or None)
    _put(found, "method", _method(given))
    _put(found, "lora_target", _target(given))
    _put(found, "packing", _switch(given, ("packing", "sample_packing")))
    _put(found, "precision", _precision(given))
    if given.get("stage") in ("sft", "pt"):
        found["stage"] = given["stage"]
    if "warmup_steps" in found and found["warmup_steps"] > 0:
        found.pop("warmup_ratio", None)
    elif "warmup_ratio" in found:
        found.pop("warmup_steps", None)
    return found


def _put(found: dict[str, Any], key: str, value: Any) -> None:
    if value is not None:
        found[key] = value


def _number(key: str, value: Any) -> float | None:
    number = _as_float(value)
    if number is None or number < 0 or (key in POSITIVE and number == 0):
        return None
    return number


def _count(key: str, value: Any) -> int | None:
    number = _as_float(value)
    if number is None or number != int(number) or number < (0 if key in ZERO_ALLOWED else 1) or number >= 2**31:
        return None
    return int(number)


def _as_float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _text(given: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    return next((given[key] for key in keys if isinstance(given.get(key), str) and given[key]), "")


def _switch(given: Mapping[str, Any], keys: tuple[str, ...]) -> bool | None:
    return next((given[key] for key in keys if isinstance(given.get(key), bool)), None)


def _method(given: Mapping[str, Any]) -> str | None:
    named = _text(given, METHODS).lower()
    four_bit = any(given.get(key) is True for key in FOUR_BIT)
    four_bit = four_bit or any(_as_float(given.get(key)) == 4 for key in ("quantization_bit", "quant_bits"))
    is_lora = named in ("lora", "qlora", "lora/qlora") or given.get("peft_type") == "LORA"
    if is_lora:
        return "qlora" if four_bit or named == "qlora" else "lora"
    return "full" if named in ("full", "full finetuning") else None


def _target(given: Mapping[str, Any]) -> str | tuple[str, ...] | None:
    if given.get("lora_target_linear") is True:
        return "all"
    value: Any = next((given[key] for key in TARGETS if given.get(key)), None)
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        return None
    plain = tuple(name.strip() for name in names)
    return "all" if any(name in ALL_LINEAR for name in plain) else plain or None


def _precision(given: Mapping[str, Any]) -> str | None:
    chosen: Callable[[str], bool] = lambda key: given.get(key) is True  # noqa: E731
    return "bf16" if chosen("bf16") else "fp16" if chosen("fp16") else None
