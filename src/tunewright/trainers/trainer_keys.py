"""The keys of transformers' TrainingArguments, which TRL, Unsloth and LLaMA-Factory all inherit.

Names and defaults read from transformers 5.23 (2026-08), and 5.6 where LLaMA-Factory 0.9.5 still pins it.
"""

from __future__ import annotations

from typing import Any, get_args

from tunewright.curve.beside import OUR_SCHEDULES
from tunewright.schema.recipe import PLATEAU_FACTOR, PLATEAU_PATIENCE, Recipe, Tracker
from tunewright.trainers.translation import Keys, Lost, Translation, Values, choice, fixed, same

OPTIMIZERS = {"adamw": "adamw_torch", "adamw_8bit": "adamw_bnb_8bit", "sgd": "sgd"}
OTHER_OPTIMIZERS = {
    "adamw": ("adamw_torch_fused", "adamw_hf", "adamw_torch_xla", "adamw_apex_fused"),
    "adamw_8bit": ("adamw_8bit", "paged_adamw_8bit"),
}
PLATEAU = {"factor": PLATEAU_FACTOR, "patience": PLATEAU_PATIENCE}

DEFAULTS: Values = {
    "per_device_train_batch_size": 8,
    "per_device_eval_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "num_train_epochs": 3.0,
    "max_steps": -1,
    "learning_rate": 5e-5,
    "lr_scheduler_type": "linear",
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "optim": "adamw_torch_fused",
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "logging_steps": 500,
    "save_strategy": "steps",
    "save_steps": 500,
    "report_to": "none",
    "seed": 42,
    "bf16": False,
    "fp16": False,
}

REMOVED = {
    "evaluation_strategy": "eval_strategy",
    "logging_dir": "the environment variable TENSORBOARD_LOGGING_DIR",
    "no_cuda": "use_cpu",
    "group_by_length": 'train_sampling_strategy="group_by_length"',
    "save_safetensors": "nothing: safetensors is the only format now",
    "overwrite_output_dir": "nothing: the folder is always written over",
    "warmup_ratio": "warmup_steps (a number below 1 is a share of all steps)",
    "fp16_backend": "nothing: there is one backend",
    "half_precision_backend": "nothing: there is one backend",
    "include_inputs_for_metrics": 'include_for_metrics=["inputs"]',
    "use_mps_device": "nothing: the device is found by itself",
    "push_to_hub_token": "hub_token",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
}
"""Gone from transformers 5, with what stands in their place."""


def whole_steps(value: Any) -> int | None:
    """A cadence in whole steps; None for a share of the run (below 1) or nothing at all."""
    return int(value) if isinstance(value, (int, float)) and value >= 1 else None


def schedule_out(recipe: Recipe, steps: int) -> Values:
    """The schedule's name and what it has to be told; a decay is told in steps."""
    kind, extra = str(recipe.lr_scheduler_type), dict[str, Any]()
    if kind == "cosine_with_min_lr":
        extra = {"min_lr_rate": recipe.lr_floor}
    if kind == "reduce_lr_on_plateau":
        extra = PLATEAU
    if kind == "wsd":
        extra = {"num_decay_steps": max(1, round(recipe.decay_share * steps)), "decay_type": "1-sqrt"}
    if kind == "constant" and recipe.warmup_steps:
        kind = "constant_with_warmup"
    names = {"step": "constant_with_warmup" if recipe.warmup_steps else "constant", "wsd": "warmup_stable_decay"}
    return {"lr_scheduler_type": names.get(kind, kind), "lr_scheduler_kwargs": extra or None}


def schedule_back(keys: Keys) -> Values:
    """The schedule; nothing for one that a recipe does not have."""
    given = keys.get("lr_scheduler_kwargs")
    extra: Keys = given if isinstance(given, dict) else {}
    kind = OUR_SCHEDULES.get(str(keys.get("lr_scheduler_type")))
    peak, lowest = keys.get("learning_rate"), extra.get("min_lr")
    floor = extra.get("min_lr_rate")
    if floor is None and isinstance(lowest, (int, float)) and isinstance(peak, (int, float)) and peak:
        floor = lowest / peak
    found: Values = {"lr_scheduler_type": kind, "lr_floor": floor}
    steps, total = extra.get("num_decay_steps"), keys.get("max_steps")
    if isinstance(steps, int) and isinstance(total, int) and 0 < steps <= total:
        found["decay_share"] = steps / total
    return found


def warmup_back(keys: Keys) -> Values:
    """Steps, or a share of all steps when the number is below 1 or only a ratio is set."""
    steps, ratio = keys.get("warmup_steps"), keys.get("warmup_ratio")
    if isinstance(steps, (int, float)) and steps >= 1:
        return {"warmup_steps": int(steps)}
    share = steps or ratio
    return {"warmup_ratio": float(share)} if isinstance(share, (int, float)) and share else {"warmup_steps": 0}


