"""A real Trainer on a random model of two narrow layers and rows of a noisy chain; a run of 60 steps takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from torch.utils.data import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

VOCABULARY, LENGTH = 32, 12


class Chains(Dataset[dict[str, torch.Tensor]]):
    """Rows of a noisy first-order chain: learnable, with a floor above 0. ``masked``: rows without any label."""

    def __init__(self, count: int, seed: int, masked: tuple[int, ...] = ()) -> None:
        draw = torch.Generator().manual_seed(seed)
        successor = torch.randperm(VOCABULARY, generator=torch.Generator().manual_seed(1))
        rows = torch.randint(VOCABULARY, (count, LENGTH), generator=draw)
        for t in range(1, LENGTH):
            follows = torch.rand(count, generator=draw) < 0.8
            rows[:, t] = torch.where(follows, successor[rows[:, t - 1]], rows[:, t])
        self.rows, self.masked = rows, set(masked)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        ids = self.rows[index]
        return {"input_ids": ids, "labels": torch.full_like(ids, -100) if index in self.masked else ids}


class Poison(TrainerCallback):
    """Makes one weight NaN after a given step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **given: Any) -> None:
        if state.global_step == self.step:
            with torch.no_grad():
                model.lm_head.weight[0, 0] = float("nan")


def make_trainer(
    folder: Path, callbacks: list[TrainerCallback], *, evals: Any = None, train: Any = None, **settings: Any
) -> Trainer:
    transformers.set_seed(0)
    sizes = {"vocab_size": VOCABULARY, "hidden_size": 16, "intermediate_size": 32, "max_position_embeddings": LENGTH}
    config = LlamaConfig(**sizes, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2)
    values: dict[str, Any] = {
        "max_steps": 60,
        "learning_rate": 1e-2,
        "warmup_steps": 5,
        "lr_scheduler_type": "cosine",
        "logging_steps": 1,
        "eval_steps": 15,
        "eval_strategy": "steps",
        "per_device_train_batch_size": 8,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        **settings,
    }
    return Trainer(
        LlamaForCausalLM(config),
        TrainingArguments(output_dir=str(folder), **values),
        train_dataset=train or Chains(256, 2),
        eval_dataset=evals or Chains(32, 3),
        callbacks=callbacks,
    )
