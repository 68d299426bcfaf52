"""What an injection does inside a trainer that is not ours to change: callbacks."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import TrainerCallback

from bench.fault_sft.spec import Spec


class BreakWeights(TrainerCallback):
    """Multiplies the first trained parameter by NaN at a share of the run."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if state.global_step == self.step:
            with torch.no_grad():
                next(p for p in model.parameters() if p.requires_grad).mul_(math.nan)


def callbacks_of(spec: Spec) -> list[TrainerCallback]:
    """The callbacks that the spec's manipulations need."""
    if "nan_at" in spec.ops:
        return [BreakWeights(round(spec.ops["nan_at"] * spec.recipe.steps))]
    return []
