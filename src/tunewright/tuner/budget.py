"""What a tuning may spend, and what it has spent.

The unit is the training token. A token that was only forwarded (evaluation, probe, exam) costs half:
with adapters a training token is about two forward passes of work (source: "LoRA Without Regret", 2025-09).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from tunewright.schema.errors import UsageError

FORWARD_WEIGHT = 0.5
"""Cost of a token that is only forwarded, in training tokens."""

MOST_RUNS = 100
DEFAULT_EPOCHS = 16.0
DEFAULT_ROWS = 9_000
_FORM = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<factor>[kM]?)(?P<unit>epochs?|m|h|s|tokens?|runs?)")
_FACTOR = {"": 1.0, "k": 1e3, "M": 1e6}
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Budget:
    """Bounds of a tuning; infinite where none is set. The first one reached ends it."""

    tokens: float = math.inf
    seconds: float = math.inf
    runs: int = MOST_RUNS
    said: str = ""


@dataclass(frozen=True)
class Spent:
    """What a tuning has used: tokens through forward and backward, tokens only forwarded, wall seconds, runs."""

    train_tokens: int = 0
    eval_tokens: int = 0
    seconds: float = 0.0
    runs: int = 0

    @property
    def cost(self) -> float:
        """In training tokens.

        >>> Spent(train_tokens=100, eval_tokens=50).cost
        125.0
        """
        return self.train_tokens + FORWARD_WEIGHT * self.eval_tokens

    def plus(self, other: Spent) -> Spent:
        return Spent(
            self.train_tokens + other.train_tokens,
            self.eval_tokens + other.eval_tokens,
            self.seconds + other.seconds,
            self.runs + other.runs,
        )


def default_budget(rows: int, tokens_per_epoch: int) -> Budget:
    """16 epochs of tokens, or 9,000 rows seen if that is more."""
    epochs = max(DEFAULT_EPOCHS, DEFAULT_ROWS / max(rows, 1))
    said = f"{epochs:.3g} epochs of tokens (the default), evaluations at half weight"
    return Budget(tokens=epochs * tokens_per_epoch, said=said)


def parse_budget(text: str, tokens_per_epoch: int) -> Budget:
    """``5epochs``, ``30m``, ``2Mtokens`` or ``6runs``. Raises UsageError for anything else.

    >>> parse_budget("2epochs", 1000).tokens
    2000.0
    """
    match = _FORM.fullmatch(text.replace(",", "").replace(" ", ""))
    if not match:
        raise UsageError(f"--budget {text}: expected something like 5epochs, 30m, 2Mtokens or 6runs")
    amount = float(match["number"]) * _FACTOR[match["factor"]]
    unit = match["unit"].removesuffix("s") or "s"
    if unit == "epoch":
        return Budget(tokens=amount * tokens_per_epoch, said=text)
    if unit == "token":
        return Budget(tokens=amount, said=text)
    if unit == "run":
        return Budget(runs=int(amount), said=text)
    return Budget(seconds=amount * _SECONDS[unit], said=text)


def exhausted(budget: Budget, spent: Spent, next_cost: float = 0.0, next_seconds: float = 0.0) -> str:
    """Why another run that costs ``next_cost`` tokens and ``next_seconds`` may not start; empty if it may."""
    if spent.runs >= budget.runs:
        return f"{spent.runs} runs were made, the budget allows {budget.runs}"
    if spent.cost + next_cost > budget.tokens:
        left = max(0.0, budget.tokens - spent.cost)
        return f"the next run would take about {next_cost:,.0f} tokens and {left:,.0f} are left of {budget.tokens:,.0f}"
    if spent.seconds + next_seconds > budget.seconds:
        return f"the next run would end after the {budget.seconds:,.0f} s of the budget"
    return ""
