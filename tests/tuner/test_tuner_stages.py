"""Whether a stage on raw text pays, from two short runs; and what runs cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tuner_worlds import PLANNED, PRICES, VAL_ROWS, World

from tunewright.tuner.order import Order, held
from tunewright.tuner.prices import MOST_EVALS
from tunewright.tuner.ranking import RowLosses
from tunewright.tuner.rungs import Rung
from tunewright.tuner.stages import domain_pays
from tunewright.tuner.step import Step


def rung(loss: float, noise: float) -> Rung:
    """A short run that ends at ``loss``; its rows differ from another's by ``noise``."""
    recipe = held(PLANNED, learning_rate=1e-3, total=40, per_epoch=50, eval_every=20, warmup=2)
    outcome = World().outcome(Order("run-1", recipe, "trial", (), ""))
    values = outcome.curve.eval_loss.values.copy()
    values[-1] = loss
    own_n = np.random.default_rng(round(1e4 * loss)).normal(0.0, noise, VAL_ROWS)
    rows = RowLosses(loss + own_n - own_n.mean(), np.ones(VAL_ROWS, dtype=np.int64))
    curve = replace(outcome.curve, eval_loss=replace(outcome.curve.eval_loss, values=values))
    return Rung(Step(replace(outcome, curve=curve, end_rows=rows), (), "", None, "trial"), 1e-3, 40)


@pytest.mark.parametrize(
    ("after", "noise", "kept"), [(0.9, 0.01, True), (0.999, 0.0, False), (0.9, 2.0, False), (1.1, 0.01, False)]
)
def test_a_stage_is_kept_for_a_gain_beyond_noise(after: float, noise: float, kept: bool) -> None:
    verdict = domain_pays(rung(after, noise), rung(1.0, noise))
    assert verdict.kept is kept
    assert f"{after:.4f} after it" in verdict.why


def test_a_run_that_begins_elsewhere_costs_its_own_steps() -> None:
    recipe = held(PLANNED, learning_rate=1e-3, total=100, per_epoch=50, eval_every=25, warmup=2)
    whole, rest = PRICES(recipe), PRICES(recipe, 60)
    assert whole.tokens == 100 * 160 + 0.5 * 5 * 1000
    assert rest.tokens == 40 * 160 + 0.5 * 2 * 1000
    assert PRICES(recipe, 50).tokens == 50 * 160 + 0.5 * 2 * 1000  # the look at the fork is the shorter run's
    assert replace(PRICES, tokens_per_s=100.0)(recipe).seconds == whole.tokens / 100


def test_looks_at_a_short_run_cost_at_most_fifteen_percent_of_its_training() -> None:
    for steps in (20, 100, 1000):
        every = PRICES.eval_every(PLANNED, steps)
        evaluations = max(1, steps // every)
        assert evaluations == 1 or 0.5 * evaluations * 1000 <= 0.15 * steps * 160 * 1.01
        assert evaluations <= MOST_EVALS
