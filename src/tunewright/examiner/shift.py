"""How far tuning moved a model: its distributions on the new task, and its loss on what it could do before.

Over supervised tokens t of all rows, each read with the true text before it:

    kl   = mean over t of KL(tuned || base) = sum over v of p_tuned(v) (ln p_tuned(v) - ln p_base(v))   (nats)
    rise = mean over t of -ln p_tuned(t) + ln p_base(t)                                                (nats)

Among ways of learning the same task, those that move the model less on it forget less (Shenfeld, Pari, Agrawal,
"RL's Razor: why online reinforcement learning forgets less", 2025-09), so ``kl`` is given beside forgetting itself.
S: supervised tokens of a row, V: vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from tunewright.examiner.ask import answering

if TYPE_CHECKING:
    from tunewright.data.tokens import TokenRow

Look = Callable[["TokenRow"], Tensor]
"""A model: the log-probabilities at a row's supervised tokens, float32 [S, V]."""


@dataclass(frozen=True)
class Shift:
    """``kl`` and ``rise`` in nats per token, None without a supervised token; ``tokens``: through both models."""

    kl: float | None
    rise: float | None
    tokens: int


def shift(tuned: Look, base: Look, rows: Sequence[TokenRow]) -> Shift:
    """Compare two models on the same rows. A NaN of either model is in the result."""
    kl = rise = 0.0
    count = tokens = 0
    for row in rows:
        targets_S1 = torch.from_numpy(row.ids[_supervised(row)].astype(np.int64))[:, None]
        if not len(targets_S1):
            continue
        tuned_SV, base_SV = tuned(row), base(row)
        targets_S1 = targets_S1.to(tuned_SV.device)
        kl += float((tuned_SV.exp() * (tuned_SV - base_SV)).sum())
        rise += float((base_SV.gather(1, targets_S1) - tuned_SV.gather(1, targets_S1)).sum())
        count, tokens = count + len(targets_S1), tokens + 2 * len(row)
    return Shift(kl / count, rise / count, tokens) if count else Shift(None, None, 0)


def log_probabilities(model: Any, row: TokenRow) -> Tensor:
    """What a model expects at each supervised token of a row, [S, V]; logits are made at those places only."""
    device = next(model.parameters()).device
    before_S = torch.from_numpy(np.flatnonzero(_supervised(row)) - 1).to(device)  # token t is predicted at t - 1
    ids_1T = torch.from_numpy(row.ids.astype(np.int64))[None].to(device)
    can = getattr(model, "_supports_logits_to_keep", None)
    few = can is not None and can()
    with torch.no_grad(), answering(model):
        only = {"logits_to_keep": before_S} if few else {}
        logits_SV: Tensor = model(input_ids=ids_1T, use_cache=False, **only).logits[0]
    return (logits_SV if few else logits_SV[before_S]).float().log_softmax(-1)


def _supervised(row: TokenRow) -> Any:
    """The mask without the first token, which nothing predicts."""
    mask = row.supervised.copy()
    mask[:1] = False
    return mask
