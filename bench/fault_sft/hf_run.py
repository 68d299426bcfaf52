"""One run of the real Hugging Face Trainer, with what an injection changes inside the training loop."""

from __future__ import annotations

import copy
import math
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast, Trainer, TrainingArguments
from transformers.trainer_utils import set_seed

from bench.fault_sft.bases import BASES, SPECIALS
from bench.fault_sft.record import Log, Record
from bench.fault_sft.rows import Example, collate, make_examples, switched
from bench.fault_sft.spec import Recipe, Spec
from bench.fault_sft.stored import load_world
from bench.fault_sft.worlds import World

SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "linear": ("linear", {}),
    "cosine": ("cosine", {}),
    "cosine_floor": ("cosine_with_min_lr", {"min_lr_rate": 0.1}),
    "constant": ("constant_with_warmup", {}),
    "wsd": ("warmup_stable_decay", {}),
}
DECAY_SHARE = 0.25
EVAL_BATCH = 64


class FaultTrainer(Trainer):
    """The Trainer with the injections of ``spec.ops`` that act while it trains."""

    def __init__(self, spec: Spec, **given: Any) -> None:
        self.spec = spec
        self.raw: dict[int, float] = {}  # step -> loss before the Trainer's NaN filter
        super().__init__(**given)

    @property
    def _now(self) -> int:
        """The step in progress, from 1."""
        return int(self.state.global_step) + 1

    def _at(self, op: str) -> bool:
        """Whether an injection at a share of the run happens in this step."""
        ops = self.spec.ops
        first = round(ops.get(op, -1) * self.spec.recipe.steps)
        return op in ops and first <= self._now - 1 < first + ops.get(f"{op}_for", 1)

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        if self._at("nan_at"):
            with torch.no_grad():
                next(p for p in model.parameters() if p.requires_grad).mul_(math.nan)
        if self._at("garbage_at"):
            self._garble(inputs)
        loss = super().training_step(model, inputs, num_items_in_batch)
        loss = loss * self.spec.ops.get("scaled_log", 1.0)
        if self._at("overflow_at"):
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(math.inf)
        if self.spec.ops.get("frozen"):
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.grad.zero_()
        self.raw[self._now] = self.raw.get(self._now, 0.0) + loss.item()
        return loss

    def _garble(self, inputs: dict[str, Any]) -> None:
        """Random tokens everywhere that is not padding: a broken batch."""
        real = inputs["attention_mask"].bool()
        drawn = torch.randint(len(SPECIALS), self.model.config.vocab_size, inputs["input_ids"].shape)
        inputs["input_ids"] = torch.where(real, drawn, inputs["input_ids"])
        inputs["labels"] = torch.where(real, drawn, inputs["labels"])

    def create_optimizer(self, *given: Any, **named: Any) -> Any:
        optimizer = super().create_optimizer(*given, **named)
        if self.spec.ops.get("no_step"):
            _leave_out_steps(optimizer, lambda: True)
        if "overflow_at" in self.spec.ops and self.spec.ops.get("scaler"):
            # what a gradient scaler does with gradients that are not finite
            _leave_out_steps(optimizer, lambda: self._at("overflow_at"))
        return optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        ops = self.spec.ops
        if not ({"schedule_share", "restart_at"} & set(ops)):
            return super().create_scheduler(num_training_steps, optimizer)
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer or self.optimizer, lambda step: _bent_cosine(step, num_training_steps, self.spec)
        )
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def _get_train_sampler(self, *given: Any, **named: Any) -> Any:
        if {"sorted", "switch"} & set(self.spec.ops):
            return SequentialSampler(self.train_dataset)
        return super()._get_train_sampler(*given, **named)


def _leave_out_steps(optimizer: Any, when: Any) -> None:
    step = optimizer.step

    def maybe(*given: Any, **named: Any) -> Any:
        return None if when() else step(*given, **named)

    optimizer.step = maybe


def _bent_cosine(step: int, total: int, spec: Spec) -> float:
    """A cosine that ends too early (its total steps were set too small), or starts again (a resume without state)."""
    warm = max(1, round(spec.recipe.warmup * total))
    if step < warm:
        return (step + 1) / warm
    share = spec.ops.get("schedule_share", 1.0)
    restart = spec.ops.get("restart_at")
    done = step / total / share
    if restart is not None and step >= restart * total:
        done = (step / total - restart) / max(1 - restart, 1e-9) * 0.5  # the rest of a longer plan
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


