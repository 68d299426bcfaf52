"""Synthetic fine-tuning curves with a known truth; log-normal batch noise, evaluations from step 0 on.

Every generator takes a seed and the logging interval; a point logged every k steps is the mean of those k steps,
as trainers write it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tunewright.schema.curve import EMPTY, Curve, Series

Floats = NDArray[np.float64]
STEPS, PER_EPOCH = 300, 100


def make(
    train: Floats,
    evals: dict[int, float],
    seed: int,
    *,
    every: int = 1,
    noise: float = 0.05,
    per_epoch: float | None = PER_EPOCH,
    eval_noise: float = 0.002,
    rate: Floats | None = None,
    grads: Floats | None = None,
    rows: dict[int, tuple[int, ...]] | None = None,
) -> Curve:
    """A curve from a noise-free training loss for steps 1..n and noise-free evaluations."""
    draw = np.random.default_rng(seed)
    noisy = train * np.exp(noise * draw.standard_normal(len(train)) - noise**2 / 2)
    steps = np.arange(1, len(train) + 1)
    rate = cosine(len(train)) if rate is None else rate
    kept = steps[steps % every == 0]
    logged = noisy[: len(kept) * every].reshape(-1, every).mean(axis=1)
    wobble = {s: v * float(np.exp(eval_noise * draw.standard_normal())) for s, v in evals.items()}
    return Curve(
        "synthetic",
        "",
        Series(kept, logged),
        eval_loss=Series.of(wobble.items()),
        learning_rate=Series(kept, rate[kept - 1]),
        grad_norm=EMPTY if grads is None else Series(kept, grads[kept - 1]),
        total_steps=len(train),
        steps_per_epoch=per_epoch,
        batch_rows=rows or {},
    )


def cosine(steps: int, warmup: int = 15, peak: float = 2e-4) -> Floats:
    at = np.arange(1, steps + 1)
    decay = 0.5 * (1 + np.cos(np.pi * (at - warmup) / (steps - warmup)))
    return np.asarray(peak * np.where(at < warmup, at / warmup, decay))


def fall(start: float, end: float, scale: float = 40.0, steps: int = STEPS) -> Floats:
    at = np.arange(steps + 1)
    return np.asarray(end + (start - end) * np.exp(-at / scale))


def at_evals(values: Floats, count: int = 10) -> dict[int, float]:
    places = np.unique(np.linspace(0, len(values) - 1, count + 1).round().astype(int))
    return {int(place): float(values[place]) for place in places}


# --- healthy ----------------------------------------------------------------------------------------------------


def one_epoch(seed: int, every: int) -> Curve:
    line = fall(1.6, 1.2)
    return make(line[1:], at_evals(line), seed, every=every, per_epoch=STEPS)


def three_epoch_steps(seed: int, every: int) -> Curve:
    line = fall(1.6, 1.1)
    epoch = np.minimum(np.arange(STEPS) // PER_EPOCH, 2)
    return make(line[1:] * np.array([1.0, 0.93, 0.87])[epoch], at_evals(line), seed, every=every)


def low_loss(seed: int, every: int) -> Curve:
    line = fall(0.5, 0.12)
    return make(line[1:], at_evals(line), seed, every=every, noise=0.08)


def short_run(seed: int, every: int) -> Curve:
    line = fall(2.0, 1.4, scale=12, steps=60)
    return make(line[1:], at_evals(line, 6), seed, every=every, per_epoch=60)


def batch_one_noise(seed: int, every: int) -> Curve:
    line = fall(1.6, 1.1)
    return make(line[1:], at_evals(line), seed, every=every, noise=0.3)


def benign_overfit(seed: int, every: int) -> Curve:
    line = fall(1.6, 1.1)
    evals = line * (1 + 0.03 * np.clip((np.arange(STEPS + 1) - 150) / 150, 0, 1))
    return make(line[1:] * np.linspace(1, 0.8, STEPS), at_evals(evals), seed, every=every)


def small_gain(seed: int, every: int) -> Curve:
    line = fall(1.3, 1.24, scale=30)
    return make(line[1:], at_evals(line), seed, every=every)


def mixture_of_tasks(seed: int, every: int) -> Curve:
    """One row a batch from three tasks of very different loss: heavy tails that are no spikes."""
    line = fall(1.6, 1.1)
    level = np.random.default_rng(seed + 999).choice([0.2, 1.0, 2.4], STEPS, p=[0.3, 0.5, 0.2])
    return make(line[1:] * level, at_evals(line), seed, every=every, noise=0.1)


def correlated_noise(seed: int, every: int) -> Curve:
    """Batches in the order of their source: noise with memory, validation smooth."""
    line = fall(1.6, 1.2)
    draw = np.random.default_rng(seed + 77)
    drift = np.zeros(STEPS)
    for step in range(1, STEPS):
        drift[step] = 0.8 * drift[step - 1] + 0.03 * draw.standard_normal()
    return make(line[1:] * np.exp(drift), at_evals(line), seed, every=every, per_epoch=STEPS)


def long_noisy_without_plan(seed: int, every: int) -> Curve:
    """A log without evaluations, epochs or plan: all anyone has from many tools."""
    line = fall(1.5, 1.05, scale=200, steps=1500)
    curve = make(line[1:], {}, seed, every=every, noise=0.12, per_epoch=None)
    return Curve("csv", "", curve.loss, total_steps=None)


def noisy_evals(seed: int, every: int) -> Curve:
    """A handful of validation rows: each evaluation wobbles by 3 %."""
    line = fall(1.6, 1.1)
    return make(line[1:], at_evals(line, 20), seed, every=every, eval_noise=0.03)


def easy_task(seed: int, every: int) -> Curve:
    """Loss near 0, where relative changes mean nothing: validation wobbles by 15 % of 0.02."""
    line = fall(0.6, 0.015, scale=25)
    return make(line[1:], at_evals(line + 0.005), seed, every=every, noise=0.3, eval_noise=0.15)


def sawtooth_epochs(seed: int, every: int) -> Curve:
    """Ten epochs that each begin lower and creep up a little; no evaluations, epochs not logged."""
    at = np.arange(500)
    line = 1.5 * 0.85 ** (at // 50) * (1 + 0.05 * (at % 50) / 50)
    curve = make(line, {}, seed, every=every, per_epoch=None)
    return Curve("csv", "", curve.loss)


def stable_then_decay(seed: int, every: int) -> Curve:
    """Warm-up, stable, decay: the decay itself takes 4 % off."""
    at = np.arange(STEPS + 1)
    line = fall(1.6, 1.2) * (1 - 0.04 * np.clip((at - 240) / 60, 0, 1))
    rate = 2e-4 * np.minimum(1, (STEPS - at[1:] + 1) / 60)
    return make(line[1:], at_evals(line), seed, every=every, rate=rate)


HEALTHY: dict[str, Callable[[int, int], Curve]] = {
    "one_epoch": one_epoch,
    "three_epoch_steps": three_epoch_steps,
    "low_loss": low_loss,
    "short_run": short_run,
    "batch_one_noise": batch_one_noise,
    "benign_overfit": benign_overfit,
    "small_gain": small_gain,
    "mixture_of_tasks": mixture_of_tasks,
    "correlated_noise": correlated_noise,
    "long_noisy_without_plan": long_noisy_without_plan,
    "noisy_evals": noisy_evals,
    "easy_task": easy_task,
    "sawtooth_epochs": sawtooth_epochs,
    "stable_then_decay": stable_then_decay,
}

# --- faulty -----------------------------------------------------------------------------------------------------


def blown_up(seed: int, every: int) -> Curve:
    """A learning rate 30 times too high: up at once, then slowly down to above the start."""
    at = np.arange(STEPS + 1)
    line = 2.3 + 6.0 * np.exp(-at / 40) * (1 - np.exp(-at / 3)) + 0.9 * (1 - np.exp(-at / 5))
    return make(line[1:], at_evals(line), seed, every=every)


def diverged(seed: int, every: int) -> Curve:
    at = np.arange(STEPS + 1)
    line = fall(2.3, 1.5) + 1.6 / (1 + np.exp(-(at - 180) / 6))
    return make(line[1:], at_evals(line), seed, every=every)


def overfitted(seed: int, every: int) -> Curve:
    train = fall(2.0, 0.15, scale=90)
    evals = fall(2.0, 1.3, scale=40) * (1 + 0.4 * np.clip((np.arange(STEPS + 1) - 100) / 200, 0, 1))
    return make(train[1:], at_evals(evals), seed, every=every)


def nan_at_150(seed: int, every: int) -> Curve:
    curve = one_epoch(seed, every)
    values = np.where(curve.loss.steps >= 150, np.nan, curve.loss.values)
    return Curve("synthetic", "", Series(curve.loss.steps, values), eval_loss=_cut(curve.eval_loss, 150))


def nan_hidden(seed: int, every: int) -> Curve:
    curve = one_epoch(seed, every)
    values = np.where(curve.loss.steps >= 150, 0.0, curve.loss.values)
    grads = Series(curve.loss.steps, np.where(curve.loss.steps >= 150, np.nan, 1.0))
    return Curve("synthetic", "", Series(curve.loss.steps, values), grad_norm=grads)


def _cut(series: Series, step: int) -> Series:
    return Series(series.steps, np.where(series.steps >= step, np.nan, series.values))


def all_masked(seed: int, every: int) -> Curve:
    steps = np.arange(every, STEPS + 1, every)
    zeros = Series(steps, np.zeros(len(steps)))
    return Curve("synthetic", "", zeros, grad_norm=zeros, eval_loss=Series.of([(0, np.nan), (STEPS, np.nan)]))


def never_learns(seed: int, every: int) -> Curve:
    line = fall(2.0, 1.992)
    return make(line[1:], at_evals(line), seed, every=every)


def frozen(seed: int, every: int) -> Curve:
    line = np.full(STEPS + 1, 2.43)
    return make(line[1:], at_evals(line), seed, every=every, eval_noise=0.0)


def swinging(seed: int, every: int) -> Curve:
    at = np.arange(STEPS + 1)
    line = fall(2.0, 1.2) * np.exp(0.3 * np.sin(2 * np.pi * at / 50 + seed))
    return make(line[1:], at_evals(line, 20), seed, every=every)


def starved(seed: int, every: int) -> Curve:
    line = 2.0 - 0.5 * np.arange(STEPS + 1) / STEPS
    return make(line[1:], at_evals(line), seed, every=every)


def lone_spike(seed: int, every: int) -> Curve:
    line = fall(1.6, 1.2)
    line[200] *= 4
    rows = {step: (2 * step - 1, 2 * step) for step in range(1, STEPS + 1)}
    return make(line[1:], at_evals(fall(1.6, 1.2)), seed, every=every, rows=rows)


FAULTY: dict[str, tuple[Callable[[int, int], Curve], str]] = {
    "blown_up": (blown_up, "worse_than_start"),
    "diverged": (diverged, "divergence"),
    "overfitted": (overfitted, "overfit"),
    "nan_at_150": (nan_at_150, "non_finite"),
    "nan_hidden": (nan_hidden, "non_finite"),
    "all_masked": (all_masked, "all_masked"),
    "never_learns": (never_learns, "no_learning"),
    "frozen": (frozen, "weights_not_updating"),
    "swinging": (swinging, "oscillation"),
    "starved": (starved, "underfit"),
    "lone_spike": (lone_spike, "spike"),
}
