"""What a reader should know before starting: each caution a small rule, one sentence or nothing."""

from __future__ import annotations

from tunewright.planner.batch import effective_batch_for
from tunewright.planner.draft import Draft
from tunewright.planner.memory import budget_GiB
from tunewright.planner.preset import Preset
from tunewright.planner.words import counted, figure
from tunewright.schema.plan import Cost

FEW_ROWS = 100
FEW_VAL_ROWS = 30
FEW_STEPS = 100
SUSPICIOUS_EPOCHS = 5


def cautions(draft: Draft, cost: Cost, preset: Preset | None) -> tuple[str, ...]:
    """Every caution that applies, most important first."""
    found = (
        _memory(draft, cost),
        _few_rows(draft),
        _validation(draft),
        _cut(draft),
        _context(draft),
        _few_steps(cost),
        _epochs(draft),
        _effective(draft, preset),
        _preset_rows(draft, preset),
        _stage(draft),
        _device(draft),
        _number_format(draft),
    )
    return tuple(text for text in found if text)


def _memory(draft: Draft, cost: Cost) -> str:
    room_GiB = budget_GiB(draft.facts.machine)
    peak_GiB = max(cost.train_peak_GiB, cost.eval_peak_GiB)
    if peak_GiB <= room_GiB:
        return ""
    ways = [
        "a smaller model",
        *(["--method qlora"] if draft["method"] == "lora" and draft.facts.machine.device == "cuda" else []),
        *(["--method lora"] if draft["method"] == "full" else []),
        *(["--set gradient_checkpointing=true"] if not draft["gradient_checkpointing"] else []),
    ]
    return (
        f"does not fit: about {peak_GiB:.1f} GiB are needed, {room_GiB:.1f} of "
        f"{draft.facts.machine.memory_GiB:.1f} GiB may be used (estimated until measured); try {' or '.join(ways)}"
    )


def _few_rows(draft: Draft) -> str:
    rows = draft.facts.data.rows
    if rows >= FEW_ROWS:
        return ""
    return f"only {counted(rows, 'training row')}: below {FEW_ROWS} a model learns wordings rather than the matter"


def _validation(draft: Draft) -> str:
    val_rows = draft.facts.data.val_rows
    if not val_rows:
        return "no validation rows: overfitting cannot be seen and nothing stops the run early; give --val or val_size"
    if val_rows < FEW_VAL_ROWS:
        return f"only {counted(val_rows, 'validation row')}: small differences of the validation loss will be noise"
    return ""


def _cut(draft: Draft) -> str:
    data, max_length = draft.facts.data, draft["max_length"]
    if draft["stage"] == "pt" or max_length is None or data.length_max <= max_length:
        return ""
    longest = f"the longest has {data.length_max:,}"
    return f"rows longer than {max_length:,} tokens are cut ({longest}): their ends are not learned"


def _context(draft: Draft) -> str:
    context, max_length = draft.facts.model.context, draft["max_length"]
    if max_length is None or max_length <= context:
        return ""
    return f"max_length = {max_length:,} is more than the {context:,} tokens {draft.facts.model.name} was made for"


def _few_steps(cost: Cost) -> str:
    if cost.steps >= FEW_STEPS:
        return ""
    return f"only {counted(cost.steps, 'optimizer step')}: below {FEW_STEPS} warm-up and schedule have little room"


def _epochs(draft: Draft) -> str:
    epochs = draft["num_train_epochs"]
    if epochs <= SUSPICIOUS_EPOCHS or draft["max_steps"]:
        return ""
    return (
        f"{figure(epochs)} epochs: The Training Process says that beyond 5 usually means overfitting, LLM Fine-Tuning "
        "Guide: Understanding Training Parameters asks for 5-8 on 500-1,000 rows; the validation loss decides"
    )


def _effective(draft: Draft, preset: Preset | None) -> str:
    """A batch that no longer is the preset's, or one below what the guides call the least."""
    batch, accumulation = draft["per_device_train_batch_size"], draft["gradient_accumulation_steps"]
    effective = batch * accumulation
    keys = ("per_device_train_batch_size", "gradient_accumulation_steps")
    named = {value.key: value.value for value in preset.values if value.key in keys} if preset else {}
    if preset and len(named) == 2 and effective != named[keys[0]] * named[keys[1]]:
        asked = named[keys[0]] * named[keys[1]]
        return (
            f"effective batch is {batch} x {accumulation} = {effective}, the preset {preset.name} means {asked}: "
            f"set both {keys[0]} and {keys[1]} to keep it"
        )
    usual = effective_batch_for(draft.facts.data.rows, draft["num_train_epochs"])
    if effective >= min(8, usual):
        return ""
    return f"effective batch is {effective}: the guides ask for at least 8, small batches are noisy"


def _preset_rows(draft: Draft, preset: Preset | None) -> str:
    rows = draft.facts.data.rows
    if preset is None or preset.rows is None or preset.rows[0] <= rows <= preset.rows[1]:
        return ""
    low, high = preset.rows
    return f"preset {preset.name} was written for {low:,}-{high:,} rows, here are {rows:,}"


def _stage(draft: Draft) -> str:
    found, asked = draft.facts.data.stage, draft["stage"]
    return "" if found == asked else f"stage is {asked}, but the rows were read for stage {found}"


def _device(draft: Draft) -> str:
    device = draft.facts.machine.device
    slow = draft["method"] == "qlora" and device != "cuda"
    return f"QLoRA on {device} works but is slow: a 4-bit base saves memory, not time" if slow else ""


def _number_format(draft: Draft) -> str:
    unknown = draft["precision"] == "fp16" and draft.facts.machine.device == "cpu"
    return "precision is fp16, which CPUs have no fast form of: this run computes in fp32" if unknown else ""
