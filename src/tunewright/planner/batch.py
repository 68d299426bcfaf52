"""How many rows make one step: the effective batch from the data, its split from the memory."""

from __future__ import annotations

from tunewright.planner.adapter import COMFORTABLE_ROWS, memory_of
from tunewright.planner.draft import Draft
from tunewright.planner.guide_ranges import guides_on
from tunewright.planner.measured import NOISE_SOURCE, batch_advice
from tunewright.planner.memory import LIBRARIES_GIB, MemoryLine, budget_GiB
from tunewright.planner.sources import BATCH_BIAS, KEY_HYPERPARAMETERS, MASTERING, TUNEWRIGHT, title
from tunewright.planner.steps import steps_per_epoch
from tunewright.planner.tasks import EFFECTIVE_BATCH, memory_row
from tunewright.planner.words import counted, power_of_two_below, sentence
from tunewright.schema.plan import PlannedValue

STEPS_FOR = ((32, 3000), (16, 300), (8, 100), (4, 100), (2, 100))
"""Effective batch, and the optimizer steps of the whole run that must be left for it to be chosen."""
MOST_EVAL_ROWS = 32


def effective_batch_for(rows: int, epochs: float) -> int:
    """Rows per step: the largest of 32, 16, 8, 4, 2 that still leaves enough steps, else 1.

    16 wants 300 steps, 32 wants 3,000, 8 and less want 100. Memory has no say in it.

    >>> effective_batch_for(625, 8), effective_batch_for(100, 30), effective_batch_for(50_000, 2)
    (16, 8, 32)
    """
    for effective, least_steps in STEPS_FOR:
        if steps_per_epoch(rows, effective) * epochs >= least_steps and effective <= rows:
            return effective
    return 1


def _effective(draft: Draft) -> tuple[int, str]:
    """Rows a step, and where they come from: the usual rule, corrected by a measured noise scale."""
    effective, said = _usual_effective(draft)
    facts = draft.facts
    if facts.noise is None or facts.vram_GiB is not None:
        return effective, said
    advice = batch_advice(effective, facts.noise, facts.data.rows, draft["num_train_epochs"])
    if advice.effective == effective:
        return effective, f"{said}; {advice.why}"
    return advice.effective, f"effective {advice.effective}, {advice.why}"


def _usual_effective(draft: Draft) -> tuple[int, str]:
    if draft.facts.vram_GiB is not None:
        return EFFECTIVE_BATCH, f"effective {EFFECTIVE_BATCH}, which every row of the guide's memory table can make"
    rows, epochs = draft.facts.data.rows, draft["num_train_epochs"]
    if draft.get("max_steps"):
        effective = min(EFFECTIVE_BATCH, power_of_two_below(rows))
        return effective, f"effective {effective}, the usual start; max_steps fixes the number of steps"
    effective = effective_batch_for(rows, epochs)
    steps = round(steps_per_epoch(rows, effective) * epochs)
    return effective, f"effective {effective}, the largest usual one that leaves enough steps ({steps:,} here)"


def _room(draft: Draft) -> tuple[MemoryLine, MemoryLine, bool]:
    memory = memory_of(draft, method=draft["method"], gradient_checkpointing=draft["gradient_checkpointing"])
    return memory.train, memory.eval, memory.measured


def _budget_GiB(draft: Draft, measured: bool) -> float:
    """What a run may take. A GPU's peak is counted by torch, which does not see its own context."""
    machine = draft.facts.machine
    unseen_GiB = LIBRARIES_GIB["cuda"] if measured and machine.device == "cuda" else 0.0
    return max(0.0, budget_GiB(machine) - unseen_GiB)


def per_device_train_batch_size(draft: Draft) -> PlannedValue:
    """The largest power of two of rows that fits and divides the effective batch.

    While activations are recomputed, and on a 4-bit base the planner chose itself, no more than a few rows are
    taken, so that more memory never means a smaller batch.
    """
    train, _, measured = _room(draft)
    room_GiB = _budget_GiB(draft, measured)
    fitting = max(1, train.rows_within(room_GiB))
    target, because = _target_rows(draft)
    tight = draft["gradient_checkpointing"] or draft["method"] == "qlora"
    value = power_of_two_below(min(target, fitting, COMFORTABLE_ROWS if tight else target))
    why = sentence(
        f"{counted(value, 'row')} at once, {because}: about {train.at(value):.2f} of {room_GiB:.1f} GiB "
        f"({'measured' if measured else 'estimated'}; total = {train.fixed_GiB:.2f} + rows x {train.per_row_GiB:.3f}).",
        _table_said(draft),
    )
    return PlannedValue("per_device_train_batch_size", value, why, f"{KEY_HYPERPARAMETERS}; {_batch_source(draft)}")


def _batch_source(draft: Draft) -> str:
    return TUNEWRIGHT if draft.facts.noise is None else NOISE_SOURCE


def _target_rows(draft: Draft) -> tuple[int, str]:
    accumulation = draft.get("gradient_accumulation_steps")
    effective, said = _effective(draft)
    if accumulation is None:
        return effective, f"at most the {said}"
    return max(1, round(effective / accumulation)), f"with the accumulation of {accumulation} toward the {said}"


def _table_said(draft: Draft) -> str:
    machine = draft.facts.machine
    if machine.device != "cuda":
        return ""
    row = memory_row(round(machine.memory_GiB))
    return f"{title(MASTERING)} has for {machine.memory_GiB:.0f} GB: {row}."


def gradient_accumulation_steps(draft: Draft) -> PlannedValue:
    """What is missing between the rows at once and the effective batch."""
    batch = draft["per_device_train_batch_size"]
    target, said = _effective(draft)
    value = max(1, round(target / batch))
    why = sentence(
        f"{batch} rows at once x {value} = {batch * value} rows a step ({said}).",
        "Less memory means fewer rows at once and more accumulation, never another effective batch.",
        guides_on("effective_batch_size", batch * value),
    )
    source = BATCH_BIAS if draft.facts.noise is None else f"{BATCH_BIAS}; {NOISE_SOURCE}"
    return PlannedValue("gradient_accumulation_steps", value, why, source)


def per_device_eval_batch_size(draft: Draft) -> PlannedValue:
    """Evaluation keeps nothing for a backward pass, so more rows fit: the largest power of two up to 32.

    It never takes more memory than a training step does, so that training alone decides the peak.
    """
    train, evaluation, measured = _room(draft)
    room_GiB = min(_budget_GiB(draft, measured), train.at(draft["per_device_train_batch_size"]))
    value = power_of_two_below(min(MOST_EVAL_ROWS, max(1, evaluation.rows_within(room_GiB))))
    why = (
        f"No gradients are kept, so {counted(value, 'row')} take about {evaluation.at(value):.2f} of "
        f"the {room_GiB:.2f} GiB a training step takes ({'measured' if measured else 'estimated'}); "
        "it changes the time, not the result."
    )
    return PlannedValue("per_device_eval_batch_size", value, why, TUNEWRIGHT)
