"""Values that Axolotl says in another way than a recipe: each as its keys, and back."""

from __future__ import annotations

from tunewright.schema.errors import RecipeError
from tunewright.schema.recipe import Recipe
from tunewright.trainers import trainer_keys
from tunewright.trainers.translation import Keys, Values, targets


def method_out(recipe: Recipe, _: int) -> Values:
    if recipe.method == "full":
        return {}
    return {"adapter": recipe.method, "load_in_4bit": True if recipe.method == "qlora" else None}


def method_back(keys: Keys) -> Values:
    adapter = keys.get("adapter")
    if adapter not in (None, "lora", "qlora"):
        raise RecipeError(f"adapter: {adapter}: only lora, qlora and none are trained here")
    return {"method": "full" if adapter is None else "qlora" if keys.get("load_in_4bit") else "lora"}


def schedule_out(recipe: Recipe, steps: int) -> Values:
    found = trainer_keys.schedule_out(recipe, steps)
    return {"lr_scheduler": found["lr_scheduler_type"], "lr_scheduler_kwargs": found["lr_scheduler_kwargs"]}


def schedule_back(keys: Keys) -> Values:
    floor = keys.get("cosine_min_lr_ratio")
    if keys.get("lr_scheduler") == "cosine" and floor:
        return {"lr_scheduler_type": "cosine_with_min_lr", "lr_floor": float(floor)}
    return trainer_keys.schedule_back({**keys, "lr_scheduler_type": keys.get("lr_scheduler")})


def warmup_back(keys: Keys) -> Values:
    if keys.get("warmup_steps") is None and keys.get("warmup_ratio") is None:
        return {"warmup_ratio": 0.03}  # what Axolotl takes by itself, up to 100 steps
    return trainer_keys.warmup_back(keys)


def precision_out(recipe: Recipe, _: int) -> Values:
    switches: dict[str, Values] = {
        "auto": {"bf16": "auto"},
        "bf16": {"bf16": True},
        "fp16": {"fp16": True, "bf16": False},
        "fp32": {"bf16": False, "fp16": False, "tf32": False},
    }
    return switches[recipe.precision]


def precision_back(keys: Keys) -> Values:
    bf16 = keys.get("bf16", "auto")
    if keys.get("fp16"):
        return {"precision": "fp16"}
    return {"precision": "auto" if bf16 in ("auto", None) else "bf16" if bf16 else "fp32"}


def target_out(recipe: Recipe, _: int) -> Values:
    if recipe.method == "full":
        return {}
    found = targets(recipe.lora_target)
    return {"lora_target_linear": True} if isinstance(found, str) else {"lora_target_modules": list(found)}


def target_back(keys: Keys) -> Values:
    names = keys.get("lora_target_modules")
    if keys.get("lora_target_linear") or names == "all-linear":
        return {"lora_target": "all"}
    return {"lora_target": tuple(names)} if isinstance(names, (list, tuple)) else {}


def packing_out(recipe: Recipe, _: int) -> Values:
    if not recipe.packing:
        return {"sample_packing": False}
    return {"sample_packing": True, "eval_sample_packing": False, "attn_implementation": "flash_attention_2"}


TRACKERS: dict[str, Values] = {
    "tensorboard": {"use_tensorboard": True},
    "wandb": {"use_wandb": True, "wandb_project": "tunewright"},
    "mlflow": {"use_mlflow": True, "mlflow_experiment_name": "tunewright"},
    "trackio": {"use_trackio": True, "trackio_project_name": "tunewright"},
}


def trackers_out(recipe: Recipe, _: int) -> Values:
    return {key: value for name in recipe.report_to for key, value in TRACKERS[name].items()}


def trackers_back(keys: Keys) -> Values:
    used = {name: keys.get(f"use_{name}") for name in TRACKERS}
    used["wandb"] = used["wandb"] or keys.get("wandb_project")
    return {"report_to": [name for name in TRACKERS if used[name]]}


def best_out(recipe: Recipe, _: int) -> Values:
    return {"early_stopping_patience": recipe.early_stopping_patience or None}
