"""What is trained: number format, method, and the adapter's rank, alpha and targets."""

from __future__ import annotations

import math

from tunewright.planner.draft import Draft
from tunewright.planner.guide_ranges import guides_on
from tunewright.planner.memory import (
    Load,
    Memory,
    budget_GiB,
    estimated,
    load_length,
    supervised_share,
)
from tunewright.planner.sources import LORA_WITHOUT_REGRET, MASTERING, QLORA, TINKER_SWEEP, TUNEWRIGHT, title
from tunewright.planner.words import figure, power_of_two_below, sentence
from tunewright.schema.facts import DataFacts, MachineFacts, ModelFacts
from tunewright.schema.plan import PlannedValue

RANKS = (16, 32, 64)
"""Ranks to choose from. Below 16 a low rank cost up to 1.4 % of loss and biased the best learning rate down."""
FIRST_PASS_LOSS = 2.0
"""Nats per token assumed for the first pass; real first passes lie below, so the need is overstated."""
BITS_PER_PARAMETER = 2.0
COMFORTABLE_ROWS = 4
"""Rows at once that plain LoRA must hold; if it cannot, a 4-bit base is the better use of the memory."""


def number_format(precision: str, machine: MachineFacts) -> str:
    """What a run with this ``precision`` computes in: ``auto`` is bf16 where a GPU has it, and a CPU has no fp16.

    >>> number_format("auto", MachineFacts("cuda", 16.0, True, 8))
    'bf16'
    """
    if precision == "auto":
        return "bf16" if machine.device == "cuda" and machine.bf16 else "fp32"
    return "fp32" if (precision, machine.device) == ("fp16", "cpu") else precision


def precision(draft: Draft) -> PlannedValue:
    """bf16 on GPUs that have it, fp16 on older ones, fp32 elsewhere."""
    machine = draft.facts.machine
    value = "fp16" if machine.device == "cuda" and not machine.bf16 else number_format("auto", machine)
    reasons = {
        "bf16": "This GPU computes in bf16: half the memory of fp32 with its range, so no loss scaling is needed.",
        "fp16": "This GPU has no bf16: fp16 halves the memory too, at the price of loss scaling.",
        "fp32": "On this device 32 bits cost no extra time for models that fit, and nothing is lost to rounding.",
    }
    return PlannedValue("precision", value, sentence(reasons[value], guides_on("precision", value)), TUNEWRIGHT)


def memory_of(draft: Draft, *, method: str, gradient_checkpointing: bool) -> Memory:
    """Measured memory when it was measured with these settings, else the estimate."""
    facts = draft.facts
    measured = facts.measured
    if measured and (measured.method, measured.gradient_checkpointing) == (method, gradient_checkpointing):
        return measured.memory
    load = Load(
        method=method,
        precision=number_format(draft["precision"], facts.machine),
        optim=draft["optim"],
        rank=draft["lora_rank"],
        length=load_length(facts.data, draft["max_length"]),
        supervised_share=supervised_share(facts.data),
        gradient_checkpointing=gradient_checkpointing,
        averages=draft["average_share"] > 0,
    )
    return estimated(facts.model, facts.machine, load)


def method(draft: Draft) -> PlannedValue:
    """LoRA, unless a GPU cannot hold the base and a few rows; full only when asked for."""
    machine = draft.facts.machine
    if draft.facts.measured:
        chosen = draft.facts.measured.method
        return PlannedValue("method", chosen, f"{chosen} is what the dry steps were measured with.", TUNEWRIGHT)
    need_GiB = memory_of(draft, method="lora", gradient_checkpointing=True).train.at(COMFORTABLE_ROWS)
    room_GiB = budget_GiB(machine)
    figures = f"{COMFORTABLE_ROWS} rows need about {need_GiB:.1f} GiB (estimated), {room_GiB:.1f} GiB may be used"
    if machine.device == "cuda" and need_GiB > room_GiB:
        why = f"LoRA on a 16-bit base would not fit: {figures}. A 4-bit base takes about a quarter of the weights."
        return PlannedValue("method", "qlora", why, QLORA)
    why = (
        f"LoRA learns as much as full fine-tuning on sets of this kind and forgets less; {figures}. "
        "Full fine-tuning only when you ask for it."
    )
    return PlannedValue("method", "lora", why, LORA_WITHOUT_REGRET)


