"""Makes the committed trainer_state.json files with the real Trainer on a tiny random model (about a minute on CPU).

    python tests/curve/make_fixtures.py            # writes tests/curve/fixtures/

The logs of other tools are made by tests/curve/writers/with_*.py, each in an environment that has its tool.

Runs: healthy; weights that become NaN at step 40, with the Trainer's NaN filter on (its default) and off; all labels
masked; a learning rate far too high; a frozen model; a stopped run that left only checkpoints. Versions are noted in
fixtures/MANIFEST.json.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.utils.data import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

sys.path.insert(1, str(Path(__file__).parent / "writers"))

from common import keep_state, note

FIXTURES = Path(__file__).parent / "fixtures"
NAMES = ("healthy", "nan_hidden", "nan_shown", "all_masked", "too_hot", "frozen", "killed")
VOCABULARY, LENGTH = 48, 24


class Chains(Dataset[dict[str, torch.Tensor]]):
    """Rows of a noisy first-order chain: learnable, with a floor above 0."""

    def __init__(self, count: int, seed: int, masked: bool = False) -> None:
        draw = torch.Generator().manual_seed(seed)
        successor = torch.randperm(VOCABULARY, generator=torch.Generator().manual_seed(1))
        rows = torch.randint(VOCABULARY, (count, LENGTH), generator=draw)
        for t in range(1, LENGTH):
            follows = torch.rand(count, generator=draw) < 0.8
            rows[:, t] = torch.where(follows, successor[rows[:, t - 1]], rows[:, t])
        self.rows, self.masked = rows, masked

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        ids = self.rows[index]
        return {"input_ids": ids, "labels": torch.full_like(ids, -100) if self.masked else ids}


class Poison(TrainerCallback):
    """Makes one weight NaN after a given step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if state.global_step == self.step:
            with torch.no_grad():
                model.lm_head.weight[0, 0] = float("nan")


def train(folder: Path, *, masked: bool = False, poison: int = 0, frozen: bool = False, **settings: Any) -> Path:
    transformers.set_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=LENGTH,
    )
    model = LlamaForCausalLM(config)
    if frozen:
        settings["learning_rate"] = 0.0
    values: dict[str, Any] = {
        "num_train_epochs": 3,
        "learning_rate": 5e-3,
        "warmup_steps": 5,
        "lr_scheduler_type": "cosine",
        "logging_steps": 1,
        "eval_steps": 12,
        "report_to": [],
        "disable_tqdm": True,
        **settings,
    }
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=8,
        eval_strategy="steps",
        eval_on_start=True,
        save_strategy=values.pop("save_strategy", "no"),
        use_cpu=True,
        seed=0,
        **values,
    )
    callbacks: list[TrainerCallback] = [Poison(poison)] if poison else []
    data, held_out = Chains(256, 2, masked), Chains(64, 3, masked)
    trainer = Trainer(model, arguments, train_dataset=data, eval_dataset=held_out, callbacks=callbacks)
    trainer.train()
    trainer.save_state()
    return folder / "trainer_state.json"


def keep(state: Path, name: str) -> None:
    keep_state(state, FIXTURES / name)


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        keep(train(root / "a"), "healthy/trainer_state.json")
        keep(train(root / "b", poison=40), "nan_hidden/trainer_state.json")
        keep(train(root / "c", poison=40, logging_nan_inf_filter=False), "nan_shown/trainer_state.json")
        keep(train(root / "d", masked=True), "all_masked/trainer_state.json")
        keep(train(root / "e", learning_rate=1.0, warmup_steps=0, logging_steps=10), "too_hot/trainer_state.json")
        keep(train(root / "f", frozen=True), "frozen/trainer_state.json")
        train(root / "g", save_strategy="steps", save_steps=24)
        for step in (24, 72):
            saved = root / "g" / f"checkpoint-{step}" / "trainer_state.json"
            keep(saved, f"killed/checkpoint-{step}/trainer_state.json")
        shutil.rmtree(root / "g")
    for name in NAMES:
        note(FIXTURES / name, "Trainer on a tiny random model", "transformers", "torch")


if __name__ == "__main__":
    main()
