"""What a plan is made from: measured facts about the data, the model and the machine. Plain numbers only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DataFacts:
    """rows, val_rows: after the split; tokens: all input tokens of the training rows after truncation;
    supervised_tokens: those trained on; length_max: tokens of the longest row; distinct_prompts: after normalisation;
    sha256: of the data file, "" where it is not known."""

    rows: int
    val_rows: int
    tokens: int
    supervised_tokens: int
    length_max: int
    max_length: int
    distinct_prompts: int
    stage: str = "sft"
    sha256: str = ""


@dataclass(frozen=True)
class ModelFacts:
    """Read from a model folder's config.json (and safetensors headers), without torch.

    parameters: all weights; linear_in_out: (in, out) of every linear layer LoRA would target;
    bytes_per_weight: as stored.
    """

    name: str
    family: str
    hidden_size: int
    layers: int
    vocab_size: int
    parameters: int
    context: int
    linear_in_out: tuple[tuple[int, int], ...]
    bytes_per_weight: float

    @property
    def narrowest(self) -> int | None:
        """The smaller side of the narrowest of these layers: no rank above it says more. None without any."""
        return min((min(pair) for pair in self.linear_in_out), default=None)

    def lora_parameters(self, rank: int) -> int:
        """Trainable numbers of a LoRA of this rank on every linear layer: rank x (in + out), summed."""
        return rank * sum(n_in + n_out for n_in, n_out in self.linear_in_out)


@dataclass(frozen=True)
class MachineFacts:
    """device: "cpu", "cuda" or "mps"; memory_GiB: of that device; bf16: whether it computes in bf16 natively."""

    device: str
    memory_GiB: float
    bf16: bool
    cores: int


@dataclass(frozen=True)
class RunSummary:
    """A past run of the same data and model, as prescriptions and plans learn from it.

    config: recipe keys; forgetting: rise of general_loss at the chosen checkpoint, nats per token; changed: keys
    that differ from its parent run; None where not known.
    """

    name: str
    config: dict[str, Any]
    eval_loss: float | None
    base_eval_loss: float | None
    best_epoch: float | None
    forgetting: float | None
    health: str
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class PastRun:
    """A run that ended, with the data it was trained on; a plan learns from it.

    data_sha256: of its data file; rows: training rows; tokens_per_row: mean input tokens of a training row, None
    where the run did not record it.
    """

    summary: RunSummary
    data_sha256: str
    rows: int
    tokens_per_row: float | None
