"""One run of TRL's SFTTrainer, as its users run it: prompt and completion as text, its own tokenisation and masking."""

from __future__ import annotations

import copy
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers.trainer_utils import set_seed
from trl import SFTConfig, SFTTrainer

from bench.fault_sft.bases import CONTEXT, REPLY, USER
from bench.fault_sft.callbacks import callbacks_of
from bench.fault_sft.hf_run import adapter_config, argument_values, last_evaluation, loaded
from bench.fault_sft.record import Log, Record
from bench.fault_sft.rows import make_rows
from bench.fault_sft.spec import Spec
from bench.fault_sft.worlds import Row


def run(spec: Spec, bases: Path) -> Record:
    """Trains and returns the record of the run."""
    base, tokenizer, world = loaded(bases / spec.base)
    train, valid = make_rows(spec, world, random.Random(spec.seed))
    set_seed(spec.seed)
    with tempfile.TemporaryDirectory() as folder:
        values: dict[str, Any] = argument_values(spec.recipe, spec.seed, folder)
        trainer = SFTTrainer(
            model=copy.deepcopy(base),
            args=SFTConfig(**values, max_length=CONTEXT, packing=False, dataset_num_proc=None),
            train_dataset=_dataset(train),
            eval_dataset=_dataset(valid),
            processing_class=tokenizer,
            peft_config=adapter_config(spec) if spec.recipe.method == "lora" else None,
            callbacks=callbacks_of(spec),
        )
        trainer.train()
        last_evaluation(trainer)
    log = Log.of_history(trainer.state.log_history)
    per_epoch = len(train) / (spec.recipe.batch * spec.recipe.accumulation)
    return Record(spec, log, spec.recipe.steps, round(per_epoch, 4))


def _dataset(rows: Sequence[Row]) -> Dataset:
    texts = [{"prompt": f"{USER}{row.prompt}{REPLY}", "completion": row.answer} for row in rows]
    return Dataset.from_list(texts)
