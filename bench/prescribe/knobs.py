"""FAULT-SFT's settings under our names, and a prescription carried out on them by somebody who does as told.

A step that sends a person to look (at the data, the masks, the schedule, what is trainable) finds what is wrong in that
place and puts it right; a look at another place finds nothing. A person who has found a fault of the data, or of what
is trained, turns no knob in the same run but one that was told with the look, for a reason of its own; whoever takes
copies out trains as many steps as were told; a schedule put right is itself a setting, and a log on another scale
changes no run, so what was told beside them is done too. A NaN put into the weights by chance does not come back in
another run; an overflow of fp16 comes back until the precision is another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.fault_sft.bases import BASES, CONTEXT
from bench.fault_sft.spec import Recipe, Spec
from tunewright.planner.batch import effective_batch_for
from tunewright.planner.learning_rate import first_run
from tunewright.planner.run_length import epochs_for
from tunewright.prescribe.evidence.blown_up import LOOK_AS_WELL
from tunewright.prescribe.evidence.first import DATA
from tunewright.prescribe.rule import is_step
from tunewright.schema.prescription import Change, Prescription

OUR_SCHEDULES = {
    "cosine": "cosine",
    "linear": "linear",
    "cosine_floor": "cosine_with_min_lr",
    "constant": "constant",
    "wsd": "wsd",
}
THEIR_SCHEDULES = {ours: theirs for theirs, ours in OUR_SCHEDULES.items()}
# what was done to a run -> the keys under which a prescription sends a person to look there
LOOKS: Mapping[str, tuple[str, ...]] = {
    "frozen": ("method",),
    "no_step": ("method",),
    "mask_all": ("loss_on", "data"),
    "mask_rows": ("data", "loss_on"),
    "truncate": ("max_length", "data", "loss_on"),
    "noise": ("data",),
    "duplicate": ("data",),
    "garbage_at": ("data",),
    "switch": ("data", "val"),
    "shift_valid": ("val",),
    "scaled_log": ("gradient_accumulation_steps",),
    "schedule_share": ("lr_scheduler_type",),
    "restart_at": ("lr_scheduler_type",),
}
BY_CHANCE = ("nan_at",)
NO_FAULT_OF_THE_DATA = ("overflow_at", "schedule_share", "restart_at", "scaled_log")
ALL_ROWS = Recipe().rows
FIELDS = {
    "learning_rate": "learning_rate",
    "num_train_epochs": "epochs",
    "per_device_train_batch_size": "batch",
    "gradient_accumulation_steps": "accumulation",
    "warmup_ratio": "warmup",
    "weight_decay": "weight_decay",
    "max_grad_norm": "clip",
    "lora_rank": "rank",
    "lora_dropout": "dropout",
    "adam_beta2": "beta2",
}


def config_of(spec: Spec) -> dict[str, Any]:
    """The run's settings as recipe keys: what would lie beside its log."""
    recipe = spec.recipe
    config: dict[str, Any] = {ours: getattr(recipe, theirs) for ours, theirs in FIELDS.items()}
    return {
        **config,
        "method": recipe.method,
        "num_train_epochs": recipe.steps / recipe.steps_per_epoch,
        "lora_alpha": 2.0 * recipe.rank,
        "lr_scheduler_type": OUR_SCHEDULES[recipe.schedule],
        "precision": "fp16" if "overflow_at" in spec.ops else "fp32",
        "max_length": CONTEXT,
        "val": "valid.jsonl",
        "seed": spec.seed,
        "max_steps": None,
        "warmup_steps": None,
        "replay": None,
        "early_stopping_patience": 0,
    }


def usual_rate(spec: Spec) -> float:
    """Where the planner starts a run of this method on a model of this width."""
    sizes = BASES[spec.base].config
    width = int(sizes.get("hidden_size") or sizes["n_embd"])
    return first_run(spec.recipe.method, width, alpha=2.0 * spec.recipe.rank)


def usual_of(spec: Spec) -> dict[str, float]:
    """What the planner would have started such a run with, as ``next`` looks it up."""
    rows = different_rows(spec)
    epochs = epochs_for(rows)
    return {
        "learning_rate": usual_rate(spec),
        "num_train_epochs": epochs,
        "rows_a_step": effective_batch_for(rows, epochs),
    }


def different_rows(spec: Spec) -> int:
    """Rows that differ from one another."""
    return min(int(spec.ops.get("duplicate", ALL_ROWS)), spec.recipe.rows)


def followed(spec: Spec, prescription: Prescription) -> Spec | None:
    """The next run by this prescription; None when it asks for none."""
    changes = () if prescription.keep else prescription.changes
    if not changes:
        return None
    ops = {name: value for name, value in spec.ops.items() if name not in BY_CHANCE}
    looked = {change.key for change in changes if is_step(change)}
    cured = {name for name in ops if looked & set(LOOKS.get(name, ()))}
    cured |= {name for name in ("overflow_at",) if name in ops and _leaves_fp16(changes)}
    ops = {name: value for name, value in ops.items() if not any(name.startswith(one) for one in cured)}
    found_by_looking = bool(cured - set(NO_FAULT_OF_THE_DATA))
    if "duplicate" in cured:
        return replace(
            spec, recipe=_without_copies(_changed(spec.recipe, changes), int(spec.ops["duplicate"])), ops=ops
        )
    told = [change for change in changes if not found_by_looking or _whatever_is_found(change)]
    return replace(spec, recipe=_changed(spec.recipe, told), ops=ops)


def _whatever_is_found(change: Change) -> bool:
    """Whether a knob is told beside a look for a reason of its own: a slip, or a rate above the plan's bracket."""
    return change.rule == DATA.name or LOOK_AS_WELL in change.why


def _without_copies(recipe: Recipe, rows: int) -> Recipe:
    """As many steps as prescribed, on the rows that are left: that much was told."""
    return recipe.changed(rows=rows, epochs=recipe.epochs * recipe.rows / rows)


def same_run(one: Spec, other: Spec) -> bool:
    """Whether two specs train alike: a run longer than the longest is cut to it."""
    return _as_trained(one) == _as_trained(other)


def _as_trained(spec: Spec) -> Spec:
    return replace(spec, recipe=spec.recipe.changed(epochs=spec.recipe.steps / spec.recipe.steps_per_epoch))


def _leaves_fp16(changes: tuple[Change, ...]) -> bool:
    return any(change.key == "precision" and change.after != "fp16" for change in changes)


def _changed(recipe: Recipe, changes: Sequence[Change]) -> Recipe:
    """The recipe with every value that it has a field for; alpha is twice the rank there and follows it."""
    values: dict[str, Any] = {}
    for change in changes:
        if change.after is None:
            continue
        if change.key in FIELDS:
            values[FIELDS[change.key]] = change.after
        elif change.key == "lr_scheduler_type":
            values["schedule"] = THEIR_SCHEDULES.get(change.after, recipe.schedule)
    return recipe.changed(**values)
