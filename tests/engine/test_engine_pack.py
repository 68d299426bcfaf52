"""Many runs in one pack: each is what it would be alone, whatever its neighbours are, do or suffer."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from tunewright.data.tokens import TokenRow
from tunewright.engine.adapter import SlotSpec
from tunewright.engine.attach import attach_lora
from tunewright.engine.base import Base
from tunewright.engine.batcher import Rows, step_window
from tunewright.engine.evaluate import row_losses
from tunewright.engine.export import load_tuned, peft_tensors
from tunewright.engine.job import Job, TrainResult
from tunewright.engine.loop import run_job, run_pack
from tunewright.engine.optimizer import FlatOptimizer, SlotRates
from tunewright.engine.roster import Outcome
from tunewright.engine.session import Session
from tunewright.engine.step import forward_backward
from tunewright.record.run import Run
from tunewright.schema.errors import DataError, Interrupted, ModelError, RunFailed, UsageError
from tunewright.schema.recipe import Recipe

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in random:UserWarning"),
]

MakeBase = Callable[..., Base]
MakeRows = Callable[..., list[TokenRow]]
MakeRecipe = Callable[..., Recipe]
MakeRun = Callable[..., Run]
MakeJob = Callable[..., Job]
Events = dict[int, list[dict[str, Any]]]


class Killed(BaseException):
    """Stands for a kill: nothing may catch it."""


@pytest.fixture
def job_of(make_rows: MakeRows, make_recipe: MakeRecipe) -> MakeJob:
    """Jobs that share their rows, unless they name others."""
    train, val = make_rows(44), make_rows(10, seed=1)

    def make(run: Run | None = None, *, rows: Any = None, check: Any = None, **values: Any) -> Job:
        usual = {"max_steps": 12, "eval_steps": 4, "lr_scheduler_type": "cosine", "warmup_steps": 2}
        return Job(make_recipe(**(usual | values)), rows or train, val if check is None else check, run=run)

    return make


def even_rows(count: int = 40, seed: int = 0) -> list[TokenRow]:
    """All of one length with as many supervised tokens, so that no neighbour changes the shape of a batch."""
    random = np.random.Generator(np.random.PCG64(seed))
    mask = np.arange(12) >= 6
    return [TokenRow(number=n, ids=random.integers(3, 64, 12).astype(np.int32), supervised=mask) for n in range(count)]


def trained(base: Base, jobs: Sequence[Job], **options: Any) -> tuple[list[Outcome], Events]:
    """Outcomes, and each job's events without their times."""
    events: Events = defaultdict(list)

    def keep(index: int, event: dict[str, Any]) -> None:
        events[index].append({key: value for key, value in event.items() if key != "seconds"})

    return run_pack(base, jobs, **{"on_event": keep, **options}), events


def alone(base: Base, job: Job) -> tuple[TrainResult, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    result = run_job(base, job, on_event=events.append)
    result.pack.detach()
    return result, [{key: value for key, value in event.items() if key != "seconds"} for event in events]


def assert_alike(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]], rtol: float = 1e-5) -> None:
    """The same events; losses as close as the order of sums allows, all else equal."""
    measured = ("loss", "eval_loss", "general_loss")
    assert len(ours) == len(theirs)
    for our, their in zip(ours, theirs, strict=True):
        assert set(our) == set(their)
        for key, value in their.items():
            if key in measured:
                assert our[key] == pytest.approx(value, rel=rtol, nan_ok=True), (key, their["step"])
            elif key != "grad_norm":
                assert our[key] == value, key


def result_of(outcome: Outcome) -> TrainResult:
    assert isinstance(outcome, TrainResult)
    return outcome


# --- against an independent reference -----------------------------------------------------------------------------


