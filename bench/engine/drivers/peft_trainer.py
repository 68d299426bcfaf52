"""Plain PEFT under transformers' Trainer."""

from __future__ import annotations

from transformers import AutoTokenizer, DataCollatorForSeq2Seq, Trainer, TrainingArguments

from bench.engine.drivers.serve import serve
from bench.engine.drivers.trainer import Clock, arguments, base_with_adapter, data_of
from bench.engine.orders import Order, Report


def train(order: Order) -> Report:
    clock = Clock()
    tokenizer = AutoTokenizer.from_pretrained(order.base)
    trainer = Trainer(
        model=base_with_adapter(order),
        args=TrainingArguments(**arguments(order), train_sampling_strategy="sequential"),
        train_dataset=data_of(order),
        data_collator=DataCollatorForSeq2Seq(tokenizer),
        callbacks=[clock],
    )
    trainer.train()
    return clock.report()


if __name__ == "__main__":
    serve(train)
