"""How far two models are apart, against torch's own divergence and the losses a model reports."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests_support import random_model
from transformers import AutoModelForCausalLM

from tunewright.data.tokens import TokenRow
from tunewright.engine.base import quiet
from tunewright.examiner.shift import Look, log_probabilities, shift

ROWS = [
    TokenRow(1, np.arange(5, 25, dtype=np.int32), np.arange(20) >= 12),
    TokenRow(2, np.arange(40, 47, dtype=np.int32), np.ones(7, dtype=np.bool_)),  # nothing predicts the first token
    TokenRow(3, np.arange(9, 13, dtype=np.int32), np.zeros(4, dtype=np.bool_)),
]


def model_of(folder: Path, scale: float) -> Any:
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(random_model(folder, "qwen3")).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale) if parameter.dim() > 1 else None
    return model


def looking(model: Any) -> Look:
    return lambda row: log_probabilities(model, row)


def all_log_probabilities(model: Any, row: TokenRow) -> tuple[torch.Tensor, torch.Tensor]:
    """([S, V], targets [S]) the plain way: every position, then the supervised ones."""
    ids = torch.from_numpy(row.ids.astype(np.int64))
    with torch.no_grad():
        logs = model(input_ids=ids[None]).logits[0].float().log_softmax(-1)
    at = [place for place in np.flatnonzero(row.supervised) if place > 0]
    return logs[[place - 1 for place in at]], ids[at]


def test_the_mean_over_supervised_tokens_of_all_rows(tmp_path: Path) -> None:
    base, tuned = model_of(tmp_path / "a", 3.0), model_of(tmp_path / "b", 6.0)
    found = shift(looking(tuned), looking(base), ROWS)
    kl = rise = 0.0
    for row in ROWS[:2]:
        of_tuned, targets = all_log_probabilities(tuned, row)
        of_base, _ = all_log_probabilities(base, row)
        kl += float(torch.nn.functional.kl_div(of_base, of_tuned, log_target=True, reduction="sum"))
        rise += float((of_base - of_tuned).gather(1, targets[:, None]).sum())
    assert found.kl == pytest.approx(kl / 14, rel=1e-4)
    assert found.rise == pytest.approx(rise / 14, rel=1e-4)
    assert found.kl is not None
    assert found.kl > 0.01
    assert found.tokens == 2 * (20 + 7)


def test_a_model_has_not_moved_from_itself_and_nothing_compared_is_nothing(tmp_path: Path) -> None:
    model = model_of(tmp_path, 3.0)
    assert shift(looking(model), looking(model), ROWS).kl == 0.0
    none = shift(looking(model), looking(model), ROWS[2:])
    assert (none.kl, none.rise, none.tokens) == (None, None, 0)
    broken = shift(lambda row: torch.full((8, 400), math.nan), lambda row: torch.zeros(8, 400), ROWS[:1])
    assert broken.kl is not None
    assert math.isnan(broken.kl)
