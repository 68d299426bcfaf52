"""How a run came out: the figures every label is decided by, from the log of every step before any filter."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bench.fault_sft.record import Record

Floats = NDArray[np.float64]

# A rise of the validation loss that counts as a swing, as a share and in nats
SWING, RISE_NATS = 0.08, 0.03
# These change what the evaluation loss means, so it cannot be held against the reference
OTHER_EVAL = ("shift_valid", "loss_on_prompt", "drop_end", "truncate", "leak", "mask_all")


def outcome(record: Record, reference: float) -> dict[str, float]:
    """All figures. ``excess`` and ``progress`` are NaN where the evaluation loss is not that of the reference; a run
    that ends in NaN has only ``non_finite`` and ``excess``."""
    evals = [(step, loss) for step, loss in record.log.evals if math.isfinite(loss)]
    given = np.array(record.log.raw)
    lost = ~np.isfinite(given)
    if lost[-5:].all() or len(evals) < 2:
        return {"non_finite": float(lost.sum()), "excess": math.inf}
    raw = given[~lost]
    losses = np.array([loss for _, loss in evals])
    steps = np.array([step for step, _ in evals])
    train = _smooth(raw)
    tail = max(3, len(raw) // 10)
    calm = _smooth(losses, 3)  # one lucky evaluation is no minimum
    lowest = int(np.argmin(calm))
    at_lowest = train[min(max(int(steps[lowest]) - 1, 0), len(train) - 1)]
    start, end = float(losses[0]), float(losses[-1])
    comparable = not (set(record.spec.ops) & set(OTHER_EVAL)) and record.spec.ops.get("odd_template", 0) < 2
    return {
        "non_finite": 0.0,
        "eval_start": start,
        "eval_end": end,
        "eval_min": float(calm[lowest]),
        "eval_max": float(losses[1:].max()),
        "train_start": float(raw[0]),
        "train_first": float(np.mean(raw[:3])),
        "train_end": float(np.median(raw[-tail:])),
        "train_at_min": float(at_lowest),
        "train_fell_since_min": float(at_lowest - np.median(train[-tail:])),
        "train_peak": float(train.max()),
        "rise": end / float(calm[lowest]) - 1,
        **_swings(losses),
        "last_third": 1 - end / float(np.interp(2 * steps[-1] / 3, steps, losses)),
        "fell": 1 - end / start,
        "excess": end / reference - 1 if comparable else math.nan,
        "excess_nats": end - reference if comparable else math.nan,
        "progress": (start - end) / max(start - reference, 1e-9) if comparable else math.nan,
        "spike": _spike(raw),
        "shift": _shift(raw),
        "zero_tail": _zero_tail(np.array(record.log.rate)),
        "lost": float(lost.sum()),
    }


def _zero_tail(rate: Floats) -> float:
    """Share of the run at whose end the learning rate is below 1 % of its peak."""
    used = np.flatnonzero(rate >= 0.01 * rate.max())
    return 1 - (int(used[-1]) + 1) / len(rate) if len(used) and rate.max() > 0 else 1.0


def _swings(losses: Floats) -> dict[str, float]:
    """How often the validation loss rose by ``SWING`` and came back, and the largest such rise."""
    count, largest, low, high = 0, 0.0, math.inf, 0.0
    for loss in losses[2:].tolist():
        if high and loss < high / (1 + SWING):
            largest, count = max(largest, high / low - 1), count + 1
            low, high = loss, 0.0
        low = min(low, loss)
        if loss > low * (1 + SWING) and loss > low + RISE_NATS:
            high = max(high, loss)
    return {"swings": float(count), "swing": largest}


def _smooth(raw: Floats, width: int = 7) -> Floats:
    padded = np.pad(raw, width // 2, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1)


def _spike(raw: Floats) -> float:
    """The largest single loss against the median of ten before and five after it, beyond the spread of the batches."""
    worst = 1.0
    spread = float(np.exp(4 * 1.4826 * np.median(np.abs(np.diff(np.log(np.maximum(raw, 1e-9)))))))
    for place in range(10, len(raw) - 5):
        around = np.concatenate([raw[place - 10 : place], raw[place + 1 : place + 6]])
        level = float(np.median(around))
        if level > 0 and raw[place] > spread * level:
            worst = max(worst, float(raw[place]) / level)
    return worst


def _shift(raw: Floats) -> float:
    """The largest lasting step up: the median of a fifth of the run after a point against that before it."""
    width = max(8, len(raw) // 5)
    places = range(width, len(raw) - width)
    return max(
        (float(np.median(raw[n : n + width]) / max(np.median(raw[n - width : n]), 1e-9)) for n in places), default=1.0
    )
