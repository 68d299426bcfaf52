"""When memory runs out: smaller pieces, then fewer runs at a time, and the same losses; only one row too many fails."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests_support import rows_given

from tunewright.data.tokens import TokenRow
from tunewright.engine.base import Base
from tunewright.engine.job import Job, TrainResult
from tunewright.engine.loop import run_pack
from tunewright.engine.roster import Outcome
from tunewright.engine.session import Session
from tunewright.record.run import Run
from tunewright.schema.errors import Interrupted, RunFailed
from tunewright.schema.recipe import Recipe

MakeBase = Callable[..., Base]
Jobs = Callable[..., list[Job]]
Events = dict[int, list[dict[str, Any]]]


@pytest.fixture
def jobs_of(make_rows: Callable[..., list[TokenRow]], make_recipe: Callable[..., Recipe]) -> Jobs:
    """Runs that differ in all but their rows."""
    train, val = make_rows(40), make_rows(10, seed=1)

    def make(count: int = 4, runs: list[Run] | None = None, **values: Any) -> list[Job]:
        usual = {"max_steps": 6, "eval_steps": 3, "per_device_train_batch_size": 4, "per_device_eval_batch_size": 4}
        return [
            Job(
                make_recipe(**({"lora_rank": 2 + place, "seed": place} | usual | values)),
                train,
                val,
                run=runs[place] if runs else None,
            )
            for place in range(count)
        ]

    return make


def limit(base: Base, fits: Callable[[int, int], bool]) -> list[tuple[int, bool]]:
    """A device on which only batches of some (rows, longest row) fit.

    Returns (rows, whether in training) of every pass that was tried.
    """
    forward, tried = base.model.forward, []

    def small(*args: Any, **inputs: Any) -> Any:
        rows, longest = rows_given(inputs)
        tried.append((rows, torch.is_grad_enabled()))
        if not fits(rows, longest):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB")
        return forward(*args, **inputs)

    base.model.forward = small  # type: ignore[method-assign]
    return tried


def losses(base: Base, jobs: list[Job], **options: Any) -> tuple[list[Outcome], Events]:
    events: Events = defaultdict(list)
    outcomes = run_pack(base, jobs, on_event=lambda index, event: events[index].append(event), **options)
    return outcomes, events


def assert_same_losses(ours: Events, theirs: Events) -> None:
    assert set(ours) == set(theirs)
    for index, expected in theirs.items():
        assert [event["step"] for event in ours[index]] == [event["step"] for event in expected]
        for our, their in zip(ours[index], expected, strict=True):
            assert our.get("rows") == their.get("rows")
            for key in {"loss", "eval_loss"} & set(their):
                assert our[key] == pytest.approx(their[key], rel=1e-5)


def notes_of(outcome: Outcome) -> str:
    assert isinstance(outcome, TrainResult)
    return "\n".join(outcome.notes)


def test_all_slots_take_smaller_pieces_together(make_base: MakeBase, jobs_of: Jobs) -> None:
    _, roomy = losses(make_base(), jobs_of())
    base = make_base()
    tried = limit(base, lambda rows, longest: rows <= 6)
    outcomes, tight = losses(base, jobs_of())
    assert_same_losses(tight, roomy)
    assert max(tried) == (16, True)
    for outcome in outcomes:
        assert "per_device_train_batch_size 4 -> 2, the effective batch stays" in notes_of(outcome)
        assert "per_device_train_batch_size 2 -> 1" in notes_of(outcome)
        assert "at a time" not in notes_of(outcome)


def test_evaluation_out_of_memory_leaves_training_alone(make_base: MakeBase, jobs_of: Jobs) -> None:
    _, roomy = losses(make_base(), jobs_of())
    base = make_base()
    tried = limit(base, lambda rows, longest: torch.is_grad_enabled() or rows <= 3)  # not even a row of each at once
    outcomes, tight = losses(base, jobs_of())
    assert_same_losses(tight, roomy)
    assert (16, False) in tried
    for outcome in outcomes:
        assert "per_device_eval_batch_size 2 -> 1" in notes_of(outcome)
        assert "train_batch" not in notes_of(outcome)


def test_slots_that_do_not_fit_wait_until_others_are_done(make_base: MakeBase, jobs_of: Jobs) -> None:
    _, roomy = losses(make_base(), jobs_of(5))
    base = make_base()
    limit(base, lambda rows, longest: rows <= 3 or not torch.is_grad_enabled())
    at_once = []
    outcomes, tight = losses(base, jobs_of(5), on_boundary=lambda session: at_once.append(session.K))
    assert_same_losses(tight, roomy)
    assert at_once[0] == 5
    assert max(at_once[1:]) == 3
    assert "after step 0: 3 runs at a time fit, the others wait" in notes_of(outcomes[0])


def test_a_slot_parked_on_its_way_loses_nothing(make_base: MakeBase, jobs_of: Jobs) -> None:
    _, roomy = losses(make_base(), jobs_of(3))
    base, session_steps = make_base(), [0]
    limit(base, lambda rows, longest: session_steps[0] < 3 or rows <= 2 or not torch.is_grad_enabled())

    def count(session: Session) -> None:
        session_steps[0] = session.steps

    outcomes, tight = losses(base, jobs_of(3), on_boundary=count)
    assert_same_losses(tight, roomy)
    assert "after step 3: 2 runs at a time fit" in notes_of(outcomes[2])


def test_rows_grow_again_when_there_are_fewer_slots(make_base: MakeBase, jobs_of: Jobs) -> None:
    base = make_base()
    tried = limit(base, lambda rows, longest: rows <= 8 or not torch.is_grad_enabled())
    losses(base, [*jobs_of(3, max_steps=2), *jobs_of(1, max_steps=6)])
    assert tried.count((8, True)) == 4  # two steps of four slots, two rows of each at a time
    assert tried.count((4, True)) == 4  # then four steps of one slot, its four rows at once as its recipe says


def test_one_row_too_large_ends_its_run_alone(
    make_base: MakeBase, jobs_of: Jobs, make_rows: Callable[..., list[TokenRow]]
) -> None:
    long_rows = make_rows(8, seed=5, longest=60)
    base = make_base()
    limit(base, lambda rows, longest: longest <= 22)
    usual = jobs_of(3)
    jobs = [usual[0], Job(usual[1].recipe, long_rows), usual[2]]
    outcomes, _ = losses(base, jobs)
    assert isinstance(outcomes[1], RunFailed)
    assert outcomes[1].code == "out_of_memory"
    assert [outcome.steps for outcome in (outcomes[0], outcomes[2]) if isinstance(outcome, TrainResult)] == [6, 6]


def test_ctrl_c_saves_those_that_wait_too(make_base: MakeBase, jobs_of: Jobs, make_run: Callable[..., Run]) -> None:
    runs = [make_run(f"run-{place}") for place in range(3)]
    _, roomy = losses(make_base(), jobs_of(3))
    base, steps = make_base(), [0]
    limit(base, lambda rows, longest: steps[0] < 2 or rows <= 2 or not torch.is_grad_enabled())

    def count(session: Session) -> None:
        steps[0] = session.steps

    with pytest.raises(Interrupted, match="after steps 2 to 4"):
        losses(base, jobs_of(3, runs), on_boundary=count, should_stop=lambda: steps[0] == 4)
    assert [sorted(path.name for path in run.checkpoints.iterdir())[-1] for run in runs] == [
        "step-4",
        "step-4",
        "step-2",
    ]
    losses(make_base(), jobs_of(3, runs), resume=True)
    for index, run in enumerate(runs):
        kept = {(event["step"], "eval_loss" in event): event for event in run.events() if "step" in event}
        assert_same_losses({0: [kept[key] for key in sorted(kept)]}, {0: _in_order(roomy[index])})


def _in_order(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(events, key=lambda event: (event["step"], "eval_loss" in event))
