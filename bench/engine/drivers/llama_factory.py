"""LLaMA-Factory, by its own entry point, on rows that are already tokens."""

from __future__ import annotations

from pathlib import Path

from datasets import DatasetDict
from llamafactory.train.tuner import run_exp
from transformers.utils import logging

from bench.engine.drivers.serve import serve
from bench.engine.drivers.trainer import Clock, arguments, data_of
from bench.engine.orders import Order, Report


def train(order: Order) -> Report:
    logging.set_verbosity_error()
    clock = Clock()
    tokens = Path(order.scratch) / "tokens"
    DatasetDict({"train": data_of(order)}).save_to_disk(tokens)
    run_exp(
        {
            **arguments(order),
            "stage": "sft",
            "do_train": True,
            "model_name_or_path": order.base,
            "adapter_name_or_path": order.adapter,
            "finetuning_type": "lora",
            "lora_rank": order.rank,
            "lora_alpha": int(order.alpha),
            "lora_target": "all",
            "infer_dtype": "float32",
            "dataset": "bench",
            "template": "empty",
            "tokenized_path": str(tokens),
            "disable_shuffling": True,
            "disable_gradient_checkpointing": True,
            "overwrite_output_dir": True,
        },
        callbacks=[clock],
    )
    return clock.report()


if __name__ == "__main__":
    serve(train)
