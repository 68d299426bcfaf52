"""A CPU's cores side by side: each computes some of a step's slots or rows, instead of a share of every operation.

One operation of a small model is over in tens of microseconds, about as long as it takes to wake another thread for
a share of it. So a step is cut once, into lanes that meet only at its end; another busy process then delays one
meeting instead of a thousand. Measured on two cores (bench/LOG.md): eight slots of the bundled model 1.5 times as
fast as on one thread, where sharing every operation made them slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import torch
from torch import nn

LEAST_FLOP = 1e9
"""Arithmetic that is worth a lane of its own: some 12 ms of one core. Below it lanes wait for each other's turn in
the interpreter: the bundled model's 280 tokens took 31 ms in one lane, 39 in two; eight times as many 172 and 115."""
WORTH_SHARING = 1e10
LARGE = 2e7
"""Arithmetic of a lane, and weights of a model, from which on single operations are worth sharing among cores."""
FORWARD, FORWARD_BACKWARD = 2.0, 4.0
"""Operations for a token and a frozen weight: multiply and add, and both once more for the input's gradient."""

CORES = torch.get_num_threads()
"""Threads that may compute at once: what torch found, or OMP_NUM_THREADS says."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Sharing:
    """How a model's work is shared among the cores; what decides it is found out once, not each step.

    ``tokens`` below: input tokens of the work; ``passes``: FORWARD or FORWARD_BACKWARD.
    """

    weights: int  # those of adapters too
    on_cpu: bool
    in_lanes: bool  # quantized layers are left alone: other packages' code may keep things from call to call

    @classmethod
    def of(cls, model: nn.Module) -> Sharing:
        """Of a model as it is now, with what is on it."""
        on_cpu = next(model.parameters()).device.type == "cpu"
        weights = sum(parameter.numel() for parameter in model.parameters())
        return cls(weights, on_cpu, in_lanes=on_cpu and not getattr(model, "is_quantized", False))

    def lanes(self, tokens: int, passes: float, pieces: int) -> int:
        """Into how many of ``pieces`` parts the work is best cut; 1 on anything but a CPU.

        It depends on nothing but the work and the cores, so a run repeats bit for bit on as many cores.
        """
        if not self.in_lanes:
            return 1
        return max(1, min(CORES, pieces, int(self._flop(tokens, passes) // LEAST_FLOP)))

    @contextmanager
    def threads(self, tokens: int, passes: float, lanes: int = 1) -> Iterator[None]:
        """Let each operation use its lane's share of the cores where that pays, else one thread."""
        if not self.on_cpu:
            yield
            return
        before = torch.get_num_threads()
        pays = self.weights > LARGE or self._flop(tokens, passes) / lanes > WORTH_SHARING
        torch.set_num_threads(min(before, max(1, CORES // lanes)) if pays else 1)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def _flop(self, tokens: int, passes: float) -> float:
        return passes * tokens * self.weights


def side_by_side(tasks: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """The answers of all tasks, in order; the first runs here, the others on threads of their own.

    Returns or raises when all have ended. Of several errors the first task's is raised.
    """
    if len(tasks) == 1:
        return [tasks[0]()]
    threads = torch.get_num_threads()
    others = [_threads().submit(_on, threads, task) for task in tasks[1:]]
    try:
        first = tasks[0]()
    finally:
        wait(others)
    return [first, *(other.result() for other in others)]


def _on(threads: int, task: Callable[[], Answer]) -> Answer:
    torch.set_num_threads(threads)  # a setting of each thread
    return task()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, CORES - 1), thread_name_prefix="tunewright-lane")
