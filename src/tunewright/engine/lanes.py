"""A CPU's cores side by side: each computes some of a step's slots or rows, instead of a share of every operation.

One operation of a small model is over in tens of microseconds, about as long as it takes to wake another thread for
a share of it. So a step is cut once, into lanes that meet only at its end; another busy process then delays one
meeting instead of a thousand. Measured on two cores (bench/LOG.md): eight slots of the bundled model 1.5 times as
fast as on one thread, where sharing every operation made them slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
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


def lanes_for(model: nn.Module, tokens: int, passes: float, pieces: int) -> int:
    """Into how many of ``pieces`` parts the work on so many tokens is best cut; 1 on anything but a CPU.

    It depends on nothing but the work and the cores, so a run repeats bit for bit on as many cores. Quantized layers
    are left alone: other packages' code may keep things from call to call.
    """
    if next(model.parameters()).device.type != "cpu" or getattr(model, "is_quantized", False):
        return 1
    return max(1, min(CORES, pieces, int(_flop(model, tokens, passes) // LEAST_FLOP)))


def _flop(model: nn.Module, tokens: int, passes: float) -> float:
    return passes * tokens * _weights(model)


def _weights(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@contextmanager
def threads_for(model: nn.Module, tokens: int, passes: float, lanes: int = 1) -> Iterator[None]:
    """Let each operation use its lane's share of the cores where that pays, else one thread."""
    if next(model.parameters()).device.type != "cpu":
        yield
        return
    before = torch.get_num_threads()
    pays = _weights(model) > LARGE or _flop(model, tokens, passes) / lanes > WORTH_SHARING
    torch.set_num_threads(min(before, max(1, CORES // lanes)) if pays else 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
    return [first, *(_answer(other) for other in others)]


def _on(threads: int, task: Callable[[], Answer]) -> Answer:
    torch.set_num_threads(threads)  # a setting of each thread
    return task()


def _answer(other: Future[Answer]) -> Answer:
    return other.result()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, CORES - 1), thread_name_prefix="tunewright-lane")
