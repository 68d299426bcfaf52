"""The gradient noise scale of the user's own data, at the start and after some real steps.

A fresh LoRA adapter has B = 0, so at the start only the gradient of B says anything; and the noise scale grows while
a model learns, because the gradient shrinks and the noise does not. So it is measured twice, and the later one counts.
What the statistics are is in :mod:`tunewright.planner.measured_noise`.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from tunewright.engine.base import Base
from tunewright.engine.batcher import Rows, Window, epoch_order, step_window
from tunewright.engine.layout import Indexes
from tunewright.engine.step import forward_backward
from tunewright.planner.measured_noise import noise_scale
from tunewright.probes.dry_step import Bench, bench
from tunewright.probes.short_runs import OnProgress, no_progress
from tunewright.schema.errors import Interrupted
from tunewright.schema.measured import NoiseScale
from tunewright.schema.recipe import Recipe

if TYPE_CHECKING:
    from tunewright.data.tokens import TokenRow

MOST_ROWS = 128
"""Rows whose gradients are taken one by one: bounds a noise scale of about as many rows within a factor of two."""
WARM_STEPS = 20
RISE_STEPS = 5
"""First steps over which the learning rate rises, so that an optimizer without history does no harm."""
SKETCH = 2**18
"""Numbers kept of each gradient. Longer ones are folded with random signs: an inner product of two gradients stays
right on average and within about |x| |y| / sqrt(SKETCH), 0.2 % (Finding Frequent Items in Data Streams, 2002)."""


@dataclass(frozen=True)
class NoiseRun:
    """The noise scale at the start and after the warm steps, and the pace of those (input tokens per second)."""

    readings: tuple[NoiseScale, ...]
    tokens_per_s: float


def measure_noise(
    base: Base,
    recipe: Recipe,
    train: Sequence[TokenRow],
    *,
    most_rows: int = MOST_ROWS,
    warm_steps: int = WARM_STEPS,
    on_progress: OnProgress = no_progress,
    should_stop: Callable[[], bool] = lambda: False,
) -> NoiseRun:
    """Noise scale of a fresh adapter, and after ``warm_steps`` real steps at the recipe's learning rate and batch.

    The rows looked at are the last of the first epoch's order: as far as there are enough, the warm steps have not
    seen them. After a warm-up that diverged the later reading says so and nothing else.
    Leaves the base as it was. Raises Interrupted when ``should_stop`` says so.
    """
    rows = Rows(train)
    chosen = _last_of_epoch(rows, recipe.seed, most_rows)
    total = 2 * len(chosen) + warm_steps

    def progress(done: int) -> None:
        on_progress("gradient noise", done, total)
        if should_stop():
            raise Interrupted("interrupted while measuring")

    with bench(base, recipe) as at_hand:
        sketch = _Sketch(at_hand.pack.grads_KP.shape[1], at_hand.pack.device, recipe.seed)
        start = _reading(at_hand, rows, chosen, sketch, 0, progress)
        losses, pace = _warm_up(at_hand, rows, recipe, warm_steps, lambda step: progress(len(chosen) + step))
        if not all(map(math.isfinite, losses)):
            because = f"the loss was not finite within {warm_steps} steps at learning rate {recipe.learning_rate:g}"
            later = NoiseScale(warm_steps, 0, None, None, None, start.tokens_per_row, because)
        else:
            later = _reading(at_hand, rows, chosen, sketch, warm_steps, lambda n: progress(total - len(chosen) + n))
    return NoiseRun((start, later), pace)


def _last_of_epoch(rows: Rows, seed: int, most: int) -> Indexes:
    order = epoch_order(seed, 0, len(rows))
    return order[rows.supervised[order] > 0][-most:]


def _reading(
    at_hand: Bench, rows: Rows, chosen: Indexes, sketch: _Sketch, after: int, progress: Callable[[int], None]
) -> NoiseScale:
    gradients = []
    tokens_N = rows.supervised[chosen].astype(float)
    for place, (index, tokens) in enumerate(zip(chosen.tolist(), tokens_N, strict=True)):
        window = Window(rows, np.array([index]))
        # a step of its own for each row: else all would drop out the same inputs
        forward_backward(at_hand.pack, [window], step=place, micro_rows=1, loss_scale=at_hand.loss_scale)
        gradients.append(sketch(at_hand.pack.grads_KP[0]) * (tokens / at_hand.loss_scale))
        progress(place + 1)
    return noise_scale(_inner_products(gradients), tokens_N, after_steps=after)


def _inner_products(gradients: list[torch.Tensor]) -> NDArray[np.float64]:
    if not gradients:
        return np.zeros((0, 0))
    stacked_ND = torch.stack(gradients)
    products: NDArray[np.float64] = (stacked_ND @ stacked_ND.T).double().cpu().numpy()
    return products


def _warm_up(
    at_hand: Bench, rows: Rows, recipe: Recipe, steps: int, progress: Callable[[int], None]
) -> tuple[list[float], float]:
    """Real steps at the planned rate: their losses, and the input tokens per second of the median step."""
    losses, paces = [], []
    for step in range(steps):
        window = step_window(rows, seed=recipe.seed, step=step, rows_per_step=recipe.effective_batch_size)
        learning_rate = recipe.learning_rate * min(1.0, (step + 1) / RISE_STEPS)
        began_s = time.perf_counter()
        loss = at_hand.step(
            window, learning_rate=learning_rate, step=step, micro_rows=recipe.per_device_train_batch_size
        )
        paces.append(window.tokens / (time.perf_counter() - began_s))
        losses.append(loss)
        progress(step + 1)
    return losses, statistics.median(paces)


class _Sketch:
    """Folds P numbers to at most SKETCH: number p times its own random sign is added up at place p mod SKETCH."""

    def __init__(self, size: int, device: torch.device, seed: int) -> None:
        self._signs: torch.Tensor | None = None
        if size > SKETCH:
            drawn = torch.randint(0, 2, (size,), generator=torch.Generator().manual_seed(seed), dtype=torch.int8)
            self._signs = (2 * drawn - 1).to(device)

    def __call__(self, vector_P: torch.Tensor) -> torch.Tensor:
        if self._signs is None:
            return vector_P.clone()
        folded = vector_P.new_zeros(SKETCH)
        for part, signs in zip(torch.split(vector_P, SKETCH), torch.split(self._signs, SKETCH), strict=True):
            folded[: len(part)] += part * signs
        return folded
