"""The planner: facts in, a recipe with a reason and a source for every key out. No clock, file, network or torch.

Precedence, highest first: what the user gave, ``--task``, the preset, ``--vram``, past runs, the rules. Rules run in
a fixed order, each may read what is settled before it, and none overrules anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tunewright.planner import adapter, batch, plain, run_length
from tunewright.planner.cautions import cautions
from tunewright.planner.cost import predicted_cost
from tunewright.planner.draft import Draft, Facts
from tunewright.planner.learning_rate import learning_rate
from tunewright.planner.memory import MeasuredMemory
from tunewright.planner.past import settled_by_past
from tunewright.planner.preset import Preset
from tunewright.planner.presets import find_preset
from tunewright.planner.sources import GIVEN
from tunewright.planner.stages import stages_for
from tunewright.planner.tasks import check_vram, task_values, vram_values
from tunewright.schema.errors import DataError
from tunewright.schema.facts import DataFacts, MachineFacts, ModelFacts, PastRun
from tunewright.schema.measured import NoiseScale, Pace
from tunewright.schema.plan import Plan, PlannedValue, Stage
from tunewright.schema.recipe_io import KEYS, make_recipe

Rule = Callable[[Draft], PlannedValue]

# in the order in which they need one another: data, adapter, length, memory, rate, the rest
RULES: Mapping[str, Rule] = {
    "stage": plain.stage,
    "val": plain.val,
    "test": plain.test,
    "val_size": plain.val_size,
    "template": plain.template,
    "loss_on": plain.loss_on,
    "max_length": plain.max_length,
    "packing": plain.packing,
    "seed": plain.seed,
    "reshuffle": plain.reshuffle,
    "replay": plain.replay,
    "precision": adapter.precision,
    "optim": plain.optim,
    "lora_rank": adapter.lora_rank,
    "lora_alpha": adapter.lora_alpha,
    "lora_dropout": adapter.lora_dropout,
    "lora_target": adapter.lora_target,
    "modules_to_save": adapter.modules_to_save,
    "init_adapter": adapter.init_adapter,
    "num_train_epochs": run_length.num_train_epochs,
    "average_share": plain.average_share,
    "method": adapter.method,
    "gradient_checkpointing": adapter.gradient_checkpointing,
    "per_device_train_batch_size": batch.per_device_train_batch_size,
    "gradient_accumulation_steps": batch.gradient_accumulation_steps,
    "per_device_eval_batch_size": batch.per_device_eval_batch_size,
    "max_steps": run_length.max_steps,
    "warmup_steps": run_length.warmup_steps,
    "warmup_ratio": run_length.warmup_ratio,
    "learning_rate": learning_rate,
    "lr_scheduler_type": run_length.lr_scheduler_type,
    "lr_floor": plain.lr_floor,
    "lr_step_size": plain.lr_step_size,
    "lr_step_gamma": plain.lr_step_gamma,
    "decay_share": run_length.decay_share,
    "weight_decay": plain.weight_decay,
    "max_grad_norm": plain.max_grad_norm,
    "adam_beta1": plain.adam_beta1,
    "adam_beta2": plain.adam_beta2,
    "logging_steps": plain.logging_steps,
    "eval_steps": run_length.eval_steps,
    "save_steps": run_length.save_steps,
    "early_stopping_patience": run_length.early_stopping_patience,
    "report_to": plain.report_to,
}

LEARNED_KEYS = ("num_train_epochs", "learning_rate")
"""Keys that past runs of the same model may settle."""

READING_KEYS = ("stage", "loss_on", "max_length", "val_size", "seed")
"""Keys that decide how the data is read, split and cut, before any fact about it is known."""


def make_plan(
    data: DataFacts,
    model: ModelFacts,
    machine: MachineFacts,
    *,
    given: Mapping[str, Any],
    preset: str | None = None,
    task: str | None = None,
    vram_GiB: float | None = None,
    measured: MeasuredMemory | None = None,
    pace: Pace | None = None,
    noise: NoiseScale | None = None,
    past: tuple[PastRun, ...] = (),
) -> Plan:
    """A plan whose every recipe key has a value, a reason and a source.

    given    : recipe keys set by the user, ``data`` among them; they always survive
    preset   : a name in :data:`tunewright.planner.presets.PRESETS`
    task     : simple, regular or complex: the guide's rank and alpha for such a task
    vram_GiB : plan for a GPU of this memory instead of ``machine``
    measured : two fitted memory lines; they replace the estimate and overrule the guide's memory table
    pace     : measured tokens per second; they replace the guess at the seconds
    noise    : the measured gradient noise scale; it may change how many rows make a step
    past     : runs of this model that ended earlier; on similar data they go before the rules

    Raises DataError without training rows, RecipeError for given values that cannot be meant (all at once),
    UsageError for an unknown preset or task.
    """
    if data.rows < 1:
        raise DataError("no training rows: nothing can be planned", hint="tunewright check DATA")
    check_vram(vram_GiB)
    facts = Facts(data, model, _machine_for(machine, vram_GiB), vram_GiB, measured, pace, noise, past)
    chosen = find_preset(preset) if preset else None
    draft = Draft(facts).with_values(_given_values(given, model))
    draft = draft.with_values(task_values(task) if task else ())
    draft = draft.with_values(chosen.planned(facts) if chosen else ())
    draft = draft.with_values(_vram_values(draft))
    draft = _by_rules(draft)
    return _finished(draft, chosen)


def settings_before_reading(
    given: Mapping[str, Any], *, context: int, preset: str | None = None, vram_GiB: float | None = None
) -> dict[str, Any]:
    """What is known of :data:`READING_KEYS` before the data is read, so that it is read as it will be planned.

    A range of lengths counts with its upper end here: the plan may then go down to a length that cuts nothing.
    ``context``: the model's. Keys nobody has set are absent.
    """
    no_rows = DataFacts(1, 0, 0, 0, context, context, 0, str(given.get("stage") or "sft"))
    facts = Facts(no_rows, ModelFacts("the model", "", 0, 0, 0, 0, context, (), 0.0), MachineFacts("cpu", 0, False, 1))
    known: dict[str, Any] = {key: given[key] for key in READING_KEYS if given.get(key) is not None}
    values = find_preset(preset).planned(replace(facts, data=replace(no_rows, length_max=2**31))) if preset else ()
    for value in (*values, *vram_values(replace(facts, vram_GiB=vram_GiB))):
        if value.key in READING_KEYS:
            known.setdefault(value.key, value.value)
    return known


def _machine_for(machine: MachineFacts, vram_GiB: float | None) -> MachineFacts:
    """The machine to plan for: with ``--vram`` a CUDA GPU of that memory, whatever is here."""
    if vram_GiB is None:
        return machine
    # every GPU sold since 2020 computes in bf16
    return replace(machine, device="cuda", memory_GiB=vram_GiB, bf16=machine.bf16 or machine.device != "cuda")


def _given_values(given: Mapping[str, Any], model: ModelFacts) -> list[PlannedValue]:
    """The user's values, checked together and in the types of the recipe."""
    checked = make_recipe({"model": model.name, **given})
    values = [PlannedValue(key, getattr(checked, key), "You set it.", GIVEN) for key in KEYS if key in given]
    if "model" not in given:
        values.append(PlannedValue("model", model.name, "The model whose facts were read.", GIVEN))
    return values