def rank_needed(data: DataFacts, model: ModelFacts) -> float:
    """An upper bound on the rank that can store what the data says.

    ``supervised tokens x (loss / ln 2) / (2 bits x LoRA parameters per rank)``: the bits of a first pass over the
    answers, at two bits a parameter (LoRA Without Regret, 2025-09). 0 when the model has no linear layers listed.
    """
    per_rank = model.lora_parameters(1)
    bits = data.supervised_tokens * FIRST_PASS_LOSS / math.log(2)
    return bits / (BITS_PER_PARAMETER * per_rank) if per_rank else 0.0


def rank_for(data: DataFacts, model: ModelFacts) -> int:
    """The smallest of 16, 32, 64 that holds the need, 64 at most, never above the narrowest layer."""
    needed = rank_needed(data, model)
    rank = next((rank for rank in RANKS if rank >= needed), RANKS[-1])
    return min(rank, power_of_two_below(model.narrowest or rank))


def lora_rank(draft: Draft) -> PlannedValue:
    data, model = draft.facts.data, draft.facts.model
    value = rank_for(data, model)
    why = sentence(
        "Not used by full fine-tuning." if draft.get("method") == "full" else "",
        f"{data.supervised_tokens:,} supervised tokens x {FIRST_PASS_LOSS / math.log(2):.1f} bits / "
        f"(2 bits x {model.lora_parameters(1):,} parameters per rank) needs at most rank "
        f"{rank_needed(data, model):.2g};",
        f"{value} is the step of 16, 32, 64 that holds it"
        + ("." if value >= RANKS[0] else ", cut to the narrowest layer."),
        "Below 16 a rank cost up to 1.4 % of loss in public runs, above it little is gained.",
        guides_on("lora_rank", value, stage=draft["stage"]),
    )
    return PlannedValue("lora_rank", value, why, f"{LORA_WITHOUT_REGRET}; {TINKER_SWEEP}")


def lora_alpha(draft: Draft) -> PlannedValue:
    why = sentence(
        f"Fixed at 32 whatever the rank ({draft['lora_rank']} here): then the best learning rate does not move with "
        "the rank; alpha tied to the rank makes it drift.",
        guides_on("lora_alpha", 32.0),
    )
    return PlannedValue("lora_alpha", 32.0, why, LORA_WITHOUT_REGRET)


def lora_dropout(draft: Draft) -> PlannedValue:
    why = sentence(
        "0: overfitting is bounded by epochs and early stopping, and packed runs stay exact.",
        guides_on("lora_dropout", 0.0),
    )
    return PlannedValue("lora_dropout", 0.0, why, TUNEWRIGHT)


def lora_target(draft: Draft) -> PlannedValue:
    count = len(draft.facts.model.linear_in_out)
    why = sentence(
        f"All {count} linear layers, attention and MLP: attention alone learns less at equal size.",
        guides_on("lora_target", "all"),
        f"{title(MASTERING)} suggests comparing sets: sweep --grid lora_target=q_proj+v_proj,all.",
    )
    return PlannedValue("lora_target", "all", why, f"{LORA_WITHOUT_REGRET}; {QLORA}")


def modules_to_save(draft: Draft) -> PlannedValue:
    why = "None: no new tokens are added, so embeddings and head stay frozen."
    return PlannedValue("modules_to_save", (), why, TUNEWRIGHT)


def init_adapter(draft: Draft) -> PlannedValue:
    why = "None: a first run starts from the base. With one, training continues from that adapter."
    return PlannedValue("init_adapter", None, why, TUNEWRIGHT)


def gradient_checkpointing(draft: Draft) -> PlannedValue:
    """On only when fewer than a few rows fit without it: it saves memory and costs about a third more time."""
    facts = draft.facts
    if facts.measured and facts.measured.method == draft["method"]:
        on = facts.measured.gradient_checkpointing
        return PlannedValue("gradient_checkpointing", on, "As the dry steps were measured.", TUNEWRIGHT)
    plain = memory_of(draft, method=draft["method"], gradient_checkpointing=False).train
    room_GiB = budget_GiB(facts.machine)
    on = plain.rows_within(room_GiB) < COMFORTABLE_ROWS and not _one_row_is_asked(draft, plain.rows_within(room_GiB))
    figures = f"{COMFORTABLE_ROWS} rows take about {plain.at(COMFORTABLE_ROWS):.2f} of {figure(room_GiB)} GiB"
    said = "more than there is: activations are recomputed, about a third more time" if on else "no need to recompute"
    return PlannedValue("gradient_checkpointing", on, f"{figures} (estimated): {said}.", TUNEWRIGHT)


def _one_row_is_asked(draft: Draft, fitting: int) -> bool:
    """Whether a batch size somebody set already fits as it is."""
    asked = draft.get("per_device_train_batch_size")
    return asked is not None and asked <= fitting
