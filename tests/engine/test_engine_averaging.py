"""The mean of a run's weights: against a mean made of its checkpoints, killed, in a pack, branched, and let alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from tunewright.data.tokens import TokenRow
from tunewright.engine.averaging import RunningMeans, newest_weight
from tunewright.engine.base import Base
from tunewright.engine.evaluate import mean_loss, row_losses
from tunewright.engine.export import load_tuned
from tunewright.engine.job import Job, TrainResult
from tunewright.engine.loop import run_job, run_pack
from tunewright.engine.session import Session
from tunewright.record.run import Run
from tunewright.schema.errors import UsageError
from tunewright.schema.recipe import Recipe

MakeBase = Callable[..., Base]
MakeJob = Callable[..., Job]
MakeRun = Callable[..., Run]


class Killed(BaseException):
    """Stands for a kill: nothing may catch it."""


@pytest.fixture
def job_of(make_rows: Callable[..., list[TokenRow]], make_recipe: Callable[..., Recipe]) -> MakeJob:
    train, val = make_rows(44), make_rows(10, seed=1)

    def make(run: Run | None = None, *, kept_at: frozenset[int] = frozenset(), **values: Any) -> Job:
        usual = {"max_steps": 12, "eval_steps": 4, "average_share": 0.4, "learning_rate": 1e-2}
        return Job(make_recipe(**(usual | values)), train, val, run=run, kept_at=kept_at)

    return make


def weights_of(share: float, steps: int) -> np.ndarray:
    """What each of so many steps counts in the mean, by unrolling it."""
    weight_n = np.zeros(steps)
    for step in range(1, steps + 1):
        newest = newest_weight(share, step)
        weight_n *= 1 - newest
        weight_n[step - 1] += newest
    return weight_n


def without_times(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in event.items() if key != "seconds"} for event in events]


def trained(base: Base, job: Job) -> tuple[TrainResult, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    result = run_job(base, job, on_event=events.append)
    result.pack.detach()
    return result, without_times(events)


@given(share=st.floats(0.05, 1.0), steps=st.integers(1, 300))
def test_the_mean_is_a_mean_of_later_steps_more_than_of_earlier_ones(share: float, steps: int) -> None:
    weight_n = weights_of(share, steps)
    assert weight_n.sum() == pytest.approx(1)
    assert (weight_n >= 0).all()
    assert (np.diff(weight_n) >= -1e-12).all()


@pytest.mark.parametrize("share", [0.0, 5e-324, 1e-310, 1e-9])
def test_hardly_any_share_is_the_newest_weight(share: float) -> None:
    assert newest_weight(share, 1000) == pytest.approx(1.0, abs=1e-5)


def test_while_means_are_shown_no_copy_is_made_and_all_is_as_it_was_afterwards() -> None:
    params_KP = torch.arange(6.0).reshape(2, 3)
    means = RunningMeans(params_KP, [0.5, 0.0])
    params_KP += 1
    means.take([2, 2])
    before, mean_1P = params_KP.clone(), means.of(0)
    assert mean_1P is not None
    settled_1P = mean_1P.clone()
    with means.shown([0, 1]):
        assert torch.equal(params_KP, torch.cat([settled_1P, before[1:]]))
    assert torch.equal(params_KP, before)
    assert torch.equal(mean_1P, settled_1P)


@pytest.mark.parametrize("share", [0.2, 0.3, 0.5, 1.0])
def test_the_mean_is_as_old_as_that_of_the_last_share(share: float) -> None:
    steps = 4000
    age = steps - weights_of(share, steps) @ np.arange(1, steps + 1)
    assert age / steps == pytest.approx(share / 2, rel=0.02)


def test_what_is_measured_and_kept_is_the_mean_of_the_checkpoints(
    make_base: MakeBase, job_of: MakeJob, make_run: MakeRun
) -> None:
    run, base = make_run(), make_base()
    job = job_of(run, save_steps=1, eval_steps=12, kept_at=frozenset(range(13)))
    result = run_job(base, job)
    steps = [load_file(run.checkpoints / f"step-{step}" / "tensors.safetensors") for step in range(1, 13)]
    expected_1P = sum(w * one["params"].double() for w, one in zip(weights_of(0.4, 12), steps, strict=True))
    assert torch.allclose(steps[-1]["mean"].double(), expected_1P, atol=1e-6)
    assert torch.equal(result.pack.params_KP, steps[-1]["mean"])
    assert mean_loss(*row_losses(result.pack, job.val, 16)) == pytest.approx(result.eval_loss, rel=1e-6)
    result.pack.detach()
    assert mean_loss(*row_losses(load_tuned(base, run.best), job.val, 16)) == pytest.approx(result.eval_loss, rel=1e-6)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_training_never_sees_the_mean(make_base: MakeBase, job_of: MakeJob, method: str) -> None:
    _, with_mean = trained(make_base(method=method), job_of(method=method))
    _, without = trained(make_base(method=method), job_of(method=method, average_share=0.0))
    looks = [event["eval_loss"] for event in with_mean if "eval_loss" in event]
    assert [e for e in with_mean if "loss" in e] == [e for e in without if "loss" in e]
    assert looks[0] == next(event["eval_loss"] for event in without if "eval_loss" in event)
    assert looks[1:] != [event["eval_loss"] for event in without if "eval_loss" in event][1:]


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("at", [3, 6, 12])
def test_a_killed_run_goes_on_to_the_same_mean(
    make_base: MakeBase, job_of: MakeJob, make_run: MakeRun, method: str, at: int
) -> None:
    def die(event: dict[str, Any]) -> None:
        if event["step"] >= at and "loss" in event:
            raise Killed

    whole, cut = make_run("whole"), make_run("cut")
    expected = run_job(make_base(method=method), job_of(whole, method=method))
    with pytest.raises(Killed):
        run_job(make_base(method=method), job_of(cut, method=method), on_event=die)
    result = run_job(make_base(method=method), job_of(cut, method=method), resume=True)
    assert torch.equal(result.pack.params_KP, expected.pack.params_KP)
    assert (result.best_step, result.eval_loss) == (expected.best_step, expected.eval_loss)


@pytest.mark.parametrize("slots", [1, 2, None])
def test_neighbours_that_average_and_that_do_not_leave_one_another_alone(
    make_base: MakeBase, job_of: MakeJob, slots: int | None
) -> None:
    base = make_base()
    shares = {"average_share": 0.0, "max_steps": 6}, {"average_share": 0.3}, {"average_share": 0.7, "lora_rank": 2}
    outcomes = run_pack(base, [job_of(seed=n, **values) for n, values in enumerate(shares)], slots=slots)
    for number, (outcome, values) in enumerate(zip(outcomes, shares, strict=True)):
        result, _ = trained(base, job_of(seed=number, **values))
        assert isinstance(outcome, TrainResult)
        assert outcome.eval_loss == pytest.approx(result.eval_loss, rel=1e-5)


def test_a_branch_goes_on_with_its_trunks_mean(make_base: MakeBase, job_of: MakeJob) -> None:
    def go_on(session: Session) -> None:
        if session.steps == 6:
            session.branch(0, job_of(max_steps=16))

    base = make_base()
    outcomes = run_pack(base, [job_of()], on_boundary=go_on)
    longer, _ = trained(base, job_of(max_steps=16))
    assert isinstance(outcomes[1], TrainResult)
    assert outcomes[1].eval_loss == pytest.approx(longer.eval_loss, rel=1e-5)


def test_a_branch_cannot_begin_to_average(make_base: MakeBase, job_of: MakeJob) -> None:
    def go_on(session: Session) -> None:
        session.branch(0, job_of(average_share=0.9))

    with pytest.raises(UsageError, match="average_share"):
        run_pack(make_base(), [job_of()], on_boundary=go_on)


def test_no_memory_is_taken_where_nobody_averages() -> None:
    params_KP = torch.ones(2, 3)
    means = RunningMeans(params_KP, [0.0, 0.0])
    means.take([1, 1])
    assert means.means_KP is None
    assert means.of(0) is None
    means.begin(1, 0.5)
    assert means.of(0) is None
    assert means.of(1) is not None
