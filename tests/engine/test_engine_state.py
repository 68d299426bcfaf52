"""What a run carries from step to step: how it judges an evaluation, and what a branch takes over."""

from __future__ import annotations

import math

from tunewright.engine.state import LoopState


def judged(*losses: float | None, general: tuple[float, ...] = ()) -> tuple[LoopState, list[bool]]:
    """A state after one evaluation a step, from step 0 on, and whether each was the best so far."""
    state, improved = LoopState(), []
    for step, loss in enumerate(losses):
        state.step = step
        improved.append(state.judge(loss, general[step] if general else None))
    return state, improved


def test_the_best_is_the_lowest_finite_loss() -> None:
    state, improved = judged(2.0, 1.5, math.nan, 1.5, 1.4, math.inf, 1.6)
    assert improved == [True, True, False, False, True, False, False]
    assert (state.best_step, state.best_loss, state.base_eval_loss) == (4, 1.4, 2.0)
    assert (state.evaluations_without_gain, state.evaluated_step) == (2, 6)


def test_without_validation_rows_the_last_is_the_best() -> None:
    state, improved = judged(None, None, None)
    assert improved == [True, True, True]
    assert (state.best_step, state.best_loss, state.general_rise) == (2, None, None)


def test_what_was_forgotten_is_counted_at_the_best_step() -> None:
    state, _ = judged(2.0, 1.0, 1.2, general=(0.5, 0.75, 3.0))
    assert state.general_rise == 0.25


def test_a_branch_takes_over_everything_but_what_its_trunk_spent_and_how_many_rows_fit() -> None:
    trunk, _ = judged(2.0, 1.0)
    trunk.tokens_train, trunk.tokens_eval, trunk.micro_rows, trunk.stopped_because = 700, 90, 2, "all 1 steps done"
    branch = LoopState(micro_rows=8, eval_rows=4).branch_of(trunk, seconds=3.5)
    assert (branch.step, branch.best_loss, branch.tokens_train, branch.seconds) == (1, 1.0, 700, 3.5)
    assert (branch.tokens_inherited, branch.stopped_because) == ((700, 90), "")
    assert (branch.micro_rows, branch.eval_rows) == (8, 4)
    branch.plateau.see(9.0)
    assert trunk.plateau != branch.plateau  # nothing is shared


def test_with_other_validation_rows_nothing_measured_so_far_counts() -> None:
    state, _ = judged(2.0, 1.0)
    state.measured_anew()
    assert (state.base_eval_loss, state.evaluated_step) == (None, -1)
    assert state.judge(1.7, None)
