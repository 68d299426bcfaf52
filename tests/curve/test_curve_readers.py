"""Every reader on what its trainer really writes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tunewright.curve.epochs import steps_per_epoch
from tunewright.curve.read import read_curves, search
from tunewright.schema.curve import Series
from tunewright.schema.errors import DataError

FIXTURES = Path(__file__).parent / "fixtures"


def write(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def one(path: Path):
    curves = read_curves(path)
    assert len(curves) == 1
    return curves[0]


def test_trainer_state_says_what_the_file_says():
    rows = json.loads((FIXTURES / "healthy/trainer_state.json").read_text())["log_history"]
    curve = one(FIXTURES / "healthy/trainer_state.json")
    assert curve.loss.values.tolist() == [row["loss"] for row in rows if "loss" in row]
    assert curve.eval_loss.steps.tolist() == [row["step"] for row in rows if "eval_loss" in row]
    assert curve.eval_loss.steps[0] == 0
    assert curve.base_eval_loss == rows[0]["eval_loss"]
    assert (curve.kind, curve.total_steps, curve.steps_per_epoch, curve.logged_every) == ("trainer_state", 96, 32.0, 1)
    assert curve.config == {"num_train_epochs": 3.0, "per_device_train_batch_size": 8, "logging_steps": 1}
    assert len(curve.learning_rate) == len(curve.grad_norm) == 96


def test_the_closing_mean_is_no_step():
    state = json.loads((FIXTURES / "healthy/trainer_state.json").read_text())
    mean = state["log_history"][-1]["train_loss"]
    assert mean not in one(FIXTURES / "healthy").loss.values


def test_bare_nan_tokens_are_read():
    text = (FIXTURES / "nan_shown/trainer_state.json").read_text()
    assert "NaN," in text
    curve = one(FIXTURES / "nan_shown/trainer_state.json")
    assert np.isnan(curve.loss.values[40:]).all()
    assert np.isfinite(curve.loss.values[:40]).all()


def test_hidden_nan_stays_as_logged():
    curve = one(FIXTURES / "nan_hidden/trainer_state.json")
    assert (curve.loss.values[40:] == 0.0).all()
    assert np.isnan(curve.grad_norm.values[40:]).all()


def test_a_killed_run_is_read_from_its_newest_checkpoint():
    curve = one(FIXTURES / "killed")
    assert "checkpoint-72" in curve.path
    assert (curve.last_step, curve.total_steps) == (72, 96)


def test_checkpoints_are_ordered_by_number_not_by_name(tmp_path):
    for step in (900, 1000):
        row = {"step": step, "loss": 1.0}
        write(tmp_path / f"checkpoint-{step}/trainer_state.json", {"log_history": [row], "max_steps": 2000})
    assert one(tmp_path).last_step == 1000


def test_llama_factory_log(tmp_path):
    head = {"total_steps": 30, "percentage": 33.3, "elapsed_time": "0:00:10", "remaining_time": "0:00:20"}
    file = write(
        tmp_path / "trainer_log.jsonl",
        {"current_steps": 10, "loss": 1.5, "lr": 1e-4, "epoch": 1.0, "eval_loss": None, **head},
        {"current_steps": 10, "eval_loss": 1.4, "epoch": 1.0, **head},
        {"current_steps": 20, "loss": 1.2, "learning_rate": 5e-5, "epoch": 2.0, **head},
        {"current_steps": 30, "loss": "1.1", "lr": 0.0, "epoch": 3.0, "eval_loss": None, **head},
        {"current_steps": 30, "epoch": 3.0, **head},
    )
    curve = one(file)
    assert curve.loss.values.tolist() == [1.5, 1.2, 1.1]
    assert curve.eval_loss.values.tolist() == [1.4]
    assert curve.learning_rate.values.tolist() == [1e-4, 5e-5, 0.0]
    assert (curve.total_steps, curve.steps_per_epoch, curve.logged_every) == (30, 10.0, 10)


def test_the_log_that_goes_further_is_read_and_of_equals_the_one_that_says_more(tmp_path):
    write(tmp_path / "trainer_log.jsonl", *({"current_steps": s, "loss": 1.0} for s in range(1, 31)))
    rows = [{"step": s, "loss": 1.0, "grad_norm": 1.0} for s in range(1, 31)]
    write(tmp_path / "checkpoint-20/trainer_state.json", {"log_history": rows[:20], "max_steps": 40})
    assert one(tmp_path).kind == "trainer_log"
    write(tmp_path / "trainer_state.json", {"log_history": rows, "max_steps": 40})
    assert one(tmp_path).kind == "trainer_state"


def test_own_run_folder(tmp_path):
    run = tmp_path / "train-1"
    write(run / "run.json", {"status": "finished", "rows": {"train": 80, "val": 20}})
    write(run / "recipe.yaml", "learning_rate: 1e-4", "num_train_epochs: 2.0", "max_length: null")
    write(run / "plan.json", {"predicted": {"steps": 4}})
    write(
        run / "metrics.jsonl",
        {"step": 0, "epoch": 0.0, "eval_loss": 2.0, "general_loss": 1.0},
        {"step": 1, "epoch": 0.5, "loss": 1.9, "learning_rate": 1e-4, "grad_norm": 1.0, "rows": [3, 1]},
        {"step": 2, "epoch": 1.0, "loss": 1.8, "learning_rate": 1e-4, "grad_norm": "NaN", "rows": [2, 4]},
        {"step": 3, "epoch": 1.5, "loss": 9.9, "rows": [9, 9]},
        {"resumed_at": 2},
        {"step": 3, "epoch": 1.5, "loss": 1.7, "rows": [5, 6]},
        {"step": 4, "epoch": 2.0, "loss": "Infinity"},
    )
    curve = one(run)
    assert curve.loss.values.tolist() == [1.9, 1.8, 1.7, math.inf]
    assert curve.general_loss.at(0) == 1.0
    assert math.isnan(curve.grad_norm.at(2))
    assert curve.batch_rows[1] == (3, 1)
    assert curve.batch_rows[3] == (5, 6)
    assert (curve.total_steps, curve.steps_per_epoch, curve.eval_rows) == (4, 2.0, 20)
    assert curve.config == {"learning_rate": 1e-4, "num_train_epochs": 2.0}


def test_a_resumed_branch_that_died_sooner_leaves_nothing_of_the_old_one(tmp_path):
    run = write(
        tmp_path / "metrics.jsonl",
        *({"step": s, "loss": 5.0} for s in range(1, 9)),
        {"step": 8, "eval_loss": 5.0},
        {"resumed_at": 4},
        {"step": 5, "loss": 1.0},
    ).parent
    curve = one(run)
    assert curve.loss.steps.tolist() == [1, 2, 3, 4, 5]
    assert curve.loss.values[-1] == 1.0
    assert len(curve.eval_loss) == 0


def test_a_resumed_foreign_log_takes_the_later_row(tmp_path):
    rows = [{"step": s, "loss": 5.0} for s in (1, 2, 3)] + [{"step": s, "loss": 1.0} for s in (2, 3, 4)]
    assert one(write(tmp_path / "log.jsonl", *rows)).loss.values.tolist() == [5.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("step,loss,eval_loss", "5,1.5,1.6"),
        ("Step;train/loss;eval/loss", "5;1.5;1.6"),
        ("epoch\tstep\ttrain_loss\tval_loss", "0\t5\t1.5\t1.6"),
        ('"train/global_step","my-run - train/loss","my-run - train/loss__MIN","my-run - eval/loss"', "5,1.5,0.1,1.6"),
    ],
)
def test_tables_of_many_tools(tmp_path, header, row):
    curve = one(write(tmp_path / "metrics.csv", header, row))
    assert (curve.loss.at(5), curve.eval_loss.at(5)) == (1.5, 1.6)


def test_lightning_table_with_gaps_and_epoch_counter(tmp_path):
    lines = [f"{s // 4},{s},{1.5 - s / 100}," for s in range(12)] + ["0,3,,1.7", "1,7,,1.6"]
    curve = one(write(tmp_path / "metrics.csv", "epoch,step,train_loss,val_loss", *lines))
    assert len(curve.loss) == 12
    assert curve.eval_loss.steps.tolist() == [4, 8]  # logged at 3 and 7 by a count from 0
    assert curve.steps_per_epoch == 4.0


def test_rows_without_steps_are_numbered(tmp_path):
    curve = one(write(tmp_path / "loss.csv", "loss", "3.0", "2.0", "nan"))
    assert curve.loss.steps.tolist() == [1, 2, 3]
    assert math.isnan(curve.loss.values[2])


def test_reward_columns_mark_another_objective(tmp_path):
    curve = one(write(tmp_path / "log.jsonl", {"step": 1, "loss": 0.69, "rewards/chosen": 0.1}))
    assert curve.objective == "reward"
    assert one(write(tmp_path / "b/log.jsonl", {"step": 1, "loss": 0.69})).objective == "nll"


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [({}, None), ({0: 0.0}, None), ({7: 0.5}, 14.0), ({1: 0, 2: 0, 3: 0}, None), ({1: 1, 2: 2, 3: 3}, 1.0)],
)
def test_steps_per_epoch(epochs, expected):
    assert steps_per_epoch(Series.of(epochs.items())) == expected


def test_a_tree_is_searched_and_data_sets_are_passed_over(tmp_path):
    write(tmp_path / "a/metrics.jsonl", {"step": 1, "loss": 1.0})
    write(tmp_path / "b/checkpoint-5/trainer_state.json", {"log_history": [{"step": 5, "loss": 1.0}]})
    write(tmp_path / "c/log.csv", "step,loss", "1,2.0")
    write(tmp_path / "c/train.jsonl", {"prompt": "q", "completion": "a"})
    write(tmp_path / "c/rows.csv", "question,answer", "q,a")
    write(tmp_path / ".hidden/metrics.jsonl", {"step": 1, "loss": 1.0})
    assert [curve.kind for curve in read_curves(tmp_path)] == ["tunewright", "trainer_state", "csv"]


def test_one_damaged_log_does_not_hide_the_others(tmp_path):
    write(tmp_path / "a/trainer_state.json", '{"log_history": [')
    write(tmp_path / "b/trainer_state.json", {"log_history": [{"step": 5, "loss": 1.0}]})
    curves, problems = search(tmp_path)
    assert len(curves) == len(problems) == 1
    assert "a/trainer_state.json" in problems[0].message


def test_a_state_under_another_name(tmp_path):
    state = (FIXTURES / "healthy/trainer_state.json").read_text()
    assert one(write(tmp_path / "my_run.json", state)).kind == "trainer_state"


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="no training log"):
        read_curves(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read_curves(tmp_path / "x")
