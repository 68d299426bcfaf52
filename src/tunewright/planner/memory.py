"""How much memory a run takes: total = fixed + rows in the batch x memory per row.

The shape is the formula "total memory = model parameters + (batch size x memory per sample)"
(Understanding Key Hyperparameters When Fine-Tuning an LLM, genmind.ch, 2025-01). The two numbers are estimated
from the model's shape until two dry steps have measured them (:func:`fitted`). All sizes are GiB = 2**30 bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunewright.schema.errors import UsageError
from tunewright.schema.facts import DataFacts, MachineFacts, ModelFacts

GIB = float(2**30)
WEIGHT_BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0}
NF4_BYTES = 0.5625
"""4 bits, and one fp32 scale per block of 64 weights: 0.5 + 4 / 64 (QLoRA, 2023-05)."""
OPTIMIZER_BYTES = {"adamw": 8.0, "adamw_8bit": 8.0, "sgd": 0.0}
"""Two fp32 moments a weight. adamw_8bit is run with fp32 moments too, so it saves nothing here."""
NORMS_AND_RESIDUALS = 8.0
"""Values of the hidden size that a decoder layer keeps beside the inputs and outputs of its linear layers."""
LIBRARIES_GIB = {"cuda": 0.8, "cpu": 0.4}
"""Device context and loaded libraries before any weight is there."""
USABLE_SHARE = {"cuda": 0.9, "cpu": 0.7}
"""Share of the memory a run may take: fragments on a GPU, other programs where memory is shared."""


@dataclass(frozen=True)
class MemoryLine:
    """``fixed_GiB + rows x per_row_GiB``. ``ceiling_rows``: so many rows were tried and ran out of memory."""

    fixed_GiB: float
    per_row_GiB: float
    ceiling_rows: int | None = None

    def at(self, rows: int) -> float:
        """Peak for ``rows`` rows at once, GiB.

        >>> MemoryLine(2.0, 0.5).at(4)
        4.0
        """
        return self.fixed_GiB + rows * self.per_row_GiB

    def rows_within(self, budget_GiB: float) -> int:
        """The most rows whose peak stays within the budget; 0 when not even one does.

        >>> MemoryLine(2.0, 0.5).rows_within(4.9)
        5
        """
        if self.at(1) > budget_GiB:
            return 0
        most = 2**20  # beyond any batch; a row that costs nothing must not divide by zero
        if self.ceiling_rows is not None:
            return min(self.ceiling_rows - 1, MemoryLine(self.fixed_GiB, self.per_row_GiB).rows_within(budget_GiB))
        if self.per_row_GiB * most <= budget_GiB - self.fixed_GiB:
            return most
        return int((budget_GiB - self.fixed_GiB) / self.per_row_GiB)


@dataclass(frozen=True)
class Memory:
    """One line for training steps, one for evaluation (which runs while the training state is still held)."""

    train: MemoryLine
    eval: MemoryLine
    measured: bool = False


@dataclass(frozen=True)
class MeasuredMemory:
    """What dry steps measured, and the settings it holds for."""

    memory: Memory
    method: str
    gradient_checkpointing: bool


def fitted(small: tuple[int, float], large: tuple[int, float]) -> MemoryLine:
    """The line through two measured (rows, peak GiB) points. A falling line, which is noise, becomes flat.

    Raises UsageError when both points have the same number of rows.

    >>> line = fitted((1, 2.5), (4, 4.0))
    >>> line.fixed_GiB, line.per_row_GiB
    (2.0, 0.5)
    """
    (few, few_GiB), (many, many_GiB) = sorted((small, large))
    if few == many:
        raise UsageError(f"memory was measured twice with {few} rows: expected two different batch sizes")
    if many_GiB <= few_GiB:
        return MemoryLine(few_GiB, 0.0)
    per_row_GiB = (many_GiB - few_GiB) / (many - few)
    return MemoryLine(few_GiB - per_row_GiB * few, per_row_GiB)


@dataclass(frozen=True)
class Load:
    """The settings that decide how much memory is needed.

    length : tokens of the longest row; averages: whether the mean of the trained weights is kept beside them
    """

    method: str
    precision: str
    optim: str
    rank: int
    length: int
    supervised_share: float
    gradient_checkpointing: bool
    averages: bool = False


def load_length(data: DataFacts, max_length: int | None) -> int:
    """Tokens of the longest row after truncation, at least 1."""
    longest = max(1, data.length_max)
    return longest if max_length is None else min(longest, max_length)


def supervised_share(data: DataFacts) -> float:
    """Share of the input tokens that are trained on; 1 for raw text, 1 when no tokens were counted."""
    return 1.0 if data.stage == "pt" or not data.tokens else min(1.0, data.supervised_tokens / data.tokens)


def estimated(model: ModelFacts, machine: MachineFacts, load: Load) -> Memory:
    """Memory from shapes alone.

    fixed    = libraries + weights + trainable x (4 weight + 4 gradient + 8 AdamW moments [+ 4 mean]) bytes
    training = activations kept for the backward pass + fp32 logits and their gradient at supervised positions
    eval     = the working set of one layer + fp32 logits; nothing is kept for a backward pass

    Full fine-tuning trains every weight in fp32, so its weights are counted once, as trainable. Checkpointing
    keeps one hidden state per layer and recomputes the rest. An estimate: dry steps measure the truth.
    """
    bytes_each = WEIGHT_BYTES[load.precision]
    fixed_GiB = (_weights(model, load, bytes_each) + _training_state(model, load)) / GIB
    fixed_GiB += LIBRARIES_GIB.get(machine.device, LIBRARIES_GIB["cpu"])
    logits = load.length * load.supervised_share * model.vocab_size * 4.0
    one_layer = load.length * _kept_per_token(model, bytes_each) / max(1, model.layers)
    training = _activations(model, load, bytes_each, one_layer) + 2 * logits
    return Memory(MemoryLine(fixed_GiB, training / GIB), MemoryLine(fixed_GiB, (one_layer + logits) / GIB))


def slot_state_GiB(model: ModelFacts, load: Load) -> float:
    """What one more slot on the same base holds: its weights, gradients and moments, GiB."""
    return _training_state(model, load) / GIB


def _weights(model: ModelFacts, load: Load, bytes_each: float) -> float:
    if load.method == "full":
        return 0.0
    if load.method == "lora":
        return model.parameters * bytes_each
    linear = min(model.parameters, sum(n_in * n_out for n_in, n_out in model.linear_in_out))
    return linear * NF4_BYTES + (model.parameters - linear) * bytes_each


def _training_state(model: ModelFacts, load: Load) -> float:
    trainable = model.parameters if load.method == "full" else model.lora_parameters(load.rank)
    return trainable * (4.0 + 4.0 + OPTIMIZER_BYTES[load.optim] + (4.0 if load.averages else 0.0))


def _kept_per_token(model: ModelFacts, bytes_each: float) -> float:
    linear = sum(n_in + n_out for n_in, n_out in model.linear_in_out)
    return bytes_each * (linear + NORMS_AND_RESIDUALS * model.hidden_size * model.layers)


def _activations(model: ModelFacts, load: Load, bytes_each: float, one_layer: float) -> float:
    all_kept = load.length * _kept_per_token(model, bytes_each)
    if not load.gradient_checkpointing:
        return all_kept
    return min(all_kept, load.length * model.layers * model.hidden_size * bytes_each + one_layer)


def budget_GiB(machine: MachineFacts) -> float:
    """The part of the machine's memory a run may take; 0 when the memory is not known."""
    known = machine.memory_GiB if math.isfinite(machine.memory_GiB) else 0.0
    return max(0.0, known) * USABLE_SHARE.get(machine.device, USABLE_SHARE["cpu"])