def peft_losses(model: nn.Module, job: Job, start: dict[str, torch.Tensor]) -> list[float]:
    """The run in plain transformers, PEFT and torch: its own masks, labels, mean, optimizer and clipping."""
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict

    recipe, table = job.recipe, Rows(job.train)
    config = LoraConfig(
        r=recipe.lora_rank, lora_alpha=recipe.lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    peft = get_peft_model(model, config)
    set_peft_model_state_dict(peft, start)
    weights = [p for p in peft.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    losses = []
    for step in range(recipe.max_steps or 0):
        window = step_window(table, seed=recipe.seed, step=step, rows_per_step=recipe.effective_batch_size)
        picked = [job.train[index] for index in window.indexes]
        ids = nn.utils.rnn.pad_sequence([torch.tensor(row.ids).long() for row in picked], batch_first=True)
        real = nn.utils.rnn.pad_sequence([torch.ones(len(row.ids)).long() for row in picked], batch_first=True)
        wanted = nn.utils.rnn.pad_sequence([torch.tensor(row.supervised) for row in picked], batch_first=True)
        logits = peft(input_ids=ids, attention_mask=real).logits[:, :-1].log_softmax(-1)
        nll = -logits.gather(-1, ids[:, 1:, None]).squeeze(-1)
        loss = nll[wanted[:, 1:]].mean()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, recipe.max_grad_norm or math.inf)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


UNLIKE = (
    {"lora_rank": 2, "lora_alpha": 32.0, "learning_rate": 1e-3, "weight_decay": 0.0, "max_grad_norm": 1.0, "seed": 1},
    {"lora_rank": 8, "lora_alpha": 32.0, "learning_rate": 3e-3, "weight_decay": 0.1, "max_grad_norm": 1.0, "seed": 2},
    {"lora_rank": 16, "lora_alpha": 16.0, "learning_rate": 5e-4, "weight_decay": 0.01, "max_grad_norm": 0.1, "seed": 3},
    {"lora_rank": 4, "lora_alpha": 8.0, "learning_rate": 1e-2, "weight_decay": 0.0, "max_grad_norm": 0.0, "seed": 4},
)


def test_four_unlike_runs_equal_four_of_peft(
    make_base: MakeBase, make_model: Callable[..., nn.Module], job_of: MakeJob
) -> None:
    constant = {"max_steps": 40, "lr_scheduler_type": "constant", "warmup_steps": None, "eval_steps": 40}
    jobs = [job_of(**constant, **values) for values in UNLIKE]
    _, events = trained(make_base(), jobs)
    for index, job in enumerate(jobs):
        spec = SlotSpec(job.recipe.lora_rank, job.recipe.lora_alpha, seed=job.recipe.seed)
        start = peft_tensors(attach_lora(make_model(), [spec]), 0)
        theirs = peft_losses(make_model(), job, start)
        ours = [event["loss"] for event in events[index] if "loss" in event]
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_one_row_eight_times_is_eight_rows_once(make_base: MakeBase, job_of: MakeJob) -> None:
    shapes = ((1, 8), (8, 1), (2, 4), (3, 3))
    jobs = [
        job_of(per_device_train_batch_size=rows, gradient_accumulation_steps=times, max_steps=30)
        for rows, times in shapes
    ]
    _, events = trained(make_base(), jobs)
    losses = np.array([[event["loss"] for event in events[index] if "loss" in event] for index in range(4)])
    residuals = losses[[0, 2]] / losses[1] - 1.0
    assert np.abs(residuals).max() <= 1e-5
    assert (np.abs(residuals.mean(axis=1)) <= 1e-6).all()  # no drift to one side
    assert np.abs(losses[3] / losses[1] - 1.0).max() > 1e-3  # nine rows are another run


# --- a run does not depend on the pack it is in -------------------------------------------------------------------

KNOBS = st.fixed_dictionaries(
    {
        "lora_rank": st.sampled_from([1, 3, 8]),
        "learning_rate": st.sampled_from([1e-3, 5e-3]),
        "lora_dropout": st.sampled_from([0.0, 0.2]),
        "lora_target": st.sampled_from(["all", ("q_proj", "v_proj"), ("down_proj",)]),
        "per_device_train_batch_size": st.sampled_from([1, 4, 8]),
        "gradient_accumulation_steps": st.sampled_from([1, 3]),
        "max_steps": st.integers(1, 7),
        "eval_steps": st.sampled_from([2, 3]),
        "logging_steps": st.sampled_from([1, 4]),
        "seed": st.integers(0, 2),
        "lr_scheduler_type": st.sampled_from(["constant", "linear", "wsd"]),
        "weight_decay": st.sampled_from([0.0, 0.1]),
    }
)


@given(knobs=st.lists(KNOBS, min_size=2, max_size=4), slots=st.integers(1, 4), vals=st.integers(0, 2**4))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_run_in_any_pack_is_what_it_is_alone(
    make_base: MakeBase, make_rows: MakeRows, job_of: MakeJob, knobs: list[dict[str, Any]], slots: int, vals: int
) -> None:
    base, other = make_base(), make_rows(7, seed=9)
    jobs = [
        job_of(warmup_steps=None, check=other if vals >> place & 1 else None, **values)
        for place, values in enumerate(knobs)
    ]
    outcomes, events = trained(base, jobs, slots=slots)
    for index, job in enumerate(jobs):
        result, theirs = alone(base, job)
        assert_alike(events[index], theirs)
        ours = result_of(outcomes[index])
        assert (ours.steps, ours.tokens_train, ours.tokens_eval) == (
            result.steps,
            result.tokens_train,
            result.tokens_eval,
        )


@pytest.mark.parametrize("K", [4, 8])
def test_more_neighbours_change_no_loss(make_base: MakeBase, job_of: MakeJob, K: int) -> None:
    jobs = [job_of(learning_rate=1e-3 * (1 + slot), lora_rank=1 + slot, seed=slot) for slot in range(K)]
    base = make_base()
    _, events = trained(base, jobs)
    _, reversed_events = trained(base, jobs[::-1])
    for index in (0, K - 1):
        theirs = alone(base, jobs[index])[1]
        assert_alike(events[index], theirs)
        assert_alike(reversed_events[K - 1 - index], theirs)


def test_six_jobs_over_two_slots_are_six_runs(make_base: MakeBase, job_of: MakeJob, make_run: MakeRun) -> None:
    runs = [make_run(f"cell-{index}") for index in range(6)]
    jobs = [
        job_of(run, max_steps=4 + index, lora_rank=(2, 8, 4)[index % 3], seed=index, learning_rate=2e-3 * (1 + index))
        for index, run in enumerate(runs)
    ]
    ended: list[int] = []
    at_once = set()

    def told(index: int, outcome: Outcome) -> None:
        ended.append(index)
        assert (runs[index].best / "adapter_model.safetensors").is_file()
        assert (runs[index].checkpoints / f"step-{4 + index}").is_dir()

    base = make_base()
    outcomes, events = trained(
        base, jobs, slots=2, on_done=told, on_boundary=lambda s: at_once.add((s.K, len(s.slots)))
    )
    assert sorted(ended) == list(range(6))
    assert at_once == {(2, 2), (1, 1)}
    assert not any(result_of(outcome).notes for outcome in outcomes)
    for index in range(6):
        assert_alike(events[index], alone(base, job_of(**_knobs(jobs[index])))[1])
        tuned = load_tuned(base, runs[index].best)
        nll, tokens = row_losses(tuned, jobs[index].val, 16)
        assert nll.sum() / tokens.sum() == pytest.approx(result_of(outcomes[index]).eval_loss, rel=1e-6)


def _knobs(job: Job) -> dict[str, Any]:
    return job.recipe.model_dump(include={"max_steps", "lora_rank", "seed", "learning_rate"})


def test_each_slot_is_read_by_peft_with_its_own_rank_and_layers(
    make_base: MakeBase, make_model: Callable[..., nn.Module], job_of: MakeJob, make_run: MakeRun
) -> None:
    from peft import PeftModel

    targets = ("all", ("q_proj", "down_proj"), "up_proj")
    jobs = [
        job_of(make_run(f"of-{rank}"), lora_rank=rank, lora_target=target, weight_decay=0.1)
        for rank, target in zip((2, 8, 3), targets, strict=True)
    ]
    base = make_base()
    run_pack(base, jobs)
    ids = torch.arange(3, 33).view(2, 15)
    for job, layers in zip(jobs, (14, 4, 2), strict=True):
        assert job.run is not None
        pack = load_tuned(base, job.run.best)
        assert len(pack.layers) == layers
        with torch.no_grad():
            ours = base.model(input_ids=ids).logits
            theirs = PeftModel.from_pretrained(make_model(), job.run.best)(input_ids=ids).logits
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_layers_that_are_not_its_own_stay_exactly_zero(
    make_model: Callable[..., nn.Module], make_rows: MakeRows
) -> None:
    own = ("model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj")
    pack = attach_lora(make_model(), [SlotSpec(2, 4.0, layers=own), SlotSpec(8, 8.0, dropout=0.1)])
    optimizer = FlatOptimizer(pack.params_KP, pack.grads_KP, [SlotRates(0.1, 1.0)] * 2, decayed=pack.decayed)
    window = step_window(Rows(make_rows(8)), seed=0, step=0, rows_per_step=8)
    for step in range(6):
        optimizer.update([1e-2, 1e-2], forward_backward(pack, [window] * 2, step=step, micro_rows=8))
    for path in pack.layers:
        A_ri, B_ro = (pack.leaf(f"{path}.{name}").of(pack.params_KP)[0] for name in "AB")
        if path in own:
            assert A_ri[:2].any()
            assert B_ro[:2].any()
            A_ri, B_ro = A_ri[2:], B_ro[2:]
        assert not A_ri.any()
        assert not B_ro.any()


# --- neighbours -----------------------------------------------------------------------------------------------------


@pytest.fixture
def even_job(make_recipe: MakeRecipe) -> MakeJob:
    train, val = even_rows(), even_rows(8, seed=1)

    def make(run: Run | None = None, **values: Any) -> Job:
        usual = {"max_steps": 20, "eval_steps": 5, "lora_dropout": 0.1}
        return Job(make_recipe(**(usual | values)), train, val, run=run)

    return make


def test_a_slot_that_explodes_and_the_one_after_it_touch_nobody(make_base: MakeBase, even_job: MakeJob) -> None:
    mine, other = even_job(seed=1), even_job(seed=2, lora_rank=2)
    base = make_base()
    _, calm = trained(base, [mine, even_job(seed=3), other])
    outcomes, events = trained(base, [mine, even_job(seed=3, learning_rate=1e30), other, even_job(seed=4)], slots=3)
    assert events[0] == calm[0]
    assert events[2] == calm[2]
    sick = result_of(outcomes[1])
    assert sick.stopped_because.startswith("non-finite loss since step")
    assert sick.steps < 20
    assert math.isfinite(result_of(outcomes[0]).eval_loss or math.nan)
    assert_alike(events[3], alone(base, even_job(seed=4))[1])  # it took the row of the sick one


def test_a_kill_with_a_refill_leaves_the_others_to_the_bit(make_base: MakeBase, even_job: MakeJob) -> None:
    base = make_base()
    _, calm = trained(base, [even_job(seed=seed) for seed in (1, 2, 3)])
    events: Events = defaultdict(list)

    def stop_one(index: int, event: dict[str, Any]) -> str | None:
        events[index].append({key: value for key, value in event.items() if key != "seconds"})
        return "seen enough" if index == 1 and event["step"] == 7 else None

    outcomes = run_pack(base, [even_job(seed=seed) for seed in (1, 2, 3, 4)], slots=3, on_event=stop_one)
    assert events[0] == calm[0]
    assert events[2] == calm[2]
    assert result_of(outcomes[1]).stopped_because == "seen enough"
    assert [event["step"] for event in events[1] if "eval_loss" in event] == [0, 5, 7]
    assert events[1][:9] == calm[1][:9]


def test_a_run_stopped_right_after_an_evaluation_is_saved_all_the_same(
    make_base: MakeBase, job_of: MakeJob, make_run: MakeRun
) -> None:
    runs = [make_run(name) for name in ("stopped", "other")]

    def stop(session: Session) -> None:
        if session.steps == 4:
            assert session.find(0).state.evaluated_step == 4
            session.stop(0, "seen enough")

    outcomes = run_pack(make_base(), [job_of(run) for run in runs], on_boundary=stop)
    assert [result_of(outcome).steps for outcome in outcomes] == [4, 12]
    assert (runs[0].checkpoints / "step-4").is_dir()


def test_a_kill_with_nobody_waiting_drops_the_row(make_base: MakeBase, job_of: MakeJob) -> None:
    sizes: list[int] = []

    def watch(session: Session) -> None:
        sizes.append(session.K)
        if session.steps == 5:
            session.stop(0, "enough")

    base = make_base()
    jobs = [job_of(seed=seed) for seed in (1, 2, 3)]
    outcomes, events = trained(base, jobs, on_boundary=watch)
    assert sizes == [3] * 6 + [2] * 7  # told once a step, before it goes
    assert result_of(outcomes[0]).steps == 5
    assert events[0][-1]["eval_loss"] == result_of(outcomes[0]).eval_loss or result_of(outcomes[0]).best_step < 5
    for index in (1, 2):
        assert_alike(events[index], alone(base, jobs[index])[1])


WSD = {"lr_scheduler_type": "wsd", "warmup_steps": 2, "decay_share": 0.5, "max_steps": 12}


@pytest.mark.parametrize("slots", [1, 2, None])
def test_a_branch_is_the_separate_run(
    make_base: MakeBase, job_of: MakeJob, make_run: MakeRun, slots: int | None
) -> None:
    base, run = make_base(), make_run("branch")
    trunk = job_of(make_run("trunk"), **{**WSD, "max_steps": 16, "decay_share": 0.125})
    branched: list[int] = []

    def branch_at_six(session: Session) -> None:
        if session.steps == 6:
            branched.append(session.branch(0, job_of(run, **WSD)))

    outcomes, events = trained(base, [trunk], slots=slots, on_boundary=branch_at_six)
    assert branched == [1]
    result, theirs = alone(base, job_of(**WSD))
    ours = result_of(outcomes[1])
    assert_alike(events[1], [event for event in theirs if event["step"] > 6])
    whole = [{k: v for k, v in event.items() if k != "seconds"} for event in run.events()]
    assert whole.count({"resumed_at": 6}) == 1
    assert_alike([event for event in whole if "step" in event], theirs)
    assert ours.eval_loss == pytest.approx(result.eval_loss, rel=1e-5)
    assert (ours.steps, ours.best_step, ours.tokens_train) == (result.steps, result.best_step, result.tokens_train)
    at_six = next(event["tokens"] for event in theirs if event["step"] == 6)
    assert ours.tokens_inherited[0] == at_six
    assert_alike(events[0], alone(base, job_of(**{**WSD, "max_steps": 16, "decay_share": 0.125}))[1])
    nll, tokens = row_losses(load_tuned(base, run.best), trunk.val, 16)
    assert nll.sum() / tokens.sum() == pytest.approx(ours.eval_loss, rel=1e-6)


def test_a_branch_in_the_place_of_another_leaves_its_trunk_to_the_bit(make_base: MakeBase, even_job: MakeJob) -> None:
    def swap(session: Session) -> None:
        if session.steps == 7:
            session.branch(0, even_job(seed=1, learning_rate=1e-2))
            session.stop(1, "its row is needed")

    base = make_base()
    _, calm = trained(base, [even_job(seed=1), even_job(seed=2)])
    outcomes, events = trained(base, [even_job(seed=1), even_job(seed=2)], slots=2, on_boundary=swap)
    assert events[0] == calm[0]
    assert [result_of(outcome).steps for outcome in outcomes] == [20, 7, 20]
    assert events[2][0]["step"] == 8
    assert events[2][0]["loss"] == pytest.approx(calm[0][9]["loss"], rel=1e-6)  # the same step, before rates tell


def test_a_run_that_just_ended_can_still_be_branched(make_base: MakeBase, job_of: MakeJob) -> None:
    def go_on(session: Session) -> None:
        if session.steps == 12:
            session.branch(0, job_of(max_steps=15, lr_scheduler_type="constant"))

    base = make_base()
    outcomes, _ = trained(base, [job_of(lr_scheduler_type="constant")], on_boundary=go_on)
    longer = alone(base, job_of(max_steps=15, lr_scheduler_type="constant"))[0]
    assert [result_of(outcome).steps for outcome in outcomes] == [12, 15]
    assert result_of(outcomes[1]).eval_loss == pytest.approx(longer.eval_loss, rel=1e-5)


def test_a_branch_cannot_be_another_adapter(make_base: MakeBase, job_of: MakeJob) -> None:
    seen = []

    def branch(session: Session) -> None:
        for values in ({"lora_rank": 2}, {"lora_alpha": 1.0}, {"lora_target": "q_proj"}):
            with pytest.raises(UsageError, match="trunk's lora_rank"):
                session.branch(0, job_of(**values))
        with pytest.raises(UsageError, match="run 3 is not in the pack"):
            session.branch(3, job_of())
        with pytest.raises(UsageError, match="no room for rank 8"):
            session.admit(job_of(lora_rank=8))
        seen.append(session.steps)

    outcomes, _ = trained(make_base(), [job_of(max_steps=1)], on_boundary=branch)
    assert seen == [0, 1]
    assert len(outcomes) == 1


def test_a_run_can_be_admitted_on_the_way(make_base: MakeBase, job_of: MakeJob) -> None:
    def admit(session: Session) -> None:
        if session.steps == 5:
            session.admit(job_of(seed=7, lora_rank=2, lora_target="q_proj"))

    base = make_base()
    _, events = trained(base, [job_of()], on_boundary=admit)
    assert_alike(events[1], alone(base, job_of(seed=7, lora_rank=2, lora_target="q_proj"))[1])
    assert_alike(events[0], alone(base, job_of())[1])


def test_row_losses_of_the_latest_evaluation_are_at_hand(make_base: MakeBase, job_of: MakeJob) -> None:
    pairs = []

    def compare(session: Session) -> None:
        if session.steps in (4, 5):
            first, second = session.slots
            assert first.row_nll_n is not None
            assert second.row_nll_n is not None
            pairs.append((first.row_nll_n.copy(), second.row_nll_n.copy(), first.row_tokens_n))

    _, events = trained(make_base(), [job_of(), job_of(learning_rate=1e-2)], on_boundary=compare)
    for slot in (0, 1):
        loss = next(event["eval_loss"] for event in events[slot] if event["step"] == 4 and "eval_loss" in event)
        assert pairs[0][slot].sum() / pairs[0][2].sum() == pytest.approx(loss)
        assert (pairs[0][slot] == pairs[1][slot]).all()  # nothing newer by step 5
    assert (pairs[0][0] != pairs[0][1]).all()


# --- endings --------------------------------------------------------------------------------------------------------


def latest(run: Run) -> list[dict[str, Any]]:
    """Events as a reader takes them: a later line of the same step and kind replaces the earlier."""
    kept: dict[tuple[int, bool], dict[str, Any]] = {}
    for event in run.events():
        if "resumed_at" not in event:
            kept[event["step"], "eval_loss" in event] = {k: v for k, v in event.items() if k != "seconds"}
    return [kept[key] for key in sorted(kept)]


@pytest.mark.parametrize("how", ["ctrl-c", "kill"])
@pytest.mark.parametrize("at", [3, 9])
def test_a_pack_goes_on_where_it_was(
    make_base: MakeBase, job_of: MakeJob, make_run: MakeRun, how: str, at: int
) -> None:
    def jobs(name: str) -> list[Job]:
        lengths = ((12, 2), (7, 8), (12, 4))  # the third begins at step 7 of the pack
        return [
            job_of(make_run(f"{name}-{place}"), max_steps=steps, lora_rank=rank, seed=place, lora_dropout=0.1)
            for place, (steps, rank) in enumerate(lengths)
        ]

    base, whole, cut = make_base(), jobs("whole"), jobs("cut")
    run_pack(base, whole, slots=2)
    done: list[int] = []
    steps = 0

    def count(session: Session) -> None:
        nonlocal steps
        steps = session.steps
        if how == "kill" and steps == at:
            raise Killed

    with pytest.raises((Interrupted, Killed)) as caught:
        run_pack(
            base,
            cut,
            slots=2,
            on_boundary=count,
            on_done=lambda index, _: done.append(index),
            should_stop=lambda: how == "ctrl-c" and steps == at,
            resume_hint="tunewright sweep --resume",
        )
    if how == "ctrl-c":
        assert caught.value.hint == "tunewright sweep --resume"
        assert (cut[0].run.checkpoints / f"step-{at}").is_dir()
    left = [job for index, job in enumerate(cut) if index not in done]
    outcomes = run_pack(base, left, slots=2, resume=True)
    assert all(isinstance(outcome, TrainResult) for outcome in outcomes)
    for ours, theirs in zip(cut, whole, strict=True):
        assert_alike(latest(ours.run), latest(theirs.run))
        assert (ours.run.best / "adapter_model.safetensors").is_file()


def test_a_checkpoint_of_a_pack_is_one_of_a_single_run(make_base: MakeBase, job_of: MakeJob, make_run: MakeRun) -> None:
    """Whatever the ranks and layers of its neighbours were, it goes on alone."""
    base, cut, whole = make_base(), make_run("cut"), make_run("whole")
    values = {"lora_rank": 2, "lora_target": ("q_proj", "down_proj")}
    with pytest.raises(Killed):
        run_pack(base, [job_of(), job_of(cut, **values)], on_boundary=_die_at(6))
    run_job(base, job_of(cut, **values), resume=True)
    run_job(base, job_of(whole, **values))
    assert {"resumed_at": 4} in list(cut.events())
    assert_alike(latest(cut), latest(whole))


def _die_at(step: int) -> Callable[[Session], None]:
    def die(session: Session) -> None:
        if session.steps == step:
            raise Killed

    return die


def test_a_full_disk_ends_one_run_and_no_other(
    make_base: MakeBase, job_of: MakeJob, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, fine = make_run("full"), make_run("fine")
    append = Run.append

    def no_space(self: Run, event: Any) -> None:
        if self.path == full.path and event["step"] == 5:
            raise RunFailed(f"{self.path}: the disk is full", code="disk_full")
        append(self, event)

    monkeypatch.setattr(Run, "append", no_space)
    told: dict[int, Outcome] = {}
    outcomes, _ = trained(
        make_base(), [job_of(full), job_of(fine, seed=1), job_of(seed=2)], slots=2, on_done=told.__setitem__
    )
    assert [told[index] for index in range(3)] == outcomes
    assert isinstance(outcomes[0], RunFailed)
    assert outcomes[0].code == "disk_full"
    assert [result_of(outcome).steps for outcome in outcomes[1:]] == [12, 12]
    assert_alike(latest(fine), alone(make_base(), job_of(seed=1))[1])


@pytest.mark.parametrize(
    ("values", "error", "said"),
    [
        ({"lora_rank": 999}, UsageError, r"lora_rank 999 is above the smallest target layer \(16\): .*k_proj is 32 x"),
        ({"lora_target": ("q_prj",)}, ModelError, "did you mean 'q_proj'"),
        ({"modules_to_save": ("norm",)}, UsageError, "modules_to_save: such a run needs a pack of its own"),
        ({"lora_target": ("lm_head",)}, UsageError, "output layer: such a run needs a pack of its own"),
        ({"method": "full"}, UsageError, "the base was loaded for method lora"),
        ({"optim": "sgd"}, UsageError, "adamw and sgd cannot share a pack"),
        ({"init_adapter": "/nowhere"}, ModelError, "no adapter_config.json"),
    ],
)
def test_a_bad_job_is_named_before_any_is_trained(
    make_base: MakeBase, job_of: MakeJob, values: dict[str, Any], error: type[Exception], said: str
) -> None:
    seen: list[Any] = []
    with pytest.raises(error, match=said):
        run_pack(
            make_base(), [job_of(), job_of(), job_of(**values)], slots=1, on_event=lambda *event: seen.append(event)
        )
    assert not seen


def test_rows_and_jobs_there_are_none_of(make_base: MakeBase, job_of: MakeJob, make_rows: MakeRows) -> None:
    rows = make_rows(3)
    masked = [TokenRow(number=row.number, ids=row.ids, supervised=row.supervised & False) for row in rows]
    with pytest.raises(DataError, match="none of the 3 training rows"):
        run_pack(make_base(), [job_of(), job_of(rows=masked)])
    with pytest.raises(UsageError, match="no jobs"):
        run_pack(make_base(), [])
    full = make_base(method="full")
    with pytest.raises(UsageError, match="method full: such a run needs a pack of its own"):
        run_pack(full, [job_of(method="full")] * 2)


def test_runs_go_on_from_adapters_of_their_own(
    make_base: MakeBase, job_of: MakeJob, make_run: MakeRun, tmp_path: Path
) -> None:
    base, runs = make_base(), [make_run(name) for name in ("a", "b")]
    firsts = run_pack(
        base, [job_of(runs[0], lora_rank=2), job_of(runs[1], lora_rank=8, lora_target=("q_proj", "v_proj"))]
    )
    onward = [job_of(init_adapter=str(run.best), max_steps=3) for run in (*runs, *runs)]
    outcomes, events = trained(base, [job_of(max_steps=3), *onward], slots=3)
    for index, job in enumerate(onward, start=1):
        first = result_of(firsts[(index - 1) % 2])
        assert result_of(outcomes[index]).base_eval_loss == pytest.approx(first.eval_loss, rel=1e-5)
        assert_alike(events[index], alone(base, job)[1])


def test_the_base_is_itself_again_after_a_pack(make_base: MakeBase, job_of: MakeJob) -> None:
    base, ids = make_base(), torch.arange(3, 33).view(2, 15)
    with torch.no_grad():
        before = base.model(input_ids=ids).logits
    outcomes = run_pack(base, [job_of(), job_of(seed=1)])
    with torch.no_grad():
        assert torch.equal(base.model(input_ids=ids).logits, before)
    with pytest.raises(UsageError, match="load its best/ folder"):
        _ = result_of(outcomes[0]).pack
