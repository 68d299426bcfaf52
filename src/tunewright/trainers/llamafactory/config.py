"""LLaMA-Factory's keys and ours. Names and defaults read from llamafactory 0.9.5 with transformers 5.6.0 (2026-08)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from tunewright.schema.errors import RecipeError
from tunewright.schema.recipe import Recipe
from tunewright.trainers.peft_keys import adapter_entry, number, whole
from tunewright.trainers.tool import beside, source
from tunewright.trainers.trainer_keys import DEFAULTS as TRAINER_DEFAULTS
from tunewright.trainers.trainer_keys import REMOVED as TRAINER_REMOVED
from tunewright.trainers.trainer_keys import TABLE as TRAINER_TABLE
from tunewright.trainers.trainer_keys import lost as trainer_lost
from tunewright.trainers.translation import Keys, Lost, Translation, Values, fixed, renamed, targets

VERSION = "llamafactory 0.9.5"
STILL_THERE = ("warmup_ratio", "overwrite_output_dir", "logging_dir")

DEFAULTS: Values = {
    **TRAINER_DEFAULTS,
    "stage": "sft",
    "finetuning_type": "lora",
    "lora_rank": 8,
    "lora_dropout": 0.0,
    "lora_target": "all",
    "cutoff_len": 2048,
    "disable_gradient_checkpointing": False,
    "dataset_dir": "data",
    "val_size": 0.0,
    "mask_history": False,
    "train_on_prompt": False,
}

REMOVED = {key: value for key, value in TRAINER_REMOVED.items() if key not in STILL_THERE}
REMOVED |= {
    "checkpoint_dir": "adapter_name_or_path",
    "max_source_length": "cutoff_len",
    "max_target_length": "cutoff_len",
    "reserved_label_len": "cutoff_len",
    "split": "eval_dataset",
    "sft_packing": "packing",
    "dpo_beta": "pref_beta",
    "dpo_ftx": "pref_ftx",
    "dpo_loss": "pref_loss",
    "name_module_trainable": "freeze_trainable_modules",
    "num_layer_trainable": "freeze_trainable_layers",
}


def _method_out(recipe: Recipe, _: int) -> Values:
    kind = "full" if recipe.method == "full" else "lora"
    return {"finetuning_type": kind, "quantization_bit": 4 if recipe.method == "qlora" else None}


def _method_back(keys: Keys) -> Values:
    if keys.get("finetuning_type") != "lora":
        return {"method": "full" if keys.get("finetuning_type") == "full" else None}
    return {"method": "qlora" if keys.get("quantization_bit") == 4 else "lora"}


def _precision_out(recipe: Recipe, _: int) -> Values:
    kind = recipe.precision
    return {kind: True} if kind in ("bf16", "fp16") else {}


def _precision_back(keys: Keys) -> Values:
    if keys.get("bf16") or keys.get("pure_bf16"):
        return {"precision": "bf16"}
    return {"precision": "fp16" if keys.get("fp16") else "auto"}


def _alpha_back(keys: Keys) -> Values:
    alpha = keys.get("lora_alpha") or 2 * keys.get("lora_rank", 0)
    return {"lora_alpha": float(alpha)} if alpha else {}


def _names(value: Any) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    return tuple(str(name).strip() for name in names)


def _stage_back(keys: Keys) -> Values:
    stage = str(keys.get("stage"))
    if stage not in ("sft", "pt"):
        raise RecipeError(f"stage: {stage}: only sft and pt are trained here")
    loss = "all" if keys.get("train_on_prompt") else "last_assistant" if keys.get("mask_history") else "assistant"
    return {"stage": stage, "loss_on": loss}


ALPHA = adapter_entry("lora_alpha", "lora_alpha", whole)

TABLE: tuple[Translation, ...] = (
    renamed("model", "model_name_or_path"),
    fixed({"do_train": True}, "this file is for training"),
    Translation(
        ("stage", "loss_on"),
        ("stage", "train_on_prompt", "mask_history"),
        lambda recipe, _: {"stage": recipe.stage},
        _stage_back,
        "what is trained on is marked in the rows",
    ),
    Translation(
        ("method",),
        ("finetuning_type", "quantization_bit"),
        _method_out,
        _method_back,
        "qlora: quantization_bit: 4 (NF4, double quantised)",
    ),
    renamed("max_length", "cutoff_len"),
    Translation(
        ("packing",),
        ("packing",),
        lambda recipe, _: {"packing": recipe.packing or recipe.stage == "pt"},
        lambda keys: {"packing": bool(keys.get("packing")) and keys.get("stage") != "pt"},
        "always on for stage pt",
    ),
    *TRAINER_TABLE,
    Translation(
        ("gradient_checkpointing",),
        ("disable_gradient_checkpointing",),
        lambda recipe, _: {"disable_gradient_checkpointing": not recipe.gradient_checkpointing},
        lambda keys: {"gradient_checkpointing": not keys.get("disable_gradient_checkpointing")},
        "the other way round, and on by default",
    ),
    Translation(
        ("precision",),
        ("bf16", "fp16", "pure_bf16"),
        _precision_out,
        _precision_back,
        "auto: neither is set, and the base is used as it is stored",
    ),
    adapter_entry("lora_rank", "lora_rank"),
    Translation(("lora_alpha",), ("lora_alpha",), ALPHA.out, _alpha_back, "a whole number; twice the rank by default"),
    adapter_entry("lora_dropout", "lora_dropout", back=float),
    adapter_entry(
        "lora_target",
        "lora_target",
        lambda value: value if isinstance(targets(value), str) else ",".join(targets(value)),
        lambda value: "all" if value == "all" else _names(value),
        "names are joined by commas",
    ),
    adapter_entry(
        "modules_to_save", "additional_target", lambda names: ",".join(names) or None, _names, "joined by commas"
    ),
    renamed("init_adapter", "adapter_name_or_path"),
    Translation(
        ("early_stopping_patience",),
        ("early_stopping_steps",),
        lambda recipe, _: {"early_stopping_steps": recipe.early_stopping_patience or None},
        lambda keys: {"early_stopping_patience": keys.get("early_stopping_steps")},
        "counts evaluations, whatever its name says",
    ),
)


def lost(recipe: Recipe) -> tuple[Lost, ...]:
    """What a LLaMA-Factory file cannot be told."""
    found = list(trainer_lost(recipe))
    if recipe.precision == "fp32":
        found.append(Lost("precision", "fp32", "computes in the number format the base is stored in"))
    if recipe.method != "full" and number(recipe.lora_alpha) != whole(recipe.lora_alpha):
        found.append(Lost("lora_alpha", recipe.lora_alpha, f"{whole(recipe.lora_alpha)}: only whole numbers there"))
    if recipe.init_adapter is not None and recipe.method == "full":
        found.append(Lost("init_adapter", recipe.init_adapter, "an adapter is refused in full fine-tuning"))
    return tuple(found)


def rows(keys: Keys, folder: Path) -> Values:
    """The data sets named in the config, looked up in its dataset_info.json."""
    where = beside(folder, str(keys.get("dataset_dir") or "data"))
    values = {
        "data": _sources(keys.get("dataset"), Path(where)),
        "val": _sources(keys.get("eval_dataset"), Path(where)),
    }
    share = keys.get("val_size")
    if not values["val"]:
        values["val_size"] = float(share) if isinstance(share, (int, float)) and share else 0.0
    found = values["val"]
    if isinstance(found, list):
        raise RecipeError("eval_dataset names several data sets, expected one")
    return values


def _sources(names: Any, folder: Path) -> Any:
    if not names:
        return None
    found = [_source(name, folder) for name in _names(names)]
    return found[0] if len(found) == 1 else [{"path": path} for path in found]


def _source(name: str, folder: Path) -> str:
    info = _info(folder / "dataset_info.json").get(name)
    if not isinstance(info, dict):
        raise RecipeError(f"dataset {name!r} is not in {folder / 'dataset_info.json'}")
    if isinstance(info.get("file_name"), str):
        return source(folder, info["file_name"])
    if isinstance(info.get("hf_hub_url"), str):
        return f"hub:{info['hf_hub_url']}"
    raise RecipeError(f"dataset {name!r} of {folder / 'dataset_info.json'}: no file_name and no hf_hub_url")


def _info(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except OSError as error:
        raise RecipeError(
            f"{path}: cannot be read: {error.strerror}", hint="give the rows with --set data=FILE"
        ) from None
    except orjson.JSONDecodeError as error:
        raise RecipeError(f"{path}: not JSON: {error.msg}") from None
    return found if isinstance(found, dict) else {}