# --- one run -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def loaded(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerFast, World]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, PreTrainedTokenizerFast.from_pretrained(folder), load_world(folder)


def prepared_model(base: PreTrainedModel, spec: Spec) -> PreTrainedModel:
    """A fresh copy of the base, with its adapter unless everything is trained."""
    set_seed(spec.seed)
    model = copy.deepcopy(base)
    if spec.recipe.method == "full":
        return model
    from peft import get_peft_model

    wrapped: PreTrainedModel = get_peft_model(model, adapter_config(spec))
    return wrapped


def adapter_config(spec: Spec) -> Any:
    """LoRA on every linear layer, alpha twice the rank."""
    from peft import LoraConfig

    is_gpt2 = BASES[spec.base].family == "gpt2"
    return LoraConfig(
        r=spec.recipe.rank,
        lora_alpha=2 * spec.recipe.rank,
        lora_dropout=spec.recipe.dropout,
        target_modules=["c_attn", "c_proj", "c_fc"] if is_gpt2 else "all-linear",
        fan_in_fan_out=is_gpt2,
        task_type="CAUSAL_LM",
    )


def training_arguments(recipe: Recipe, seed: int, folder: str) -> TrainingArguments:
    """The recipe as the Trainer's arguments."""
    return TrainingArguments(**argument_values(recipe, seed, folder), remove_unused_columns=False)


def argument_values(recipe: Recipe, seed: int, folder: str) -> dict[str, Any]:
    """The recipe in the Trainer's own words: every step logged, an evaluation before the first."""
    steps = recipe.steps
    name, extra = SCHEDULES[recipe.schedule]
    warm = round(recipe.warmup * steps)
    if name == "warmup_stable_decay":
        extra = {"num_decay_steps": max(1, round(DECAY_SHARE * steps))}
    return {
        "output_dir": folder,
        "max_steps": steps,
        "per_device_train_batch_size": recipe.batch,
        "gradient_accumulation_steps": recipe.accumulation,
        "per_device_eval_batch_size": EVAL_BATCH,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": name,
        "lr_scheduler_kwargs": extra,
        "warmup_steps": warm,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.clip,
        "adam_beta2": recipe.beta2,
        "adam_epsilon": recipe.epsilon,
        "logging_steps": 1,
        "logging_nan_inf_filter": recipe.nan_filter,
        "eval_strategy": "steps",
        "eval_steps": max(1, steps // recipe.evals),
        "eval_on_start": True,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "log_level": "error",
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "prediction_loss_only": True,
        "seed": seed,
        "data_seed": seed,
    }


def run(spec: Spec, bases: Path) -> Record:
    """Trains and returns the record of the run."""
    base, tokenizer, world = loaded(bases / spec.base)
    train, valid = make_examples(spec, world, tokenizer)
    if "switch" in spec.ops:
        train = switched(spec, world, train, tokenizer)
    model = prepared_model(base, spec)
    with tempfile.TemporaryDirectory() as folder:
        trainer = FaultTrainer(
            spec,
            model=model,
            args=training_arguments(spec.recipe, spec.seed, folder),
            train_dataset=train,
            eval_dataset=valid,
            data_collator=collate,
        )
        before = general_loss(trainer.model, world, tokenizer)
        trainer.train()
        last_evaluation(trainer)
    after = general_loss(trainer.model, world, tokenizer)
    log = Log.of_history(trainer.state.log_history, trainer.raw)
    per_epoch = len(train) / (spec.recipe.batch * spec.recipe.accumulation)
    return Record(spec, log, spec.recipe.steps, round(per_epoch, 4), (before, after))


def last_evaluation(trainer: Trainer) -> None:
    """The end is always evaluated, whatever the interval."""
    rows = [row for row in trainer.state.log_history if "eval_loss" in row]
    if not rows or rows[-1]["step"] != trainer.state.global_step:
        trainer.evaluate()


@torch.no_grad()
def general_loss(model: Any, world: World, tokenizer: PreTrainedTokenizerFast) -> float:
    """Nats per token on texts of the pre-training: what the run has forgotten."""
    model.eval()
    examples: list[Example] = []
    for text in world.texts[:16]:
        ids = tokenizer(text[:120])["input_ids"][:64]
        examples.append({"input_ids": ids, "labels": ids})
    batch = collate(examples)
    return float(model(**batch).loss)
