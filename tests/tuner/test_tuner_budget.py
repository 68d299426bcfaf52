"""Budgets as people write them, and what counts against them."""

from __future__ import annotations

import math

import pytest

from tunewright.schema.errors import UsageError
from tunewright.tuner.budget import Budget, Spent, default_budget, exhausted, parse_budget


@pytest.mark.parametrize(
    ("text", "tokens", "seconds", "runs"),
    [
        ("5epochs", 5000.0, math.inf, 100),
        ("30m", math.inf, 1800.0, 100),
        ("2Mtokens", 2e6, math.inf, 100),
        ("1epoch", 1000.0, math.inf, 100),
        ("6runs", math.inf, math.inf, 6),
        ("45s", math.inf, 45.0, 100),
        ("2h", math.inf, 7200.0, 100),
    ],
)
def test_budgets_as_people_write_them(text: str, tokens: float, seconds: float, runs: int) -> None:
    budget = parse_budget(text, tokens_per_epoch=1000)
    assert (budget.tokens, budget.seconds, budget.runs) == (tokens, seconds, runs)


@pytest.mark.parametrize("text", ["", "five", "5", "-3epochs", "3 weeks", "1e9tokens"])
def test_budgets_that_cannot_be_meant_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--budget"):
        parse_budget(text, 1000)


def test_the_default_budget_grows_for_small_data() -> None:
    assert default_budget(rows=825, tokens_per_epoch=8250).tokens == 16 * 8250
    assert default_budget(rows=90, tokens_per_epoch=900).tokens == 100 * 900


def test_evaluation_counts_half() -> None:
    spent = Spent(train_tokens=100, eval_tokens=100)
    assert exhausted(Budget(tokens=149), spent)
    assert not exhausted(Budget(tokens=150), spent)
