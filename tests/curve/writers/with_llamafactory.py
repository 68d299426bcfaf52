"""LLaMA-Factory, really trained on the bundled tiny model, then resumed from a checkpoint (about a minute).

    python tests/curve/writers/with_llamafactory.py FIXTURES MODEL      # an environment with llamafactory

The first run is cut at step 40, ten steps after its last checkpoint; the second goes on from there to step 60, so
that the appended log holds steps 32 to 40 twice.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from common import EVERY, STEPS, keep_text, note, rows
from llamafactory.train.tuner import run_exp
from transformers import TrainerCallback


class Cut(TrainerCallback):
    """Ends the run at a step, as a kill would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = control.should_training_stop or state.global_step >= self.step


def main(fixtures: Path, model: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        turns = [{"instruction": row["prompt"], "input": "", "output": row["completion"]} for row in rows(240, 1)]
        (root / "letters.json").write_text(json.dumps(turns))
        (root / "dataset_info.json").write_text(json.dumps({"letters": {"file_name": "letters.json"}}))
        settings = {
            "model_name_or_path": model,
            "stage": "sft",
            "do_train": True,
            "finetuning_type": "lora",
            "lora_rank": 8,
            "lora_alpha": 16,
            "lora_dropout": 0.05,
            "lora_target": "all",
            "dataset": "letters",
            "dataset_dir": str(root),
            "template": "empty",
            "cutoff_len": 64,
            "val_size": 0.1,
            "output_dir": str(root / "out"),
            "per_device_train_batch_size": 2,
            "gradient_accumulation_steps": 2,
            "learning_rate": 2.0e-3,
            "lr_scheduler_type": "cosine",
            "warmup_steps": 5,
            "max_steps": STEPS,
            "logging_steps": EVERY,
            "eval_strategy": "steps",
            "eval_steps": 10,
            "save_steps": 30,
            "report_to": "none",
            "use_cpu": True,
            "seed": 0,
        }
        run_exp(dict(settings), callbacks=[Cut(40)])
        run_exp({**settings, "resume_from_checkpoint": str(root / "out/checkpoint-30")}, callbacks=[])
        target = fixtures / "llamafactory"
        keep_text(root / "out/trainer_log.jsonl", target / "log/trainer_log.jsonl")
        keep_text(root / "out/trainer_state.json", target / "state/trainer_state.json")
        (root / "train.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
        keep_text(root / "train.yaml", target / "log/train.yaml")
    note(
        target, "trained on the bundled tiny model, resumed from checkpoint-30", "llamafactory", "transformers", "torch"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
