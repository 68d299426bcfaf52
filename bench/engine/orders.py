"""What a contestant is told to train, and what it reports: plain data, read in every contestant's own environment."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

Layout = Literal["padded", "padding_free", "packed"]


@dataclass(frozen=True)
class Order:
    """One adapter to train from its first state for one pass over ``rows``, which lie in the order of training.

    base, adapter: folders; rows: a JSONL file of ``{"ids": [...], "supervised": [...]}``.
    layout: how a batch is laid out, where a contestant has a choice; packed: rows joined to ``packed_length`` tokens.
    scratch: a folder for what a contestant writes by the way.
    """

    base: str
    adapter: str
    rows: str
    steps: int
    learning_rate: float
    rank: int
    alpha: float
    batch_rows: int
    packed_length: int
    scratch: str
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0
    layout: Layout = "padded"

    def read_rows(self) -> list[dict[str, list[int]]]:
        """The rows of all steps."""
        with open(self.rows, encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        return rows[: self.steps * self.batch_rows]


@dataclass(frozen=True)
class Report:
    """What came of an order. One entry per optimizer step: loss (nats per supervised token), the clock at the step's
    end (seconds), the processor time of the whole process by then (seconds of all threads together), input tokens
    without pads, and supervised tokens.

    setup_s: from the order to the first step (loading, preparing the data); train_s: all the steps.
    """

    losses: list[float]
    ends_s: list[float]
    ends_cpu_s: list[float]
    tokens: list[int]
    supervised: list[int]
    setup_s: float
    train_s: float


def labels_of(row: dict[str, list[int]]) -> list[int]:
    """A row's labels as Trainer takes them: -100 where nothing is trained on."""
    return [token if on else -100 for token, on in zip(row["ids"], row["supervised"], strict=True)]
