"""Unsloth's keys and ours: its loader, its adapter and TRL's SFTConfig with the defaults that Unsloth puts into it.

Names and defaults read from unsloth 2026.10.9.
"""

from __future__ import annotations

from tunewright.schema.recipe import Recipe
from tunewright.trainers.peft_keys import lora_table
from tunewright.trainers.trainer_keys import TABLE as TRAINER_TABLE
from tunewright.trainers.trainer_keys import lost as trainer_lost
from tunewright.trainers.translation import Code, Keys, Lost, Translation, Values, same, with_prefix
from tunewright.trainers.trl import config as trl

VERSION = "unsloth 2026.10.9"
ARGS, LOADER, LORA = trl.ARGS, "FastLanguageModel.", "get_peft_model."
NAME, LENGTH = f"{LOADER}model_name", f"{LOADER}max_seq_length"
CHECKPOINTING = "use_gradient_checkpointing"

DEFAULTS: Values = {
    **{key: value for key, value in trl.DEFAULTS.items() if key.startswith(ARGS)},
    f"{ARGS}per_device_train_batch_size": 4,
    f"{ARGS}per_device_eval_batch_size": 4,
    f"{ARGS}gradient_accumulation_steps": 2,
    f"{ARGS}weight_decay": 0.001,
    f"{ARGS}seed": 3407,
    f"{ARGS}optim": "adamw_8bit",
    f"{ARGS}learning_rate": 5e-5,
    f"{ARGS}logging_steps": 1,
    f"{ARGS}warmup_steps": 0.1,
    f"{ARGS}bf16": False,
    f"{ARGS}max_length": None,
    f"{LOADER}max_seq_length": 2048,
    f"{LOADER}load_in_4bit": True,
    f"{LOADER}full_finetuning": False,
    f"{LOADER}{CHECKPOINTING}": "unsloth",
    f"{LORA}r": 16,
    f"{LORA}lora_alpha": 16,
    f"{LORA}lora_dropout": 0.0,
    f"{LORA}target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
}

OLDER = {"SFTTrainer.tokenizer": "SFTTrainer.processing_class", f"{ARGS}warmup_ratio": f"{ARGS}warmup_steps"}
_MOVED = ("packing", "max_seq_length", "dataset_text_field", "dataset_num_proc")
OLDER |= {f"SFTTrainer.{key}": f"{ARGS}{key}" for key in _MOVED}
"""Spellings that newer TRL and transformers refuse and Unsloth still takes, under their names of today."""

REMOVED = {key: value for key, value in trl.REMOVED.items() if key not in OLDER and "max_seq_length" not in key}
"""Unsloth puts max_seq_length back where TRL dropped it."""


def today(keys: Keys) -> Values:
    """The settings with older spellings renamed; where both are there the newer one counts.

    >>> today({"SFTTrainer.packing": True, "SFTConfig.seed": 1})
    {'SFTConfig.packing': True, 'SFTConfig.seed': 1}
    """
    moved = {OLDER[key]: value for key, value in keys.items() if key in OLDER}
    return {**moved, **{key: value for key, value in keys.items() if key not in OLDER}}


def _method_out(recipe: Recipe, _: int) -> Values:
    four_bit, full = recipe.method == "qlora", recipe.method == "full"
    return {f"{LOADER}load_in_4bit": four_bit, f"{LOADER}full_finetuning": full or None}


def _method_back(keys: Keys) -> Values:
    if keys.get(f"{LOADER}full_finetuning"):
        return {"method": "full"}
    return {"method": "qlora" if keys.get(f"{LOADER}load_in_4bit") else "lora"}


def _precision_out(recipe: Recipe, _: int) -> Values:
    names = {"bf16": "torch.bfloat16", "fp16": "torch.float16"}
    if recipe.precision not in names:
        return {f"{LOADER}dtype": None}
    switch = {f"{ARGS}{recipe.precision}": True}
    return {f"{LOADER}dtype": Code(names[recipe.precision]), **switch}


def _precision_back(keys: Keys) -> Values:
    found = trl.precision_back(keys.get(f"{ARGS}bf16"), keys.get(f"{ARGS}fp16"), "auto")
    return {"precision": "auto" if found == "fp32" else found}  # both off: Unsloth takes the model's own


def _length_back(keys: Keys) -> Values:
    return {"max_length": keys.get(f"{ARGS}max_length") or keys.get(f"{ARGS}max_seq_length") or keys.get(LENGTH)}


TABLE: tuple[Translation, ...] = (
    Translation(("model",), (NAME,), lambda recipe, _: {NAME: recipe.model}, lambda keys: trl.model_back(keys, NAME)),
    Translation(
        ("method",),
        (f"{LOADER}load_in_4bit", f"{LOADER}full_finetuning"),
        _method_out,
        _method_back,
        "4-bit is Unsloth's default",
    ),
    *(with_prefix(entry, ARGS) for entry in TRAINER_TABLE),
    Translation(
        ("max_length",),
        (LENGTH, f"{ARGS}max_length"),
        lambda recipe, _: {LENGTH: recipe.max_length, f"{ARGS}max_length": recipe.max_length},
        _length_back,
        "said twice, to the loader and to the trainer",
    ),
    *(with_prefix(entry, ARGS) for entry in same("packing")),
    Translation(
        ("gradient_checkpointing",),
        (f"{LOADER}{CHECKPOINTING}",),
        lambda recipe, _: {f"{LOADER}{CHECKPOINTING}": "unsloth" if recipe.gradient_checkpointing else False},
        lambda keys: {"gradient_checkpointing": bool(keys.get(f"{LOADER}{CHECKPOINTING}"))},
        'on is "unsloth", which also offloads to main memory',
    ),
    Translation(
        ("precision",),
        (f"{LOADER}dtype", f"{ARGS}bf16", f"{ARGS}fp16"),
        _precision_out,
        _precision_back,
        "auto: left to Unsloth, which takes bf16 where the GPU has it",
    ),
    *lora_table(LORA),
    *(entry for entry in trl.TABLE if entry.ours == ("early_stopping_patience",)),
)


def lost(recipe: Recipe) -> tuple[Lost, ...]:
    """What an Unsloth script cannot be told."""
    found = list(trainer_lost(recipe))
    if recipe.precision == "fp32":
        found.append(Lost("precision", "fp32", "trains in the GPU's half precision"))
    if recipe.init_adapter is not None:
        found.append(Lost("init_adapter", recipe.init_adapter, "begins with a fresh adapter"))
    return tuple(found)
