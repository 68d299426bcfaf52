"""Where the time of one of our steps goes, by torch's profiler."""

from __future__ import annotations

import torch
from torch.profiler import ProfilerActivity, profile

from bench.engine.drivers.ours import train
from bench.engine.orders import Order
from bench.table import table

LINES = 20


def step_profile(order: Order, threads: int) -> str:
    """The operations that took most time of a whole run, each without what it called, per step."""
    torch.set_num_threads(threads)
    train(order)  # the first run pays for what is made once
    with profile(activities=[ProfilerActivity.CPU]) as found:
        report = train(order)
    events = sorted(found.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total_us = sum(event.self_cpu_time_total for event in events)
    lines = [
        [
            event.key,
            f"{event.self_cpu_time_total / total_us:.1%}",
            f"{event.self_cpu_time_total / 1e3 / order.steps:.2f}",
            f"{event.count / order.steps:.0f}",
        ]
        for event in events[:LINES]
    ]
    step_ms = 1e3 * report.train_s / order.steps
    head = ["operation", "share", "ms a step", "calls a step"]
    return f"{table(head, lines)}\n\n{order.steps} steps, {step_ms:.1f} ms each under the profiler"
