"""Our own engine, one run at a time or packed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: F401  (imported before memory is counted)
from transformers.models.llama import modeling_llama  # noqa: F401

from bench.engine.drivers.serve import serve
from bench.engine.orders import Order, Report
from tunewright.data.tokens import TokenRow
from tunewright.engine.base import load_base
from tunewright.engine.batcher import epoch_order
from tunewright.engine.job import Job
from tunewright.engine.loop import run_job, run_pack
from tunewright.schema.recipe import Recipe


def recipe_of(order: Order) -> Recipe:
    """The recipe of an order. Its adapter need not be read: the recipe's seed draws the same one."""
    return Recipe(
        model=order.base,
        data="rows of the bench",
        num_train_epochs=1.0,
        per_device_train_batch_size=order.batch_rows,
        learning_rate=order.learning_rate,
        lr_scheduler_type="constant",
        weight_decay=order.weight_decay,
        max_grad_norm=order.clip,
        lora_rank=order.rank,
        lora_alpha=order.alpha,
        precision="fp32",
        report_to=(),
        seed=order.seed,
    )


def job_of(order: Order) -> Job:
    """The order's rows, put where the engine's own shuffling brings them back into the order of training."""
    rows = order.read_rows()
    places = epoch_order(order.seed, 0, len(rows)).tolist()
    shuffled: list[TokenRow | None] = [None] * len(rows)
    for place, row in zip(places, rows, strict=True):
        shuffled[place] = TokenRow(place + 1, np.array(row["ids"], np.int32), np.array(row["supervised"], np.bool_))
    return Job(recipe_of(order), [row for row in shuffled if row is not None])


class Clock:
    """Notes losses, times and tokens of one run's steps."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.ends_s: list[float] = []
        self.ends_cpu_s: list[float] = []
        self.total_tokens: list[int] = [0]

    def see(self, event: dict[str, Any]) -> None:
        if "loss" in event:
            self.losses.append(event["loss"])
            self.ends_s.append(time.perf_counter())
            self.ends_cpu_s.append(time.process_time())
            self.total_tokens.append(event["tokens"])

    def report(self, job: Job, setup_s: float, train_s: float) -> Report:
        places = epoch_order(job.recipe.seed, 0, len(job.train)).reshape(-1, job.recipe.per_device_train_batch_size)
        supervised = [sum(int(job.train[place].supervised[1:].sum()) for place in step) for step in places.tolist()]
        tokens = np.diff(self.total_tokens).tolist()
        return Report(self.losses, self.ends_s, self.ends_cpu_s, tokens, supervised, setup_s, train_s)


def train(order: Order) -> Report:
    ordered = time.perf_counter()
    base = load_base(order.base, precision="fp32")
    job, clock = job_of(order), Clock()
    began = time.perf_counter()
    run_job(base, job, on_event=clock.see)
    return clock.report(job, began - ordered, time.perf_counter() - began)


def train_pack(orders: Sequence[Order], slots: int) -> list[Report]:
    """All orders in one pack; ``train_s`` of each report is the whole pack's."""
    ordered = time.perf_counter()
    base = load_base(orders[0].base, precision="fp32")
    jobs, clocks = [job_of(order) for order in orders], [Clock() for _ in orders]
    began = time.perf_counter()
    outcomes = run_pack(base, jobs, slots=slots, on_event=lambda place, event: clocks[place].see(event))
    setup_s, train_s = began - ordered, time.perf_counter() - began
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return [clock.report(job, setup_s, train_s) for clock, job in zip(clocks, jobs, strict=True)]


if __name__ == "__main__":
    serve(train, train_pack)
