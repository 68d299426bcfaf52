"""The loop: what it logs, when it stops, that it resumes to the bit, and what it leaves on disk."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests_support import rows_given

from tunewright.data.tokens import TokenRow
from tunewright.engine import session as session_module
from tunewright.engine import slot_files
from tunewright.engine.base import Base
from tunewright.engine.evaluate import mean_loss, row_losses
from tunewright.engine.job import Job
from tunewright.engine.loop import run_job
from tunewright.engine.step import forward_backward
from tunewright.record.run import Run
from tunewright.schema.errors import DataError, EnvironmentMissing, Interrupted, RunFailed, UsageError
from tunewright.schema.jsonio import number
from tunewright.schema.recipe import Recipe

MakeBase = Callable[..., Base]
MakeRows = Callable[..., list[TokenRow]]
MakeRecipe = Callable[..., Recipe]
MakeRun = Callable[..., Run]
TIMES = ("seconds",)


def without_times(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in event.items() if key not in TIMES} for event in events]


def latest(run: Run) -> list[dict[str, Any]]:
    """Events as a reader takes them: a later line of the same step and kind replaces the earlier."""
    kept: dict[tuple[int, bool], dict[str, Any]] = {}
    for event in run.events():
        if "resumed_at" not in event:
            kept[event["step"], "eval_loss" in event] = event
    return without_times([kept[key] for key in sorted(kept)])


class Killed(BaseException):
    """Stands for a kill: nothing may catch it."""


@pytest.fixture
def job_of(make_rows: MakeRows, make_recipe: MakeRecipe) -> Callable[..., Job]:
    def make(run: Run | None = None, *, rows: int = 44, **values: Any) -> Job:
        usual = {"num_train_epochs": 4.0, "lora_dropout": 0.1, "lr_scheduler_type": "cosine", "warmup_steps": 2}
        recipe = make_recipe(**(usual | values))
        return Job(recipe, make_rows(rows), make_rows(10, seed=1), make_rows(6, seed=2), run)

    return make


def test_a_run_learns_and_logs_what_it_did(make_base: MakeBase, job_of: Callable[..., Job], make_run: MakeRun) -> None:
    run, seen = make_run(), []
    result = run_job(make_base(), job_of(run), on_event=seen.append)
    events = list(run.events())
    assert [json.loads(json.dumps(event)) for event in seen] == events
    training = [event for event in events if "loss" in event]
    evaluations = [event for event in events if "eval_loss" in event]
    assert [event["step"] for event in training] == list(range(1, 25))
    assert [event["step"] for event in evaluations] == [0, 3, 6, 9, 12, 15, 18, 21, 24]
    assert set(training[0]) == {"step", "epoch", "tokens", "loss", "learning_rate", "grad_norm", "seconds", "rows"}
    assert set(evaluations[0]) == {"step", "epoch", "tokens", "eval_loss", "general_loss", "seconds"}
    assert training[0]["learning_rate"] == 0.0
    assert training[2]["learning_rate"] == 5e-3
    assert sorted(row for event in training[:6] for row in event["rows"]) == list(range(1, 45))
    assert training[5]["epoch"] == 1.0
    assert len(training[5]["rows"]) == 4
    assert result.tokens_train == training[-1]["tokens"] == 4 * sum(len(row.ids) for row in job_of().train)
    assert result.steps == 24
    assert result.stopped_because == "all 24 steps done"
    assert result.base_eval_loss == evaluations[0]["eval_loss"]
    assert result.eval_loss == min(event["eval_loss"] for event in evaluations)
    assert result.eval_loss is not None
    assert result.base_eval_loss is not None
    assert result.eval_loss < result.base_eval_loss - 0.05
    best = next(event for event in evaluations if event["step"] == result.best_step)
    assert result.general_rise == best["general_loss"] - evaluations[0]["general_loss"]
    seconds = [event["seconds"] for event in events]
    assert seconds == sorted(seconds)
    assert 0 < result.train_seconds < seconds[-1] + 1


def test_the_pack_and_best_folder_hold_the_best_parameters(
    make_base: MakeBase, job_of: Callable[..., Job], make_run: MakeRun
) -> None:
    run, job = make_run(), job_of()
    result = run_job(make_base(), job_of(run, learning_rate=0.2, lr_scheduler_type="constant"))
    assert result.best_step < result.steps  # it got worse after its best
    assert mean_loss(*row_losses(result.pack, job.val, 16)) == pytest.approx(result.eval_loss, rel=1e-6)
    assert (run.best / "adapter_model.safetensors").is_file()
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["step-21", "step-24"]


def test_same_recipe_and_seed_give_the_same_bits(make_base: MakeBase, job_of: Callable[..., Job]) -> None:
    lives: list[list[dict[str, Any]]] = [[], [], []]
    for seed, life in zip((0, 0, 1), lives, strict=True):
        run_job(make_base(), job_of(seed=seed), on_event=life.append)
    assert without_times(lives[0]) == without_times(lives[1])
    assert without_times(lives[0]) != without_times(lives[2])


def test_a_base_can_be_used_again_and_again(make_base: MakeBase, job_of: Callable[..., Job]) -> None:
    base = make_base()
    first = run_job(base, job_of())
    again = run_job(base, job_of(gradient_checkpointing=True))
    third = run_job(base, job_of())
    assert first.eval_loss == again.eval_loss == third.eval_loss
    assert first.base_eval_loss == third.base_eval_loss


DEATHS = [
    *((method, where, 13) for method in ("lora", "full") for where in ("step", "evaluation", "best", "checkpoint")),
    *(("lora", "step", at) for at in (1, 4, 24)),
    *(("lora", where, 24) for where in ("evaluation", "checkpoint")),
]


@pytest.mark.parametrize(("method", "where", "at"), DEATHS)
def test_a_killed_run_goes_on_to_the_same_bits(
    make_base: MakeBase,
    job_of: Callable[..., Job],
    make_run: MakeRun,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    where: str,
    at: int,
) -> None:
    values = {"method": method, "eval_steps": 4, "learning_rate": 1e-2}
    whole, cut = make_run("whole"), make_run("cut")
    expected = run_job(make_base(method=method), job_of(whole, **values))
    with monkeypatch.context() as patch:
        if where in ("best", "checkpoint"):
            _die_after(patch, {"best": "write_best", "checkpoint": "checkpoint"}[where], at)
        with pytest.raises(Killed):
            run_job(make_base(method=method), job_of(cut, **values), on_event=_die_at(where, at))

    result = run_job(make_base(method=method), job_of(cut, **values), resume=True)
    assert latest(cut) == latest(whole)
    assert torch.equal(result.pack.params_KP, expected.pack.params_KP)
    assert (result.best_step, result.eval_loss) == (expected.best_step, expected.eval_loss)
    assert (result.tokens_train, result.tokens_eval) == (expected.tokens_train, expected.tokens_eval)
    (resumed_at,) = [event["resumed_at"] for event in cut.events() if "resumed_at" in event]
    saved_within_it = at % 4 == 0 and where == "checkpoint"
    assert resumed_at in (at // 4 * 4 if saved_within_it or at % 4 else at - 4, 16)  # 16: dies at the next evaluation


def _die_at(where: str, at: int) -> Callable[[dict[str, Any]], None]:
    """The metrics line of a step or evaluation is the last that is written."""

    def die(event: dict[str, Any]) -> None:
        if where == "step" and "loss" in event and event["step"] == at:
            raise Killed
        if where == "evaluation" and "eval_loss" in event and event["step"] >= at:
            raise Killed

    return die


def _die_after(patch: pytest.MonkeyPatch, written: str, at: int) -> None:
    original = getattr(slot_files, written)

    def dies(slot: Any, seats: Any) -> None:
        original(slot, seats)
        if slot.state.step >= at:
            raise Killed

    patch.setattr(slot_files, written, dies)


def test_a_damaged_checkpoint_is_passed_over_and_said(
    make_base: MakeBase, job_of: Callable[..., Job], make_run: MakeRun
) -> None:
    whole, cut = make_run("whole"), make_run("cut")
    run_job(make_base(), job_of(whole, eval_steps=4))
    with pytest.raises(Killed):
        run_job(make_base(), job_of(cut, eval_steps=4), on_event=_die_at("evaluation", 13))
    newest = cut.checkpoints / "step-12" / "tensors.safetensors"
    content = bytearray(newest.read_bytes())
    content[-5] ^= 1  # one bit of one weight
    newest.write_bytes(content)
    (cut.checkpoints / ".step-16.tmp").mkdir()  # what a kill while writing leaves
    result = run_job(make_base(), job_of(cut, eval_steps=4), resume=True)
    assert any("step-12 is damaged" in note for note in result.notes)
    assert {"resumed_at": 8} in list(cut.events())
    assert latest(cut) == latest(whole)


def test_resuming_a_finished_run_gives_its_result_again(
    make_base: MakeBase, job_of: Callable[..., Job], make_run: MakeRun
) -> None:
    run = make_run()
    first = run_job(make_base(), job_of(run))
    lines = len(list(run.events()))
    again = run_job(make_base(), job_of(run), resume=True)
    assert (again.steps, again.eval_loss, again.stopped_because) == (
        first.steps,
        first.eval_loss,
        first.stopped_because,
    )
    assert len(list(run.events())) == lines + 1


@pytest.mark.parametrize("step", [0, 3, 7])
def test_ctrl_c_leaves_a_checkpoint_and_the_command(
    make_base: MakeBase, job_of: Callable[..., Job], make_run: MakeRun, step: int
) -> None:
    whole, cut = make_run("whole"), make_run("cut")
    run_job(make_base(), job_of(whole, eval_steps=5))
    done = []
    with pytest.raises(Interrupted) as caught:
        run_job(make_base(), job_of(cut, eval_steps=5), on_event=done.append, should_stop=lambda: _last(done) == step)
    assert caught.value.hint == f"tunewright train --resume {cut.path}"
    assert f"after step {step}" in caught.value.message
    run_job(make_base(), job_of(cut, eval_steps=5), resume=True)
    assert {"resumed_at": step} in list(cut.events())
    assert latest(cut) == latest(whole)


def _last(events: list[dict[str, Any]]) -> int:
    return int(events[-1]["step"]) if events else -1


def test_the_caller_may_stop_the_run_and_it_is_evaluated_once_more(
    make_base: MakeBase, job_of: Callable[..., Job], make_run: MakeRun
) -> None:
    run = make_run()
    result = run_job(
        make_base(), job_of(run, eval_steps=10), on_event=lambda e: "seen enough" if e.get("step") == 7 else None
    )
    assert result.stopped_because == "seen enough"
    assert result.steps == 7
    assert [event["step"] for event in run.events() if "eval_loss" in event] == [0, 7]
    assert (run.checkpoints / "step-7").is_dir()


def test_early_stopping_counts_evaluations(make_base: MakeBase, job_of: Callable[..., Job]) -> None:
    events: list[dict[str, Any]] = []
    job = job_of(learning_rate=1.0, lr_scheduler_type="constant", early_stopping_patience=2, eval_steps=2)
    result = run_job(make_base(), job, on_event=events.append)
    losses = [event["eval_loss"] for event in events if "eval_loss" in event]
    assert result.stopped_because == f"early stopping: no gain in 2 evaluations after step {result.best_step}"
    assert result.eval_loss == min(losses)
    assert min(losses[-2:]) >= min(losses[:-2])
    assert result.steps == result.best_step + 4


def test_ten_non_finite_steps_end_the_run_and_none_is_hidden(
    make_base: MakeBase, job_of: Callable[..., Job], make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ill(pack: Any, windows: Any, *, step: list[int], **rest: Any) -> torch.Tensor:
        loss_K = forward_backward(pack, windows, step=step, **rest)
        return loss_K * math.nan if step[0] == 2 or step[0] >= 6 else loss_K

    monkeypatch.setattr(session_module, "forward_backward", ill)
    run = make_run()
    result = run_job(make_base(), job_of(run, logging_steps=5, eval_steps=100))
    training = [event for event in run.events() if "loss" in event]
    assert [event["step"] for event in training if event["loss"] == "NaN"] == [3, *range(7, 21)]
    assert [event["step"] for event in training if event["loss"] != "NaN"] == [5]
    assert result.stopped_because == "non-finite loss since step 7"
    assert result.eval_loss is not None
    assert math.isfinite(result.eval_loss)


def test_a_recovered_nan_leaves_the_parameters_as_they_were(
    make_base: MakeBase, job_of: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []

    def ill(pack: Any, windows: Any, *, step: list[int], **rest: Any) -> torch.Tensor:
        seen.append(pack.params_KP.clone())
        loss_K = forward_backward(pack, windows, step=step, **rest)
        return loss_K * math.nan if step == [5] else loss_K

    monkeypatch.setattr(session_module, "forward_backward", ill)
    events: list[dict[str, Any]] = []
    result = run_job(make_base(), job_of(), on_event=events.append)
    assert torch.equal(seen[5], seen[6])
    assert not torch.equal(seen[6], seen[7])
    assert math.isnan(next(event["loss"] for event in events if event["step"] == 6 and "loss" in event))
    assert result.stopped_because == "all 24 steps done"


def test_out_of_memory_halves_the_micro_batch_and_keeps_the_effective_one(
    make_base: MakeBase, job_of: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    roomy: list[dict[str, Any]] = []
    run_job(make_base(), job_of(lora_dropout=0.0), on_event=roomy.append)

    base = make_base()
    forward, sizes = base.model.forward, []

    def small(*args: Any, **inputs: Any) -> Any:
        sizes.append(rows_given(inputs)[0])
        if sizes[-1] > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB")
        return forward(*args, **inputs)

    monkeypatch.setattr(base.model, "forward", small)
    tight: list[dict[str, Any]] = []
    result = run_job(base, job_of(lora_dropout=0.0), on_event=tight.append)
    assert [event["rows"] for event in tight if "rows" in event] == [
        event["rows"] for event in roomy if "rows" in event
    ]
    for ours, theirs in zip(tight, roomy, strict=True):
        for key in {"loss", "eval_loss"} & set(ours):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-5)
    assert any("per_device_train_batch_size 4 -> 2" in note for note in result.notes)
    assert any("per_device_eval_batch_size 16 -> 8" in note for note in result.notes)


def test_out_of_memory_with_one_row_fails_with_a_way_out(
    make_base: MakeBase, job_of: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = make_base()

    def never(*args: Any, **inputs: Any) -> Any:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(base.model, "forward", never)
    with pytest.raises(RunFailed) as caught:
        run_job(base, job_of())
    assert caught.value.code == "out_of_memory"
    assert "gradient_checkpointing" in caught.value.hint


def test_other_errors_of_the_model_are_not_mistaken_for_it(
    make_base: MakeBase, job_of: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = make_base()

    def broken(*args: Any, **inputs: Any) -> Any:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(base.model, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run_job(base, job_of())


def test_without_validation_rows_the_last_parameters_are_kept(
    make_base: MakeBase, make_rows: MakeRows, make_recipe: MakeRecipe, make_run: MakeRun
) -> None:
    run = make_run()
    result = run_job(make_base(), Job(make_recipe(max_steps=7, eval_steps=3), make_rows(20), run=run))
    assert result.eval_loss is None
    assert result.base_eval_loss is None
    assert result.general_rise is None
    assert result.best_step == 7
    assert all("loss" in event for event in run.events())
    assert (run.best / "adapter_config.json").is_file()


def test_plateau_halves_the_learning_rate(make_base: MakeBase, job_of: Callable[..., Job]) -> None:
    events: list[dict[str, Any]] = []
    job = job_of(lr_scheduler_type="reduce_lr_on_plateau", learning_rate=1.0, warmup_steps=None, eval_steps=1)
    run_job(make_base(), job, on_event=events.append)
    rates = [event["learning_rate"] for event in events if "learning_rate" in event]
    assert rates[0] == 1.0
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] <= 0.25


def test_a_window_without_supervised_tokens_changes_nothing(
    make_base: MakeBase, make_rows: MakeRows, make_recipe: MakeRecipe
) -> None:
    rows = make_rows(9)
    masked = TokenRow(number=10, ids=rows[0].ids, supervised=rows[0].supervised & False)
    events: list[dict[str, Any]] = []
    recipe = make_recipe(per_device_train_batch_size=1, num_train_epochs=1.0, weight_decay=0.5)
    run_job(make_base(), Job(recipe, [*rows, masked]), on_event=events.append)
    (empty,) = [event for event in events if event["rows"] == [10]]
    assert "loss" not in empty
    assert "grad_norm" not in empty
    assert sum("loss" in event for event in events) == 9
    with pytest.raises(DataError, match="none of the 1 training rows"):
        run_job(make_base(), Job(recipe, [masked]))


def test_trackers(make_base: MakeBase, job_of: Callable[..., Job], make_run: MakeRun) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = make_run()
    run_job(make_base(), job_of(run, report_to=("tensorboard",), max_steps=4))
    (file,) = run.path.glob("events.out.tfevents.*")
    found = EventAccumulator(str(file)).Reload()
    logged = {event["step"]: number(event["loss"]) for event in run.events() if "loss" in event}
    assert {point.step: point.value for point in found.Scalars("train/loss")} == pytest.approx(logged)
    assert len(found.Scalars("eval/loss")) == 5
    with pytest.raises(EnvironmentMissing, match="wandb") as caught:
        run_job(make_base(), job_of(make_run("other"), report_to=("wandb",)))
    assert caught.value.hint == 'pip install "tunewright[wandb]"'


def test_a_base_of_another_method_is_refused(make_base: MakeBase, job_of: Callable[..., Job]) -> None:
    with pytest.raises(UsageError, match="method lora, the recipe says full"):
        run_job(make_base(), job_of(method="full"))


def test_the_8_bit_optimizer_is_said_to_be_another(make_base: MakeBase, job_of: Callable[..., Job]) -> None:
    plain = run_job(make_base(), job_of())
    eight = run_job(make_base(), job_of(optim="adamw_8bit"))
    assert plain.eval_loss == eight.eval_loss
    assert any("adamw_8bit" in note for note in eight.notes)


def test_nothing_is_left_behind(make_base: MakeBase, job_of: Callable[..., Job], make_run: MakeRun) -> None:
    run = make_run()
    run_job(make_base(), job_of(run))
    names = sorted(str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file())
    assert names == [
        "best/adapter_config.json",
        "best/adapter_model.safetensors",
        *(f"checkpoints/step-{step}/{name}" for step in (21, 24) for name in ("state.json", "tensors.safetensors")),
        "metrics.jsonl",
        "run.json",
    ]


def test_loop_reads_top_to_bottom() -> None:
    """The order of events is the file's: nobody hides one in a helper."""
    text = (Path(session_module.__file__).parent / "loop.py").read_text()
    order = ["evaluate()", "checkpoint()", "finish()", "interrupt()", "train_step()"]
    assert [text.index(f"session.{name}") for name in order] == sorted(text.index(f"session.{name}") for name in order)