def _vram_values(draft: Draft) -> tuple[PlannedValue, ...]:
    """The memory table's values; its batch and accumulation are one pair, taken together or not at all."""
    pair = ("per_device_train_batch_size", "gradient_accumulation_steps")
    values = vram_values(draft.facts)
    if any(key in draft for key in pair):
        return tuple(value for value in values if value.key not in pair)
    return values


def _by_rules(draft: Draft) -> Draft:
    for key, rule in RULES.items():
        if key not in draft:
            learned = settled_by_past(draft, key) if key in LEARNED_KEYS else None
            draft = draft.with_values([rule(draft) if learned is None else learned])
    return draft


def _finished(draft: Draft, preset: Preset | None) -> Plan:
    cost = predicted_cost(draft)
    return Plan(
        recipe=draft.recipe(),
        values=tuple(draft.settled[key] for key in KEYS),
        predicted=cost,
        stages=_stages(draft),
        warnings=cautions(draft, cost, preset),
    )


def _stages(draft: Draft) -> tuple[Stage, ...]:
    """Raw text alone asks for a second stage of general instructions; instructions alone are one stage."""
    data = draft.facts.data
    # raw text is counted in documents, not in the blocks they are joined to
    return stages_for(max(1, data.distinct_prompts), None) if draft["stage"] == "pt" else stages_for(None, data.rows)
