"""How the guide "LLM Fine-Tuning Guide: Understanding Training Parameters" (2025-10) reads a final training loss.

Its two tables do not agree with each other, and both leave gaps; both are quoted as they are and the gaps named.
They are absolute, while the best reachable loss of one data set differs by model (0.44-0.78 over 35 models for the
same data, tinker-cookbook sweep), so nothing here ever makes a run sick.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tunewright.doctor.view import View
from tunewright.schema.finding import GuideReading
from tunewright.schema.median import median


@dataclass(frozen=True)
class Band:
    """Losses from ``low`` to ``high`` (nats) and the guide's words for them."""

    name: str
    low: float
    high: float
    words: str


INTERPRETATION = (
    Band("overfit", 0.0, 0.05, "Overfit - memorized too perfectly"),
    Band("very_good", 0.05, 0.2, "Very good, watch for overfitting"),
    Band("target", 0.2, 0.5, "Target range - well trained"),
    Band("getting_good", 0.5, 0.8, "Model is getting good"),
    Band("learning", 1.0, 2.0, "Model is learning"),
    Band("no_idea", 3.0, math.inf, "Model has no idea (random guessing)"),
)
"""The guide's table "Loss (the number you watch)"."""

TARGET = (
    Band("overfit", 0.01, 0.15, "Overfit - Memorized too well, can't generalize"),
    Band("sweet_spot", 0.2, 0.5, "Sweet Spot - Learned well, can generalize"),
    Band("underfit", 0.6, 1.0, "Underfit - Didn't learn enough, making things up"),
    Band("barely_learning", 1.5, math.inf, "Barely Learning - Need much more training"),
)
"""The guide's table "Target loss goals"."""

TREE = (
    Band("overfit", 0.0, 0.2, "OVERFIT: next run reduce epochs by 20 % or lower the learning rate by 50 %"),
    Band("perfect", 0.2, 0.5, "PERFECT: test the model thoroughly; if good, done"),
    Band("underfit", 0.5, 1.0, "UNDERFIT: next run increase epochs by 50 % or raise the learning rate by 2x"),
    Band("barely_learned", 1.0, math.inf, "BARELY LEARNED: next run double epochs or triple the learning rate"),
)
"""The guide's decision tree, which has no gaps."""


def interpretation(loss: float) -> Band | None:
    """The band of the first table, None in a gap (0.8-1.0, 2.0-3.0). An edge belongs to the target band.

    >>> interpretation(0.3).name, interpretation(0.9)
    ('target', None)
    """
    return _band(INTERPRETATION, loss)


def target(loss: float) -> Band | None:
    """The band of the second table, None in a gap (below 0.01, 0.15-0.2, 0.5-0.6, 1.0-1.5).

    >>> target(0.12).name, target(0.17)
    ('overfit', None)
    """
    return _band(TARGET, loss)


def tree(loss: float) -> str:
    """The branch of the decision tree: "overfit", "perfect", "underfit" or "barely_learned".

    >>> tree(0.19), tree(0.2), tree(0.5), tree(1.0), tree(1.01)
    ('overfit', 'perfect', 'perfect', 'underfit', 'barely_learned')
    """
    return _branch(loss).name


def _branch(loss: float) -> Band:
    if loss < 0.2:
        return TREE[0]
    return TREE[1] if loss <= 0.5 else TREE[2] if loss <= 1.0 else TREE[3]


def _band(table: tuple[Band, ...], loss: float) -> Band | None:
    if 0.2 <= loss <= 0.5:  # the edges 0.2 and 0.5 are in two bands; the middle one claims them
        return next(band for band in table if band.low == 0.2)
    return next((band for band in table if band.low <= loss <= band.high), None)


def final_loss(view: View) -> float | None:
    """Median of the last tenth of the training points (at least 5 of them); None without any."""
    values = view.loss.values
    return float(median(values[-max(5, len(values) // 10) :])) if len(values) else None


def read_as_guide(view: View, *, scale: float = 1.0) -> GuideReading:
    """Both tables and the tree on the run's final training loss, in the guide's words.

    ``scale``: times that the training loss was logged too high; the guide's bands are of the loss itself.
    """
    logged = final_loss(view)
    loss = None if logged is None else logged / scale
    if len(view.bad) and view.bad[-1]:
        silent = "the final loss is not a number"
        return GuideReading(None, silent, silent, silent)
    if loss is None or view.curve.objective != "nll" or bool(np.any(view.curve.loss.values < 0)):
        silent = "no training loss the guide's tables could read"
        return GuideReading(None, silent, silent, silent)
    divided = "" if scale == 1 else f"; logged as {logged:.3g}, which is {scale:.1f} times that"
    said, goal = _said(INTERPRETATION, loss), _said(TARGET, loss) + _clash(loss)
    return GuideReading(float(f"{loss:.5g}"), said, goal, _advice(loss) + divided)


def _said(table: tuple[Band, ...], loss: float) -> str:
    """The table's words for this loss, or which bands it lies between."""
    band = _band(table, loss)
    if band is not None:
        high = "+" if math.isinf(band.high) else f"-{band.high:g}"
        return f"{band.low:g}{high}: {band.words}"
    below = [b for b in table if b.high < loss]
    above = [b for b in table if b.low > loss]
    if not below:
        return f"{loss:.3g} is below the table's lowest band ({above[0].low:g}-{above[0].high:g}: {above[0].words})"
    return f"{loss:.3g} lies between the bands '{below[-1].words}' and '{above[0].words}'; the table is silent there"


def _clash(loss: float) -> str:
    first, second = interpretation(loss), target(loss)
    same = {("overfit", "overfit"), ("target", "sweet_spot"), ("learning", "barely_learning")}
    same |= {("no_idea", "barely_learning")}
    if first is None or second is None or (first.name, second.name) in same:
        return ""
    return f" (the guide's two tables disagree here: the other one says '{first.words}')"


def _advice(loss: float) -> str:
    return f"final loss {loss:.3g} (median of the last tenth of the logged points): {_branch(loss).words}"
