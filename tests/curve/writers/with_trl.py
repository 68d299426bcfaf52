"""TRL's SFTTrainer and DPOTrainer, really trained on the bundled tiny model (about a minute).

python tests/curve/writers/with_trl.py FIXTURES MODEL      # an environment with trl
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from common import EVERY, STEPS, keep_state, note, rows
from datasets import Dataset
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

SHARED = {
    "max_steps": STEPS,
    "logging_steps": EVERY,
    "eval_strategy": "steps",
    "eval_steps": 20,
    "eval_on_start": True,
    "per_device_train_batch_size": 4,
    "save_strategy": "no",
    "report_to": [],
    "use_cpu": True,
    "bf16": False,
    "disable_tqdm": True,
    "seed": 0,
}


def main(fixtures: Path, model: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        data = {name: Dataset.from_list(rows(count, seed)) for name, count, seed in (("a", 200, 1), ("b", 20, 2))}
        sft = SFTConfig(output_dir=str(root / "sft"), learning_rate=1e-3, max_length=64, **SHARED)
        trainer = SFTTrainer(model, args=sft, train_dataset=data["a"], eval_dataset=data["b"])
        trainer.train()
        trainer.save_state()
        keep_state(root / "sft/trainer_state.json", fixtures / "trl_sft/trainer_state.json")
        pairs = {
            name: one.map(lambda row: {"chosen": row["completion"], "rejected": "zzz"}, remove_columns="completion")
            for name, one in data.items()
        }
        dpo = DPOConfig(output_dir=str(root / "dpo"), learning_rate=1e-4, max_length=64, **SHARED)
        trainer = DPOTrainer(model, args=dpo, train_dataset=pairs["a"], eval_dataset=pairs["b"])
        trainer.train()
        trainer.save_state()
        keep_state(root / "dpo/trainer_state.json", fixtures / "trl_dpo/trainer_state.json")
    for name in ("trl_sft", "trl_dpo"):
        note(fixtures / name, "trained on the bundled tiny model", "trl", "transformers", "torch")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
