"""What the contestants built on transformers' Trainer share: arguments, data, the base with its adapter, the clock."""

from __future__ import annotations

import time
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import AutoModelForCausalLM, TrainerCallback
from transformers.models.llama import modeling_llama  # noqa: F401  (imported before memory is counted)

from bench.engine.orders import Order, Report, labels_of


def arguments(order: Order) -> dict[str, Any]:
    """TrainingArguments of an order; the optimizer is Trainer's default, the fused AdamW of torch."""
    return {
        "output_dir": order.scratch,
        "per_device_train_batch_size": order.batch_rows,
        "num_train_epochs": 1,
        "learning_rate": order.learning_rate,
        "lr_scheduler_type": "constant",
        "weight_decay": order.weight_decay,
        "max_grad_norm": order.clip,
        "seed": order.seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "dataloader_pin_memory": False,
    }


def data_of(order: Order) -> Dataset:
    """The order's rows under Trainer's names."""
    rows = order.read_rows()
    return Dataset.from_dict({"input_ids": [row["ids"] for row in rows], "labels": [labels_of(row) for row in rows]})


def base_with_adapter(order: Order) -> PeftModel:
    """The base in float32 with the order's first adapter on it, ready to be trained."""
    base = AutoModelForCausalLM.from_pretrained(order.base, dtype=torch.float32)
    return PeftModel.from_pretrained(base, order.adapter, is_trainable=True)


class Clock(TrainerCallback):
    """Notes losses and the times of the steps; after the last one, counts the tokens of the batches trained on."""

    def __init__(self) -> None:
        self.ordered = time.perf_counter()
        self.began = self.ended = 0.0
        self.losses: list[float] = []
        self.ends_s: list[float] = []
        self.ends_cpu_s: list[float] = []
        self.tokens: list[int] = []
        self.supervised: list[int] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.began = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends_s.append(time.perf_counter())
        self.ends_cpu_s.append(time.process_time())

    def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
        if "loss" in logs:
            self.losses.append(logs["loss"])

    def on_train_end(self, *_: Any, train_dataloader: Any, **__: Any) -> None:
        self.ended = time.perf_counter()
        for batch in train_dataloader:
            mask = batch.get("attention_mask")
            self.tokens.append(int(batch["input_ids"].numel() if mask is None else mask.sum()))
            self.supervised.append(int((batch["labels"][:, 1:] != -100).sum()))

    def report(self) -> Report:
        return Report(
            self.losses,
            self.ends_s,
            self.ends_cpu_s,
            self.tokens,
            self.supervised,
            setup_s=self.began - self.ordered,
            train_s=self.ended - self.began,
        )
