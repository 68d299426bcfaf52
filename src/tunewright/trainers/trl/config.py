"""TRL's keys and ours. A script's keys are those of its calls: ``SFTConfig.learning_rate``, ``LoraConfig.r``.

Names and defaults read from trl 1.16.0 with transformers 5.23 and peft 0.21.2 (2026-08).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewright.schema.recipe import Recipe
from tunewright.trainers.peft_keys import lora_table
from tunewright.trainers.tool import source
from tunewright.trainers.trainer_keys import DEFAULTS as TRAINER_DEFAULTS
from tunewright.trainers.trainer_keys import REMOVED as TRAINER_REMOVED
from tunewright.trainers.trainer_keys import TABLE as TRAINER_TABLE
from tunewright.trainers.translation import Code, Keys, Translation, Values, same, with_prefix

VERSION = "trl 1.16.0"
ARGS, LORA, MODEL, FOUR_BIT = "SFTConfig.", "LoraConfig.", "AutoModelForCausalLM.", "BitsAndBytesConfig.load_in_4bit"
NAME, DTYPE = f"{MODEL}pretrained_model_name_or_path", f"{MODEL}dtype"
PATIENCE = "EarlyStoppingCallback.early_stopping_patience"
INIT = "PeftModel.model_id"

_OF_SFT = {"learning_rate": 2e-5, "logging_steps": 10, "bf16": None, "gradient_checkpointing": True}
_OF_SFT |= {"max_length": 1024, "packing": False}
_OF_LORA = {"r": 8, "lora_alpha": 8, "lora_dropout": 0.0}

DEFAULTS: Values = {
    **{ARGS + key: value for key, value in {**TRAINER_DEFAULTS, **_OF_SFT}.items()},
    **{LORA + key: value for key, value in _OF_LORA.items()},
}

REMOVED = {
    **{ARGS + key: ARGS + value if value.isidentifier() else value for key, value in TRAINER_REMOVED.items()},
    f"{ARGS}max_seq_length": f"{ARGS}max_length",
    f"{ARGS}dataset_batch_size": "nothing: the data is mapped row by row",
    f"{ARGS}num_of_sequences": f"{ARGS}packing with max_length",
    f"{ARGS}chars_per_token": f"{ARGS}packing with max_length",
    "SFTTrainer.tokenizer": "SFTTrainer.processing_class",
    "SFTTrainer.dataset_text_field": f"{ARGS}dataset_text_field",
    "SFTTrainer.max_seq_length": f"{ARGS}max_length",
    "SFTTrainer.packing": f"{ARGS}packing",
    "SFTTrainer.dataset_num_proc": f"{ARGS}dataset_num_proc",
    "SFTTrainer.infinite": "nothing: the data set is repeated by num_train_epochs or max_steps",
}


def _method_out(recipe: Recipe, _: int) -> Values:
    return {FOUR_BIT: True if recipe.method == "qlora" else None}


def _method_back(keys: Keys) -> Values:
    if keys.get(FOUR_BIT):
        return {"method": "qlora"}
    return {"method": "lora" if keys.get("LoraConfig") or keys.get("PeftModel") else "full"}


def _precision_out(recipe: Recipe, _: int) -> Values:
    kind, whole = recipe.precision, recipe.method == "full"
    if kind == "auto":
        dtype = "torch.float32" if whole else "torch.bfloat16 if BF16 else torch.float32"
        return {DTYPE: Code(dtype), f"{ARGS}bf16": Code("BF16"), f"{ARGS}fp16": False}
    # weights that are themselves trained stay float32: half precision would swallow small updates
    narrow = {"bf16": "torch.bfloat16", "fp16": "torch.float16", "fp32": "torch.float32"}[kind]
    dtype = "torch.float32" if whole else narrow
    return {DTYPE: Code(dtype), f"{ARGS}bf16": kind == "bf16", f"{ARGS}fp16": kind == "fp16"}


def precision_back(bf16: Any, fp16: Any, unset: str) -> str:
    """The precision two switches mean; ``unset``: what the tool takes when neither is set. Computed: "auto"."""
    if isinstance(bf16, Code) or isinstance(fp16, Code):
        return "auto"
    if fp16:
        return "fp16"
    return unset if bf16 is None else "bf16" if bf16 else "fp32"


def model_back(keys: Keys, *names: str) -> Values:
    """The model of the first of these keys that is text."""
    found = next((keys[name] for name in names if isinstance(keys.get(name), str)), None)
    return {"model": found}


TABLE: tuple[Translation, ...] = (
    Translation(
        ("model",),
        (NAME,),
        lambda recipe, _: {NAME: recipe.model},
        lambda keys: model_back(keys, NAME, "SFTTrainer.model"),
    ),
    Translation(
        ("method",), (FOUR_BIT, "LoraConfig"), _method_out, _method_back, "full: no LoraConfig; qlora: 4-bit NF4 base"
    ),
    *(with_prefix(entry, ARGS) for entry in TRAINER_TABLE),
    *(with_prefix(entry, ARGS) for entry in same("gradient_checkpointing", "max_length", "packing")),
    Translation(
        ("precision",),
        (DTYPE, f"{ARGS}bf16", f"{ARGS}fp16"),
        _precision_out,
        lambda keys: {"precision": precision_back(keys.get(f"{ARGS}bf16"), keys.get(f"{ARGS}fp16"), "bf16")},
        "TRL's own default is bf16; auto is decided when the script runs",
    ),
    *lora_table(LORA),
    Translation(
        ("init_adapter",),
        (INIT,),
        lambda recipe, _: {INIT: recipe.init_adapter},
        lambda keys: {"init_adapter": keys.get(INIT)},
        "PeftModel.from_pretrained(..., is_trainable=True)",
    ),
    Translation(
        ("early_stopping_patience",),
        (PATIENCE,),
        lambda recipe, _: {PATIENCE: recipe.early_stopping_patience or None},
        lambda keys: {"early_stopping_patience": keys.get(PATIENCE)},
        "counts evaluations; 0: no such callback",
    ),
)


def rows(keys: Keys, folder: Path) -> Values:
    """Data and validation files of the script's first two ``load_dataset`` calls."""
    found: list[str] = []
    for call in keys.get("load_dataset", ()):
        files, name = call.get("data_files"), call.get("path")
        if isinstance(files, dict):
            found += [str(one) for one in files.values() if isinstance(one, str)]
        elif isinstance(files, str) or isinstance(name, str):
            found.append(files if isinstance(files, str) else str(name))
    return {key: source(folder, name) for key, name in zip(("data", "val"), found, strict=False)}