def _evaluation_back(keys: Keys) -> Values:
    if keys.get("eval_strategy", "no") != "steps":
        return {}  # off, or once per epoch: sized to the run here
    return {"eval_steps": whole_steps(keys.get("eval_steps") or keys.get("logging_steps"))}


def _saving_back(keys: Keys) -> Values:
    return {
        "save_steps": whole_steps(keys.get("save_steps")) if keys.get("save_strategy", "steps") == "steps" else None
    }


def trackers_back(value: Any) -> list[str] | None:
    """The trackers a recipe knows, of a name or a list of names."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)):
        return None
    known = get_args(Tracker)
    return list(known) if "all" in names else [name for name in names if name in known]


def _max_steps_back(keys: Keys) -> Values:
    return {"max_steps": whole_steps(keys.get("max_steps"))}


TABLE = (
    *same("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"),
    *same("num_train_epochs"),
    Translation(
        ("max_steps",),
        ("max_steps",),
        lambda recipe, _: {"max_steps": recipe.max_steps},
        _max_steps_back,
        "-1: not set",
    ),
    *same("learning_rate"),
    Translation(
        ("lr_scheduler_type", "lr_floor", "decay_share"),
        ("lr_scheduler_type", "lr_scheduler_kwargs"),
        schedule_out,
        schedule_back,
        "the same closed forms; wsd decays by 1 - sqrt over its last steps",
    ),
    Translation(
        ("warmup_steps", "warmup_ratio"),
        ("warmup_steps",),
        lambda recipe, _: {"warmup_steps": recipe.warmup_steps},
        warmup_back,
        "always whole steps: warmup_ratio is gone from transformers 5",
    ),
    *same("weight_decay", "max_grad_norm"),
    choice("optim", "optim", OPTIMIZERS, OTHER_OPTIMIZERS),
    *same("adam_beta1", "adam_beta2", "logging_steps"),
    Translation(
        ("eval_steps",),
        ("eval_strategy", "eval_steps", "eval_on_start"),
        lambda recipe, _: {"eval_strategy": "steps", "eval_steps": recipe.eval_steps, "eval_on_start": True},
        _evaluation_back,
        "on, and once before the first step; off by default there",
    ),
    Translation(
        ("save_steps",),
        ("save_strategy", "save_steps"),
        lambda recipe, _: {"save_strategy": "steps", "save_steps": recipe.save_steps},
        _saving_back,
        "a multiple of eval_steps, so that the best checkpoint can be kept",
    ),
    fixed(
        {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "greater_is_better": False},
        "the best checkpoint is loaded at the end and survives pruning",
    ),
    fixed({"logging_nan_inf_filter": False}, "a NaN loss is logged as NaN, not as the last good mean"),
    Translation(
        ("report_to",),
        ("report_to",),
        lambda recipe, _: {"report_to": list(recipe.report_to) or "none"},
        lambda keys: {"report_to": trackers_back(keys.get("report_to"))},
    ),
    *same("seed"),
)

EVALUATION_KEYS = (
    *("eval_strategy", "eval_steps", "eval_on_start"),
    *("load_best_model_at_end", "metric_for_best_model", "greater_is_better"),
)
"""Keys that only make sense where there are validation rows."""


def lost(recipe: Recipe) -> tuple[Lost, ...]:
    """What no tool built on transformers' Trainer has a word for."""
    found = []
    if recipe.lr_scheduler_type == "step":
        drop = f"x {recipe.lr_step_gamma} every {recipe.lr_step_size} steps"
        effect = f"the learning rate stays at its peak instead of falling {drop}"
        found += [Lost("lr_scheduler_type", "step", effect)]
    if recipe.lr_scheduler_type == "reduce_lr_on_plateau" and recipe.warmup_steps:
        found += [Lost("warmup_steps", recipe.warmup_steps, "that schedule has no warm-up there: full rate at once")]
    if recipe.average_share:
        effect = "what is kept are the weights of one step, not a mean (lr_scheduler_type: wsd settles them too)"
        found += [Lost("average_share", recipe.average_share, effect)]
    if recipe.reshuffle is not None:
        effect = "rows come in that tool's own order, as they do without it"
        found += [Lost("reshuffle", f"from epoch {recipe.reshuffle.from_epoch}", effect)]
    if recipe.replay is not None:
        effect = "the rows hold no general answers: old skills may be lost"
        found += [Lost("replay", f"{recipe.replay.data} {recipe.replay.share}", effect)]
    if recipe.test is not None:
        found += [Lost("test", recipe.test, "the sealed test rows are not looked at")]
    return tuple(found)
