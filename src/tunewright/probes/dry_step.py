"""Dry steps: what training and evaluating the user's longest rows takes, in memory and time, before a run is begun.

Real rows go forward, backward and through a real optimizer update whose learning rate is 0, so that nothing is learnt.
Each batch size gets a measuring window of its own, twice: the first pass also pays for what any first pass pays for,
the difference of the two peaks says how far a peak can be trusted. Training is measured apart from evaluation, which
runs while the training state is still held.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from tunewright.engine.base import Base, pristine
from tunewright.engine.batcher import Rows, Window, by_length
from tunewright.engine.evaluate import row_losses
from tunewright.engine.export import load_adapter
from tunewright.engine.frozen import checkpoint_activations
from tunewright.engine.memory import PeakMemory
from tunewright.engine.optimizer import FlatOptimizer, SlotRates
from tunewright.engine.pack import Pack
from tunewright.engine.precision import FP16_LOSS_SCALE
from tunewright.engine.prepare import fit, open_pack
from tunewright.engine.room import free
from tunewright.engine.step import forward_backward, is_out_of_memory
from tunewright.planner.memory import fitted
from tunewright.probes.short_runs import OnProgress, no_progress
from tunewright.schema.errors import Interrupted, RunFailed
from tunewright.schema.measured import MeasuredPoint, MeasuredSide
from tunewright.schema.recipe import Recipe

if TYPE_CHECKING:
    from tunewright.data.tokens import TokenRow

PASSES = 2
LEAST_DIFFERENCE_GiB = 2.0 / 1024
"""Two peaks nearer than this are the same: allocators hand memory out in pieces of up to 2 MiB."""


@dataclass
class Bench:
    """What a run holds while it trains: the pack, its optimizer, and the copy of the best parameters so far."""

    pack: Pack
    optimizer: FlatOptimizer
    best_KP: torch.Tensor
    loss_scale: float

    def step(self, window: Window, *, learning_rate: float, step: int = 0, micro_rows: int | None = None) -> float:
        """One real optimizer step; its loss. Waits for the device."""
        rows = len(window.indexes) if micro_rows is None else micro_rows
        loss_K = forward_backward(self.pack, [window], step=step, micro_rows=rows, loss_scale=self.loss_scale)
        self.optimizer.update([learning_rate], loss_K)
        return float(loss_K[0])


@contextmanager
def bench(base: Base, recipe: Recipe) -> Iterator[Bench]:
    """Everything the recipe's training needs, on the base; afterwards the base is as it was before."""
    fitting = fit(base, recipe)
    pack = open_pack(base, [fitting], recompute=recipe.gradient_checkpointing)
    loss_scale = FP16_LOSS_SCALE if base.dtype == torch.float16 else 1.0
    rates = [SlotRates.of(recipe)]
    try:
        if fitting.init is not None:
            load_adapter(pack, 0, fitting.init)
        optimizer = FlatOptimizer(
            pack.params_KP, pack.grads_KP, rates, kind=recipe.optim, decayed=pack.decayed, loss_scale=loss_scale
        )
        yield Bench(pack, optimizer, pack.params_KP.to("cpu", copy=True), loss_scale)
    finally:
        pack.detach()
        checkpoint_activations(base.model, False)
        pristine(base)


@dataclass(frozen=True)
class DryRun:
    """``length``: tokens of the longest training row."""

    train: MeasuredSide
    eval: MeasuredSide
    length: int


