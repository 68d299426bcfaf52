"""Losses of training rows on a model that has not seen them: each half is judged by a short training on the other.

Source: Northcutt et al., "Confident Learning: Estimating Uncertainty in Dataset Labels" (JAIR 2021-04).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.data.rows import Row
from tunewright.engine.base import Base, pristine
from tunewright.engine.job import Job
from tunewright.engine.loop import run_job
from tunewright.engine.pack import Pack
from tunewright.probes.answers import Counts, Floats
from tunewright.probes.conditional_gain import behind_others
from tunewright.probes.short_runs import OnProgress, no_progress, short_recipe
from tunewright.schema.recipe import Recipe

if TYPE_CHECKING:
    from tunewright.data.tokens import TokenRow

Ask = Callable[[Pack], Callable[[Sequence[Row]], tuple[Floats, Counts]]]
"""What asks a trained model for the losses of rows."""


def cross_fit(
    base: Base,
    recipe: Recipe,
    rows: Sequence[Row],
    tokens: Mapping[int, TokenRow],
    ask: Ask,
    *,
    steps: int,
    exchanges: int,
    on_progress: OnProgress = no_progress,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[Floats, Floats, Counts, int]:
    """(losses behind their own prompts [n], behind others' [K, n], answer tokens [n]) of rows, and tokens trained on.

    Two trainings of ``steps`` steps with the recipe from the untouched base, each on half of the rows, drawn with the
    recipe's seed. ``tokens``: the rows as they are trained on, by number; a row that is not there is judged only.
    Raises Interrupted when ``should_stop`` says so, RunFailed when nothing fits, DataError for a half without tokens.
    """
    order = random.Random(f"halves {recipe.seed}").sample(range(len(rows)), len(rows))
    halves = [sorted(order[::2]), sorted(order[1::2])]
    own_n, others_Kn = np.zeros(len(rows)), np.zeros((exchanges, len(rows)))
    tokens_n, spent = np.zeros(len(rows), np.int64), 0
    short = short_recipe(recipe, max_steps=steps)
    for turn, (learnt, judged) in enumerate((halves, halves[::-1])):

        def on_event(event: dict[str, Any], before: int = turn * steps) -> None:
            on_progress("halves of the rows", before + int(event.get("step", 0)), 2 * steps)

        train = [tokens[rows[at].number] for at in learnt if rows[at].number in tokens]
        result = run_job(pristine(base), Job(recipe=short, train=train), on_event=on_event, should_stop=should_stop)
        spent += result.tokens_train
        try:
            losses, unseen = ask(result.pack), [rows[at] for at in judged]
            own_n[judged], tokens_n[judged] = losses(unseen)
            others_Kn[:, judged] = behind_others(unseen, losses, exchanges, recipe.seed)
        finally:
            result.pack.detach()
    pristine(base)
    return own_n, others_Kn, tokens_n, spent
