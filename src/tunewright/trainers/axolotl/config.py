"""Axolotl's keys and ours. Names and defaults read from axolotl 0.19.0 (2026-08)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewright.schema.errors import RecipeError
from tunewright.schema.recipe import Recipe
from tunewright.trainers.axolotl.conversions import (
    TRACKERS,
    best_out,
    method_back,
    method_out,
    packing_out,
    precision_back,
    precision_out,
    schedule_back,
    schedule_out,
    target_back,
    target_out,
    trackers_back,
    trackers_out,
    warmup_back,
)
from tunewright.trainers.peft_keys import adapter_entry, number, whole
from tunewright.trainers.tool import source
from tunewright.trainers.trainer_keys import OPTIMIZERS, OTHER_OPTIMIZERS, whole_steps
from tunewright.trainers.trainer_keys import lost as trainer_lost
from tunewright.trainers.translation import Keys, Lost, Translation, Values, choice, fixed, renamed, same

VERSION = "axolotl 0.19.0"

DEFAULTS: Values = {
    "micro_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "num_epochs": 1.0,
    "lr_scheduler": "cosine",
    "weight_decay": 0.0,
    "optimizer": "adamw_torch_fused",
    "sequence_len": 512,
    "val_set_size": 0.0,
    "max_grad_norm": 1.0,
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "logging_steps": 1,
    "lora_dropout": 0.0,
}

REMOVED = {
    "max_packed_sequence_len": "sequence_len with sample_packing: true",
    "evaluation_strategy": "eval_strategy",
    "noisy_embedding_alpha": "neftune_noise_alpha",
    "dpo_beta": "rl_beta",
    "eval_table_size": "generate_samples: true with num_generation_samples",
    "eval_max_new_tokens": "generation_max_new_tokens",
    "rope_scaling": "overrides_of_model_config: {rope_scaling: ...}",
    "s2_attention": "attn_implementation",
    "flash_attn_rms_norm": "nothing: it is gone",
    "rpo_alpha": "dpo_loss_type with dpo_loss_weights",
}

TABLE: tuple[Translation, ...] = (
    renamed("model", "base_model"),
    Translation(("method",), ("adapter", "load_in_4bit"), method_out, method_back, "full: no adapter"),
    renamed("max_length", "sequence_len"),
    Translation(
        ("packing",),
        ("sample_packing", "eval_sample_packing", "attn_implementation"),
        packing_out,
        lambda keys: {"packing": bool(keys.get("sample_packing"))},
        "only with flash attention: packed rows under SDPA in bf16 give a loss of 0.0",
    ),
    renamed("per_device_train_batch_size", "micro_batch_size"),
    Translation(
        ("per_device_eval_batch_size",),
        ("eval_batch_size",),
        lambda recipe, _: {"eval_batch_size": recipe.per_device_eval_batch_size},
        lambda keys: {"per_device_eval_batch_size": keys.get("eval_batch_size") or keys.get("micro_batch_size")},
        "as large as the training batch by default",
    ),
    *same("gradient_accumulation_steps"),
    renamed("num_train_epochs", "num_epochs", back=float),
    *same("max_steps"),
    renamed("learning_rate", "learning_rate", back=float),
    Translation(
        ("lr_scheduler_type", "lr_floor", "decay_share"),
        ("lr_scheduler", "lr_scheduler_kwargs", "cosine_min_lr_ratio"),
        schedule_out,
        schedule_back,
        "the same closed forms; wsd decays by 1 - sqrt over its last steps",
    ),
    Translation(
        ("warmup_steps", "warmup_ratio"),
        ("warmup_steps", "warmup_ratio"),
        lambda recipe, _: {"warmup_steps": recipe.warmup_steps},
        warmup_back,
        "whole steps; 3 % of the run by default",
    ),
    renamed("weight_decay", "weight_decay", back=float),
    *same("max_grad_norm"),
    choice("optim", "optimizer", OPTIMIZERS, OTHER_OPTIMIZERS),
    *same("adam_beta1", "adam_beta2"),
    Translation(
        ("precision",), ("bf16", "fp16", "tf32"), precision_out, precision_back, "auto is Axolotl's own word too"
    ),
    renamed("gradient_checkpointing", "gradient_checkpointing", back=bool),
    adapter_entry("lora_rank", "lora_r"),
    adapter_entry("lora_alpha", "lora_alpha", whole, float, "a whole number"),
    adapter_entry("lora_dropout", "lora_dropout", back=float),
    Translation(
        ("lora_target",),
        ("lora_target_linear", "lora_target_modules"),
        target_out,
        target_back,
        "all is lora_target_linear: true",
    ),
    adapter_entry("modules_to_save", "lora_modules_to_save", lambda names: list(names) or None, tuple),
    renamed("init_adapter", "lora_model_dir"),
    *same("logging_steps"),
    Translation(
        ("eval_steps",),
        ("eval_steps",),
        lambda recipe, _: {"eval_steps": recipe.eval_steps},
        lambda keys: {"eval_steps": whole_steps(keys.get("eval_steps"))},
        "and once before the first step",
    ),
    Translation(
        ("save_steps",),
        ("save_steps",),
        lambda recipe, _: {"save_steps": recipe.save_steps},
        lambda keys: {"save_steps": whole_steps(keys.get("save_steps"))},
        "a multiple of eval_steps, or the best checkpoint is not loaded and early stopping is refused",
    ),
    fixed({"load_best_model_at_end": True}, "the best checkpoint is loaded at the end and survives pruning"),
    Translation(
        ("early_stopping_patience",),
        ("early_stopping_patience",),
        best_out,
        lambda keys: {"early_stopping_patience": keys.get("early_stopping_patience")},
        "counts evaluations",
    ),
    Translation(
        ("report_to",),
        tuple(key for keys in TRACKERS.values() for key in keys),
        trackers_out,
        trackers_back,
        "one switch each",
    ),
    *same("seed"),
)


def lost(recipe: Recipe) -> tuple[Lost, ...]:
    """What an Axolotl file cannot be told."""
    found = list(trainer_lost(recipe))
    if recipe.method != "full" and number(recipe.lora_alpha) != whole(recipe.lora_alpha):
        found.append(Lost("lora_alpha", recipe.lora_alpha, f"{whole(recipe.lora_alpha)}: only whole numbers there"))
    if recipe.warmup_steps == 1:
        found.append(Lost("warmup_steps", 1, "Axolotl makes it 2"))
    return tuple(found)


def rows(keys: Keys, folder: Path) -> Values:
    """The data sets, the validation set, and the share held out."""
    share = keys.get("val_set_size")
    values: Values = {
        "data": _sources(keys.get("datasets"), folder),
        "val": _sources(keys.get("test_datasets"), folder),
    }
    if isinstance(values["val"], list):
        raise RecipeError("test_datasets names several data sets, expected one")
    if not values["val"]:
        values["val_size"] = float(share) if isinstance(share, (int, float)) else 0.0
    if keys.get("train_on_inputs"):
        values["loss_on"] = "all"
    return values


def _sources(entries: Any, folder: Path) -> Any:
    if not isinstance(entries, list) or not entries:
        return None
    found = [_source(entry, folder) for entry in entries]
    return found[0] if len(found) == 1 else [{"path": path} for path in found]


def _source(entry: Any, folder: Path) -> str:
    path = entry.get("path") if isinstance(entry, dict) else None
    if not isinstance(path, str):
        raise RecipeError(f"datasets: {str(entry)[:60]!r}: expected a mapping with a path")
    kind = entry.get("type")
    if isinstance(kind, str) and kind.startswith("sharegpt"):
        raise RecipeError("datasets: type sharegpt is gone from Axolotl; it is chat_template now")
    files = entry.get("data_files")
    named = files[0] if isinstance(files, list) and len(files) == 1 else files
    return source(folder, named if isinstance(named, str) else path)
