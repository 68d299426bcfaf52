"""The loss of every single step, whatever the trainer's logging interval hides.

A Trainer logs the mean over ``logging_steps`` steps, and by default (``logging_nan_inf_filter``) replaces a NaN by
the running mean before that. Turning the filter off is no cure: it empties its running sum by subtracting it from
itself, and NaN - NaN stays NaN, so one bad batch would make every later log NaN (transformers 5.23.0, trainer.py).
So the losses are caught where the model returns them. Nothing is read from the device before the trainer logs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_PENDING = 50_000
"""Losses kept between two logs; a trainer that logs more rarely is read from its logs alone."""

TOLERANCE = 2e-3
"""Relative difference between the logged mean and ours up to which both mean the same loss (older Trainers log four
decimals)."""


@dataclass(frozen=True)
class StepLoss:
    """``loss`` of optimizer step ``step``; NaN and infinity as they came, 0.0 when no token was supervised."""

    step: int
    loss: float


class StepLosses:
    """Hooked into a model: collects what it returns while training, and hands it out step by step at every log."""

    def __init__(self, model: Any, accumulation: int) -> None:
        self._accumulation = max(1, accumulation)
        self._pending: list[Any] = []
        self._supervised: list[Any] = []
        self._ends: list[tuple[int, int]] = []
        self._scale = 1.0
        self._foreign = False
        self._hook = model.register_forward_hook(self._seen, with_kwargs=True)

    def detach(self) -> None:
        self._hook.remove()

    def _seen(self, module: Any, inputs: Any, named: Mapping[str, Any], output: Any) -> None:
        loss: Any = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
        if not module.training or not hasattr(loss, "detach") or loss.numel() != 1:
            return
        if len(self._pending) < MOST_PENDING:
            self._pending.append(loss.detach().reshape(()))
            labels = named.get("labels")
            self._supervised.append((labels != -100).any() if labels is not None else None)

    def end_step(self, step: int) -> None:
        """The trainer finished optimizer step ``step``."""
        self._ends.append((step, len(self._pending)))

    def drain(self, logged: float) -> list[StepLoss]:
        """The steps since the last log, or nothing when they cannot be what the trainer logged as ``logged``.

        A step's loss is the sum of its micro-batches (trainers that divide by the window's tokens) or their mean;
        the logged mean tells which. Raises nothing: a model without a loss in its output gives an empty list.
        """
        ends, losses, supervised = self._ends, self._pending, self._supervised
        self._ends, self._pending, self._supervised = [], [], []
        if not ends or not losses or len(losses) >= MOST_PENDING or ends[-1][1] != len(losses):
            return []
        values = _numbers(losses)
        comparable = all(map(math.isfinite, values))
        if not comparable:
            values = _without_empty(values, supervised)
        sums = _sums(ends, values)
        if comparable:  # a filter that replaced a loss has changed the trainer's mean
            self._compare(logged, sums)
        return [] if self._foreign else [StepLoss(step, loss * self._scale) for step, loss in sums]

    def _compare(self, logged: float, sums: list[tuple[int, float]]) -> None:
        """Find the factor that makes our sums the trainer's losses; when no known one does, they are another loss."""
        total = sum(loss for _, loss in sums)
        if not math.isfinite(logged) or total <= 0:
            return
        ratio, tolerance = logged * len(sums) / total, TOLERANCE + 1e-4 / max(logged, 1e-6)
        fits = [one for one in (1.0, 1.0 / self._accumulation) if abs(ratio / one - 1) < tolerance]
        self._foreign = not fits
        self._scale = fits[0] if fits else self._scale


def _numbers(losses: list[Any]) -> list[float]:
    """The losses as numbers, read from the device at once."""
    import torch

    values: list[float] = torch.stack(losses).double().tolist()
    return values


def _without_empty(values: list[float], supervised: list[Any]) -> list[float]:
    """0.0, as the trainer prints it, for a loss that is not finite because no token was supervised."""
    empty = [flag is not None and not bool(flag) for flag in supervised]
    return [0.0 if none and not math.isfinite(value) else value for value, none in zip(values, empty, strict=True)]


def _sums(ends: list[tuple[int, int]], values: list[float]) -> list[tuple[int, float]]:
    starts = [0, *(end for _, end in ends[:-1])]
    return [(step, sum(values[start:end])) for start, (step, end) in zip(starts, ends, strict=True)]
