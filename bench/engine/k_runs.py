"""The runs behind the K curve: packed slots of our engine, and plain PEFT, from the same state on the same rows."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedConfig

from tunewright.data.tokens import TokenRow
from tunewright.engine.attach import attach_lora
from tunewright.engine.base import Base
from tunewright.engine.batcher import epoch_order
from tunewright.engine.export import peft_tensors
from tunewright.engine.job import Job
from tunewright.engine.loop import run_pack
from tunewright.engine.on_model import take_off
from tunewright.engine.prepare import slot_spec
from tunewright.schema.recipe import Recipe

GiB = 2**30
RANK, ALPHA = 16, 32.0
LOWEST_RATE, HIGHEST_RATE = 1e-4, 1e-3
WARM_STEPS = 3
ONE_AFTER_ANOTHER = 0  # in place of K


@dataclass(frozen=True)
class Setting:
    """One block of the table: rows per slot and step, and their tokens."""

    rows: int
    length: int

    @property
    def supervised(self) -> int:
        """Supervised tokens of a row."""
        return self.length // 2


@dataclass(frozen=True)
class Cell:
    """One line. K = 0: PEFT, one adapter after another. step_s: one step of all K; peak_GiB: None off a GPU."""

    setting: Setting
    K: int
    step_s: float
    peak_GiB: float | None
    losses: list[list[float]]  # [step][slot]

    @property
    def tokens_per_s(self) -> float:
        """Tokens of all slots."""
        return max(1, self.K) * self.setting.rows * self.setting.length / self.step_s


def make_model(config: PreTrainedConfig, dtype: torch.dtype, device: torch.device, seed: int) -> nn.Module:
    """Random weights, drawn from the seed."""
    torch.manual_seed(seed)
    model: nn.Module = AutoModelForCausalLM.from_config(config).to(device, dtype)
    return model


def make_rows(setting: Setting, steps: int, vocabulary: int, seed: int) -> list[TokenRow]:
    """Random tokens, every row of the setting's length, its second half supervised."""
    rng = np.random.default_rng(seed)
    mask = np.arange(setting.length) >= setting.length - setting.supervised
    return [
        TokenRow(number, rng.integers(1, vocabulary, setting.length, dtype=np.int32), mask)
        for number in range(1, steps * setting.rows + 1)
    ]


def recipes(K: int, setting: Setting, seed: int) -> list[Recipe]:
    """K runs that differ in their learning rate and in the seed of their adapter's first state, not in their data."""
    return [
        Recipe(
            model="random weights",
            data="random tokens",
            num_train_epochs=1.0,
            per_device_train_batch_size=setting.rows,
            learning_rate=rate,
            lr_scheduler_type="constant",
            lora_rank=RANK,
            lora_alpha=ALPHA,
            seed=seed,
            report_to=(),
        )
        for rate in np.geomspace(LOWEST_RATE, HIGHEST_RATE, K).tolist()
    ]


def run_packed(base: Base, setting: Setting, rows: Sequence[TokenRow], K: int, seed: int) -> Cell:
    """K slots of our engine."""
    _reset_peak(base.device)
    jobs = [Job(recipe, rows) for recipe in recipes(K, setting, seed)]
    ends: list[list[float]] = [[] for _ in jobs]
    losses: list[list[float]] = [[] for _ in jobs]

    def see(slot: int, event: dict[str, Any]) -> None:
        if "loss" in event:
            ends[slot].append(time.perf_counter())
            losses[slot].append(event["loss"])

    for outcome in run_pack(base, jobs, slots=K, on_event=see):
        if isinstance(outcome, Exception):
            raise outcome
    # the last slot's line of a step is its end
    return Cell(
        setting, K, _step_s(ends[-1]), _peak_GiB(base.device), [list(step) for step in zip(*losses, strict=True)]
    )


def run_peft(base: Base, setting: Setting, rows: Sequence[TokenRow], recipe: Recipe) -> Cell:
    """One adapter by plain PEFT, from the state our engine would draw."""
    start = peft_tensors(attach_lora(base.model, [slot_spec(recipe)]), 0)
    take_off(base.model)
    _reset_peak(base.device)
    model = _with_adapter(base.model, recipe, start)
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
    ends, losses = [], []
    for batch in _batches(rows, recipe, base.device):
        loss = model(**batch).loss
        loss.backward()
        nn.utils.clip_grad_norm_(trainable, recipe.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        losses.append([loss.item()])  # waits for the device
        ends.append(time.perf_counter())
    cell = Cell(setting, ONE_AFTER_ANOTHER, _step_s(ends), _peak_GiB(base.device), losses)
    base.model = model.unload()
    return cell


def _with_adapter(network: nn.Module, recipe: Recipe, start: dict[str, torch.Tensor]) -> PeftModel:
    config = LoraConfig(
        r=recipe.lora_rank, lora_alpha=recipe.lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    model = get_peft_model(network, config)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in start.items():
            parameters[name.replace(".weight", ".default.weight")].copy_(value)
    return model.train()


def _batches(rows: Sequence[TokenRow], recipe: Recipe, device: torch.device) -> list[dict[str, torch.Tensor]]:
    """The rows of each step, in the order our engine takes them."""
    order = epoch_order(recipe.seed, 0, len(rows)).reshape(-1, recipe.per_device_train_batch_size)
    batches = []
    for step in order.tolist():
        ids = torch.tensor(np.stack([rows[place].ids for place in step]), dtype=torch.long)
        mask = torch.tensor(np.stack([rows[place].supervised for place in step]))
        batches.append({"input_ids": ids.to(device), "labels": torch.where(mask, ids, -100).to(device)})
    return batches


def _step_s(ends: Sequence[float]) -> float:
    return statistics.median(np.diff(ends[WARM_STEPS - 1 :]).tolist())


def _reset_peak(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _peak_GiB(device: torch.device) -> float | None:
    return torch.cuda.max_memory_allocated(device) / GiB if device.type == "cuda" else None