def dry_run(
    base: Base,
    recipe: Recipe,
    train: Sequence[TokenRow],
    val: Sequence[TokenRow] = (),
    *,
    on_progress: OnProgress = no_progress,
    should_stop: Callable[[], bool] = lambda: False,
) -> DryRun:
    """Peaks and seconds of training steps and evaluation passes with 1 row and with the recipe's rows at once.

    A recipe of one row is measured with 1 and 2. Evaluation uses the validation rows, or the training rows where there
    are none. A size that runs out of memory becomes the ceiling and half of it is tried.
    Raises RunFailed when a single row does not fit, Interrupted when ``should_stop`` says so.
    """
    held = val or train
    train_rows, held_rows, device = Rows(train), Rows(held), base.device

    def progress(done: int) -> None:
        on_progress("dry steps", done, 2)
        if should_stop():
            raise Interrupted("interrupted while measuring")

    with bench(base, recipe) as at_hand:

        def train_pass(window: Window) -> None:
            at_hand.step(window, learning_rate=0.0)

        def eval_pass(window: Window) -> None:
            row_losses(at_hand.pack, [held[index] for index in window.indexes], len(window.indexes))

        progress(0)
        training = _side(train_pass, train_rows, max(2, recipe.per_device_train_batch_size), device)
        progress(1)
        evaluation = _side(eval_pass, held_rows, max(2, recipe.per_device_eval_batch_size), device)
        progress(2)
    return DryRun(training, evaluation, int(train_rows.lengths.max()))


def longest(rows: Rows, count: int) -> Window:
    """The ``count`` longest rows that have something to train on; they come again where there are fewer."""
    order = by_length(rows, np.flatnonzero(rows.supervised))
    return Window(rows, np.resize(order, count))


def _side(work: Callable[[Window], None], rows: Rows, many: int, device: torch.device) -> MeasuredSide:
    """Measure with one row, then with ``many`` or as many as fit; fit the line."""
    one = _point(work, longest(rows, 1), device)
    if isinstance(one, str):
        raise RunFailed(
            f"out of memory with one row of {int(rows.lengths.max()):,} tokens: {one}",
            hint="lower max_length, or set gradient_checkpointing: true, or method: qlora",
            code="out_of_memory",
        )
    ceiling: int | None = None
    while many > 1:
        large = _point(work, longest(rows, many), device)
        if not isinstance(large, str):
            return side((one, large), ceiling)
        ceiling, many = many, many // 2
    return side((one,), ceiling)


def side(points: tuple[MeasuredPoint, ...], ceiling_rows: int | None = None) -> MeasuredSide:
    """The line through one or two points; with one point, or two that cannot be told apart, it is flat.

    >>> side((MeasuredPoint(1, 90, 2.5, 0.0, 0.1), MeasuredPoint(4, 360, 4.0, 0.0, 0.2))).per_row_GiB
    0.5
    """
    highest = max(point.peak_GiB for point in points)
    if len(points) < 2 or not _apart(*points):
        return MeasuredSide(points, highest, 0.0, told_apart=False, ceiling_rows=ceiling_rows)
    line = fitted(*((point.rows, point.peak_GiB) for point in points))
    return MeasuredSide(points, line.fixed_GiB, line.per_row_GiB, told_apart=True, ceiling_rows=ceiling_rows)


def _apart(small: MeasuredPoint, large: MeasuredPoint) -> bool:
    noise_GiB = max(LEAST_DIFFERENCE_GiB, small.spread_GiB, large.spread_GiB)
    return large.peak_GiB - small.peak_GiB > noise_GiB


def _point(work: Callable[[Window], None], window: Window, device: torch.device) -> MeasuredPoint | str:
    """The highest peak and the shortest time of the passes; or, when memory ran out, what torch said."""
    peaks_GiB: list[float] = []
    seconds: list[float] = []
    cause = ""
    for _ in range(PASSES):
        window_of_memory = PeakMemory(device)
        began_s = time.perf_counter()
        try:
            work(window)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            cause = str(error).splitlines()[0]
        # outside the handler: the exception keeps the failed pass's tensors alive
        if cause:
            free(device)
            return cause
        _wait(device)
        seconds.append(time.perf_counter() - began_s)
        peaks_GiB.append(window_of_memory.peak_GiB())
    spread_GiB = max(peaks_GiB) - min(peaks_GiB)
    return MeasuredPoint(len(window.indexes), window.tokens, max(peaks_GiB), spread_GiB, min(seconds))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
