"""Do the answers belong to their prompts: the loss of an answer under another row's prompt, minus under its own.

G = mean over rows of (NLL(answer | another prompt) - NLL(answer | its own)) / answer tokens. Rows whose answers went to
the wrong prompts have G = 0 up to chance: their own prompt is one drawn at random already. No loss curve shows that.
Source: Ethayarajh et al., "Understanding Dataset Difficulty with V-Usable Information" (ICML 2022-06): what a prompt
tells a model about its answer, measured on the model itself.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunewright.data.rows import Row

Floats = NDArray[np.float64]
Losses = Callable[[Sequence[Row]], tuple[Floats, NDArray[np.int64]]]
"""Sums of the answers' token losses in nats, and their tokens; of each row, in order."""

EXCHANGES = 2
"""Other prompts each answer is measured under where time is no matter; one has an error that is a sixth larger."""
FEWEST_ROWS = 20


@dataclass(frozen=True)
class Gain:
    """Nats per answer token: mean over the rows, and its standard error (NaN for fewer than two rows).

    rows: so many were measured; loss: mean loss of their answers under their own prompts; least: numbers of the rows
    that gain least, least first.
    """

    nats: float
    error: float
    loss: float
    rows: int
    least: tuple[int, ...] = ()

    @property
    def low(self) -> float:
        return self.nats - 1.96 * self.error

    @property
    def high(self) -> float:
        return self.nats + 1.96 * self.error


def exchanged(rows: Sequence[Row], seed: int) -> list[Row]:
    """Each row's answer behind the turns that come before another row's: one that asks and answers otherwise.

    Rows without such a partner keep what they have and say nothing; the first row of a group of equals stays fair, as
    partners are drawn by turning a shuffled circle, the smallest turn that fits.

    >>> from tunewright.data.rows import Message
    >>> pairs = [("a?", "1"), ("b?", "2")]
    >>> rows = [Row(n, (Message("user", q), Message("assistant", a))) for n, (q, a) in enumerate(pairs)]
    >>> [(row.prompt, row.answer) for row in exchanged(rows, 0)]
    [('b?', '1'), ('a?', '2')]
    """
    circle = list(range(len(rows)))
    random.Random(f"exchange {seed}").shuffle(circle)
    made = list(rows)
    for place, at in enumerate(circle):
        row = rows[at]
        others = (rows[circle[(place + turn) % len(circle)]] for turn in range(1, len(circle)))
        other = next((one for one in others if one.key != row.key and one.answer != row.answer), row)
        answer = row.messages[row.last_answer]
        made[at] = replace(row, messages=(*other.messages[: other.last_answer], answer), tools=other.tools)
    return made


def behind_others(rows: Sequence[Row], losses: Losses, exchanges: int, seed: int) -> Floats:
    """Sums of the answers' losses in nats behind so many other prompts, [exchanges, n]."""
    return np.array([losses(exchanged(rows, seed + turn))[0] for turn in range(exchanges)])


def conditional_gain(
    rows: Sequence[Row],
    losses: Losses,
    *,
    own: tuple[Floats, NDArray[np.int64]] | None = None,
    others_Kn: Floats | None = None,
    exchanges: int = EXCHANGES,
    seed: int = 0,
) -> Gain:
    """The gain of these chat rows, NaN without any.

    ``own``, ``others_Kn``: their losses as they are and behind other prompts, where known already.
    """
    if not rows:
        return Gain(math.nan, math.nan, math.nan, 0)
    own_n, tokens_n = own or losses(rows)
    other_n = np.mean(behind_others(rows, losses, exchanges, seed) if others_Kn is None else others_Kn, axis=0)
    counted = tokens_n > 0
    gains = ((other_n - own_n) / np.maximum(tokens_n, 1))[counted]
    numbers = [row.number for row, there in zip(rows, counted.tolist(), strict=True) if there]
    error = float(gains.std(ddof=1) / math.sqrt(len(gains))) if len(gains) > 1 else math.nan
    loss = float(own_n[counted].sum() / tokens_n[counted].sum()) if len(gains) else math.nan
    nats = float(gains.mean()) if len(gains) else math.nan
    least = tuple(numbers[at] for at in np.argsort(gains, kind="stable"))
    return Gain(nats, error, loss, len(gains), least)
