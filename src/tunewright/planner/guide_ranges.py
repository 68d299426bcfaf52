"""The ranges the four guides print, and what they say about a value. Shown beside every plan, obeyed by presets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tunewright.planner.sources import KEY_HYPERPARAMETERS, MASTERING, TRAINING_PROCESS, UNDERSTANDING, title
from tunewright.planner.words import figure

SEVEN_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class GuideRange:
    """One guide's word on one key: a range ``low``-``high``, both included, or the one value it ``asks`` for.

    methods, stages : the settings it speaks of; empty: any
    rows            : the number of training rows it speaks of, both included; None: any
    also            : other values that mean the same, or that the guide accepts too
    about           : what it is said of, for the reader ("for LoRA")
    """

    key: str
    source: str
    low: float | None = None
    high: float | None = None
    asks: Any = None
    also: tuple[Any, ...] = ()
    about: str = ""
    methods: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    rows: tuple[int, int] | None = None

    def speaks_of(self, method: str, stage: str, rows: int) -> bool:
        in_rows = self.rows is None or self.rows[0] <= rows <= self.rows[1]
        return in_rows and method in (self.methods or (method,)) and stage in (self.stages or (stage,))

    def judge(self, value: Any) -> str:
        """``agrees``, ``this is above it``, ``this is below it`` or ``this differs``."""
        if self.low is None or self.high is None:
            return "agrees" if value == self.asks or value in self.also else "this differs"
        if value > self.high:
            return "this is above it"
        return "this is below it" if value < self.low else "agrees"

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            said = "+".join(self.asks) if isinstance(self.asks, tuple) else figure(self.asks)
        else:
            said = figure(self.low) + ("" if self.low == self.high else f" to {figure(self.high)}")
        return said + (f" {self.about}" if self.about else "")


_LORAS = ("lora", "qlora")
_SMALL = (500, 1000)

RANGES: tuple[GuideRange, ...] = (
    GuideRange("learning_rate", TRAINING_PROCESS, 1e-5, 5e-5, about="for full fine-tuning", methods=("full",)),
    GuideRange("learning_rate", TRAINING_PROCESS, 1e-4, 3e-4, about="for LoRA", methods=("lora",)),
    GuideRange("learning_rate", TRAINING_PROCESS, 2e-4, 2e-4, about="for QLoRA", methods=("qlora",)),
    GuideRange("learning_rate", MASTERING, 5e-5, 2e-4, about="for LoRA", methods=_LORAS, stages=("sft",)),
    GuideRange("learning_rate", MASTERING, 5e-5, 1e-4, about="for pre-training", methods=_LORAS, stages=("pt",)),
    GuideRange("learning_rate", UNDERSTANDING, 5e-5, 1e-4, about="for 500-1,000 rows", stages=("sft",), rows=_SMALL),
    GuideRange("learning_rate", KEY_HYPERPARAMETERS, 1e-4, 1e-4, about="to start with", stages=("sft",)),
    GuideRange("num_train_epochs", TRAINING_PROCESS, 1, 3, about="(beyond 5 usually means overfitting)"),
    GuideRange("num_train_epochs", UNDERSTANDING, 5, 8, about="for 500-1,000 rows", stages=("sft",), rows=_SMALL),
    GuideRange("num_train_epochs", MASTERING, 2, 5, about="for instructions, at most 10", stages=("sft",)),
    GuideRange("num_train_epochs", MASTERING, 1, 2, about="for pre-training", stages=("pt",)),
    GuideRange("warmup_steps", TRAINING_PROCESS, 10, 100, about="steps"),
    GuideRange("warmup_ratio", TRAINING_PROCESS, 0.03, 0.10, about="of all steps"),
    GuideRange("warmup_ratio", MASTERING, 0.1, 0.2, about="of all steps for instructions", stages=("sft",)),
    GuideRange("warmup_ratio", MASTERING, 0.05, 0.1, about="of all steps for pre-training", stages=("pt",)),
    GuideRange("effective_batch_size", MASTERING, 8, 32, about="(at least 8, ideally 16-32)"),
    GuideRange("lora_rank", MASTERING, 8, 16, about="for a regular task", stages=("sft",)),
    GuideRange("lora_rank", MASTERING, 8, 16, about="for pre-training", stages=("pt",)),
    GuideRange("lora_rank", TRAINING_PROCESS, 16, 16),
    GuideRange("lora_alpha", MASTERING, 8, 16, about="(alpha/rank 1:1 or 2:1)"),
    GuideRange("lora_alpha", TRAINING_PROCESS, 32, 32),
    GuideRange("lora_dropout", TRAINING_PROCESS, 0.05, 0.05),
    GuideRange("lora_target", TRAINING_PROCESS, asks=SEVEN_PROJECTIONS, also=("all",)),
    GuideRange("max_length", MASTERING, 1024, 2048, about="for instructions", stages=("sft",)),
    GuideRange("max_length", MASTERING, 2048, 4096, about="for pre-training", stages=("pt",)),
    GuideRange("val_size", MASTERING, 0.1, 0.2, about="(0.2 against overfitting)"),
    GuideRange("weight_decay", UNDERSTANDING, 0.01, 0.01),
    GuideRange("lr_scheduler_type", UNDERSTANDING, asks="cosine"),
    GuideRange("lr_scheduler_type", MASTERING, asks="cosine", about="with a linear warm-up"),
    GuideRange("lr_scheduler_type", KEY_HYPERPARAMETERS, asks="linear", also=("cosine",), about="or cosine"),
    GuideRange("optim", UNDERSTANDING, asks="adamw_8bit"),
    GuideRange("precision", TRAINING_PROCESS, asks="fp16"),
    GuideRange("loss_on", UNDERSTANDING, asks="assistant", stages=("sft",)),
    GuideRange("logging_steps", UNDERSTANDING, 1, 1),
    GuideRange("logging_steps", TRAINING_PROCESS, 10, 10),
    GuideRange("eval_steps", TRAINING_PROCESS, 50, 50),
    GuideRange("seed", UNDERSTANDING, asks=3407),
)


def ranges_for(key: str, *, method: str = "lora", stage: str = "sft", rows: int = 0) -> tuple[GuideRange, ...]:
    """What the guides print for this key and these settings, in the order of :data:`RANGES`."""
    return tuple(said for said in RANGES if said.key == key and said.speaks_of(method, stage, rows))


def guides_on(key: str, value: Any, *, method: str = "lora", stage: str = "sft", rows: int = 0) -> str:
    """One sentence: each guide's range with whether ``value`` agrees; empty when no guide speaks of the key.

    >>> guides_on("weight_decay", 0.0)
    'The guides: 0.01 (LLM Fine-Tuning Guide: Understanding Training Parameters; this is below it).'
    """
    spoken_of = ranges_for(key, method=method, stage=stage, rows=rows)
    return _sentence(f"{spoken} ({title(spoken.source)}; {spoken.judge(value)})" for spoken in spoken_of)


def guides_on_warmup(steps: int, total: int, *, stage: str = "sft") -> str:
    """What the guides say of a warm-up of ``steps`` in ``total``: as a count where they print one, and as a share.

    >>> print(guides_on_warmup(16, 320, stage="pt"))  # doctest: +ELLIPSIS
    The guides: 10 to 100 steps (The Training Process; agrees), 0.03 to 0.1 of all steps (...; agrees), 0.05 to ...
    """
    # a share of 16 / 320 must not miss a bound of 0.05 by a rounding error
    share = round(steps / max(1, total), 4)
    said: list[tuple[GuideRange, float]] = [(spoken, steps) for spoken in ranges_for("warmup_steps", stage=stage)]
    said += [(spoken, share) for spoken in ranges_for("warmup_ratio", stage=stage)]
    return _sentence(f"{spoken} ({title(spoken.source)}; {spoken.judge(value)})" for spoken, value in said)


def _sentence(said: Iterable[str]) -> str:
    joined = ", ".join(said)
    return f"The guides: {joined}." if joined else ""
