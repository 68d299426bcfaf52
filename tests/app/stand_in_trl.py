"""A trainer that is quick: the few names an exported TRL script uses, with a loss that depends on the settings alone.

It stands in for TRL, transformers, peft, datasets and torch in the launched interpreter, so that starting, following,
stopping and resuming can be tested in a second. A learning rate of 1 or more gives NaN from step 5 on; a model named
"broken" fails. The real trainers are run by bench/export_runs.py.
"""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

STEP_S = float(os.environ.get("STAND_IN_STEP_S", "0"))

cuda = SimpleNamespace(is_available=lambda: False, is_bf16_supported=lambda **_: False)
float32 = bfloat16 = float16 = "float32"


class Ids(list):  # type: ignore[type-arg]
    def numel(self) -> int:
        return len(self)


class TrainerCallback:
    pass


class EarlyStoppingCallback(TrainerCallback):
    def __init__(self, early_stopping_patience: int) -> None:
        self.patience = early_stopping_patience


class LoraConfig:
    def __init__(self, **settings: Any) -> None:
        self.settings = settings


class SFTConfig(SimpleNamespace):
    pass


class AutoTokenizer:
    @classmethod
    def from_pretrained(cls, name: str) -> str:
        return name


class AutoModelForCausalLM:
    @classmethod
    def from_pretrained(cls, name: str, **_: Any) -> str:
        return name


def load_dataset(_: str, data_files: str, split: str) -> list[Any]:
    return [json.loads(line) for line in Path(data_files).read_text().splitlines()]


class Trainer:
    def __init__(self, model: Any, args: Any, train_dataset: Any, callbacks: Any = (), **_: Any) -> None:
        self.model, self.args, self.rows = model, args, train_dataset
        self.callbacks = [one for one in callbacks if not isinstance(one, EarlyStoppingCallback)]

    def add_callback(self, callback: Any) -> None:
        self.callbacks.append(callback)

    def training_step(self, model: Any, inputs: Any) -> float:
        time.sleep(STEP_S)
        return math.nan if self.args.learning_rate >= 1 and self.state.global_step >= 5 else self.loss()

    def prediction_step(self, model: Any, inputs: Any) -> float:
        return self.loss()

    def loss(self) -> float:
        return 1.0 + 3.0 * math.exp(-self.state.global_step / 8)

    def train(self, resume_from_checkpoint: bool = False) -> None:
        if os.environ.get("STAND_IN_FAILS"):
            raise ValueError("the stand-in was told to fail")
        steps = self.args.max_steps
        self.state = SimpleNamespace(
            *(), global_step=0, epoch=0.0, max_steps=steps, is_world_process_zero=True, best_metric=None
        )
        control = SimpleNamespace(should_training_stop=False, should_save=False)
        if resume_from_checkpoint:
            self.state.global_step = max(int(one.name.split("-")[1]) for one in self.outputs().glob("checkpoint-*"))
        self.tell("on_train_begin", control)
        if not resume_from_checkpoint:
            self.log(control, {"eval_loss": self.prediction_step(self.model, {"input_ids": Ids(range(7))})})
        while self.state.global_step < steps and not control.should_training_stop:
            loss = self.training_step(self.model, {"input_ids": Ids(range(10))})
            self.state.global_step += 1
            self.tell("on_step_end", control)
            self.log(control, {"loss": loss, "learning_rate": self.args.learning_rate, "note": "text"})
            if self.state.global_step % self.args.eval_steps == 0 or control.should_save:
                self.evaluate(control)
        self.log(control, {"train_runtime": 2.0, "train_loss": 1.0})
        self.tell("on_train_end", control)

    def evaluate(self, control: Any) -> None:
        loss = self.prediction_step(self.model, {"input_ids": Ids(range(7))})
        self.log(control, {"eval_loss": loss, "eval_runtime": 0.25})
        self.state.best_metric, self.state.best_global_step = loss, self.state.global_step
        folder = self.outputs() / f"checkpoint-{self.state.global_step}"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("trainer_state.json", "adapter_model.safetensors", "adapter_config.json"):
            (folder / name).write_text(str(self.state.global_step))

    def outputs(self) -> Path:
        return Path(self.args.output_dir)

    def log(self, control: Any, logs: dict[str, Any]) -> None:
        self.tell("on_log", control, logs=logs)

    def tell(self, event: str, control: Any, **more: Any) -> None:
        for callback in self.callbacks:
            if hasattr(callback, event):
                getattr(callback, event)(self.args, self.state, control, **more)

    def save_model(self, folder: str) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name in ("adapter_model.safetensors", "adapter_config.json", "training_args.bin"):
            (Path(folder) / name).write_text("best")


class SFTTrainer(Trainer):
    pass
