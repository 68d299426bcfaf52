"""Several logs of one run (a Trainer writes its state, event files and a printed log): which belong together."""

from __future__ import annotations

import numpy as np

from tunewright.schema.curve import Curve, Series

LIKENESS = 2e-3
"""Relative difference that rounding explains: printed rows have four figures, event files single precision."""

LEAST_SHARED = 3
"""Points two logs must share before they can be told to be of one run."""

LEAST_ALIKE = 0.5
"""Share of those points that must agree: what a resume logged again differs a little."""


def same_run(one: Curve, other: Curve) -> bool:
    """Whether two logs agree where both have a training loss, and where both have a validation loss."""
    verdicts = [_agree(one.loss, other.loss), _agree(one.eval_loss, other.eval_loss)]
    return True in verdicts and False not in verdicts


def _agree(one: Series, other: Series) -> bool | None:
    """None: too few shared steps to tell."""
    _, a, b = np.intersect1d(one.steps, other.steps, assume_unique=True, return_indices=True)
    if len(a) < min(LEAST_SHARED, len(one), len(other)) or not len(a):
        return None
    alike = np.isclose(one.values[a], other.values[b], rtol=LIKENESS, atol=1e-6, equal_nan=True)
    return bool(alike.mean() >= LEAST_ALIKE)


def richest(curves: list[Curve]) -> Curve:
    """The log that goes furthest; of equals the one with the most series and points, then the first."""
    return max(curves, key=lambda curve: (curve.last_step, _detail(curve)))


def _detail(curve: Curve) -> tuple[int, int]:
    series = (curve.loss, curve.eval_loss, curve.learning_rate, curve.grad_norm)
    return sum(len(one) > 0 for one in series), sum(map(len, series))
