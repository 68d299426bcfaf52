"""TRL's SFTTrainer: padded rows, padding-free rows, or packed ones."""

from __future__ import annotations

from typing import Any

from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

from bench.engine.drivers.serve import serve
from bench.engine.drivers.trainer import Clock, arguments, base_with_adapter, data_of
from bench.engine.orders import Order, Report


def train(order: Order) -> Report:
    clock = Clock()
    trainer = SFTTrainer(
        model=base_with_adapter(order),
        args=SFTConfig(**{**arguments(order), **_layout(order)}, train_sampling_strategy="sequential"),
        train_dataset=data_of(order),
        processing_class=AutoTokenizer.from_pretrained(order.base),
        callbacks=[clock],
    )
    trainer.train()
    return clock.report()


def _layout(order: Order) -> dict[str, Any]:
    if order.layout == "packed":  # one packed row a step holds about as many tokens as a step's rows
        return {"packing": True, "max_length": order.packed_length, "per_device_train_batch_size": 1}
    return {"padding_free": order.layout == "padding_free", "max_length": None}


if __name__ == "__main__":
    serve(train)
