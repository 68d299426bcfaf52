"""The callback in real Trainer runs: what it forces, shows, writes, says and stops; and that it never does harm."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from small_trainer import Chains, Poison, make_trainer

import tunewright
from tunewright.app.diagnose import diagnose
from tunewright.curve.read import read_curves
from tunewright.record.run import open_run
from tunewright.schema.errors import UsageError
from tunewright.trainers.callback import TunewrightCallback


def watched(folder: Path, *others: object, stop_on: tuple[str, ...] = (), **settings: object):
    trainer = make_trainer(folder, [*others, TunewrightCallback(stop_on=stop_on)], **settings)
    trainer.train()
    trainer.save_state()
    return trainer


def events(folder: Path) -> list[dict]:
    return list(open_run(folder).events())


def symptoms(path: Path) -> list[str]:
    return [finding.symptom for finding in diagnose(path)[0].diagnosis.findings]


def test_the_package_offers_it() -> None:
    assert tunewright.TunewrightCallback is TunewrightCallback


def test_step_0_is_evaluated_and_the_folder_reads_like_the_trainers_own_log(tmp_path: Path, capsys) -> None:
    trainer = watched(tmp_path)
    ours, theirs = read_curves(tmp_path / "tunewright")[0], read_curves(tmp_path / "trainer_state.json")[0]
    assert ours.eval_loss.steps.tolist() == [0, 15, 30, 45, 60]
    for name in ("loss", "eval_loss", "learning_rate", "grad_norm"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        assert mine.steps.tolist() == other.steps.tolist(), name
        assert mine.values == pytest.approx(other.values, rel=1e-5), name
    assert ours.total_steps == 60
    assert symptoms(tmp_path / "tunewright") == symptoms(tmp_path / "trainer_state.json")
    assert "health: " in capsys.readouterr().err
    assert trainer.args.eval_on_start is False  # given back as it was


def test_the_folder_says_what_is_known_of_the_run(tmp_path: Path) -> None:
    watched(tmp_path, max_steps=20, weight_decay=0.1)
    run = open_run(tmp_path / "tunewright")
    about = run.read()
    assert (run.status(), about["rows"], about["trainer"]) == ("finished", {"train": 256}, "transformers")
    assert about["result"]["eval_loss"] == pytest.approx(events(run.path)[-1]["eval_loss"])
    config = read_curves(run.path)[0].config
    assert (config["learning_rate"], config["weight_decay"], config["method"]) == (1e-2, 0.1, "full")
    assert (config["warmup_steps"], config["max_steps"]) == (5, 20)
    report = json.loads((run.path / "findings.json").read_bytes())
    assert {"health", "findings", "prescription"} <= set(report)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_every_step_is_kept_whatever_the_logging_interval(tmp_path: Path, accumulation: int) -> None:
    settings = {"max_steps": 40, "gradient_accumulation_steps": accumulation}
    watched(tmp_path / "coarse", logging_steps=10, **settings)
    watched(tmp_path / "fine", logging_steps=1, **settings)
    coarse = read_curves(tmp_path / "coarse" / "tunewright")[0]
    fine = read_curves(tmp_path / "fine" / "trainer_state.json")[0]
    assert coarse.loss.steps.tolist() == list(range(1, 41))
    assert coarse.loss.values == pytest.approx(fine.loss.values, rel=1e-4)


@pytest.mark.parametrize("every", [1, 10])
def test_a_hidden_nan_is_shown_at_its_step_in_both_logs(tmp_path: Path, every: int, capsys) -> None:
    watched(tmp_path, Poison(23), logging_steps=every)
    finding = diagnose(tmp_path / "tunewright")[0].diagnosis.findings[0]
    assert (finding.symptom, finding.steps[0]) == ("non_finite", 24)
    assert "TW101 non_finite" in capsys.readouterr().err
    history = json.loads((tmp_path / "trainer_state.json").read_text())["log_history"]
    assert math.isnan(next(row["loss"] for row in history if row["step"] == 40 and "loss" in row))


def test_rows_without_a_label_stay_zeros_and_are_named(tmp_path: Path) -> None:
    rows = Chains(256, 2, masked=tuple(range(0, 256, 3)))
    watched(tmp_path, train=rows, per_device_train_batch_size=1, logging_steps=10)
    assert "rows_masked" in symptoms(tmp_path / "tunewright")


def test_it_stops_on_the_chosen_symptoms_only(tmp_path: Path, capsys) -> None:
    watched(tmp_path / "goes_on", Poison(23), stop_on=("divergence",))
    assert open_run(tmp_path / "goes_on" / "tunewright").read()["result"]["steps"] == 60
    trainer = watched(tmp_path / "stops", Poison(23), stop_on=("TW101",))
    assert trainer.state.global_step == 24
    result = open_run(tmp_path / "stops" / "tunewright").read()["result"]
    assert result["stopped_because"].startswith("non_finite: ")
    assert "stopping the run at step 24" in capsys.readouterr().err


def test_an_estimate_must_hold_twice_before_it_stops_a_run(tmp_path: Path) -> None:
    trainer = watched(tmp_path, stop_on=("worse_than_start",), learning_rate=3.0, warmup_steps=0)
    assert 15 < trainer.state.global_step < 60
    assert "worse_than_start" in symptoms(tmp_path / "tunewright")


def test_a_resumed_run_goes_on_in_its_folder(tmp_path: Path) -> None:
    first = make_trainer(
        tmp_path, [TunewrightCallback(stop_on=("non_finite",)), Poison(35)], save_strategy="steps", save_steps=20
    )
    first.train()
    again = make_trainer(tmp_path, [TunewrightCallback()], save_strategy="steps", save_steps=20)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-20"))
    folder = tmp_path / "tunewright"
    assert [event["resumed_at"] for event in events(folder) if "resumed_at" in event] == [20]
    curve = read_curves(folder)[0]
    assert curve.loss.steps.tolist() == list(range(1, 61))
    assert curve.base_eval_loss is not None
    assert "non_finite" not in symptoms(folder)
    assert [path.name for path in tmp_path.glob("tunewright*")] == ["tunewright"]


def test_a_resume_without_our_folder_takes_the_trainers_history(tmp_path: Path) -> None:
    make_trainer(tmp_path, [], save_strategy="steps", save_steps=20, max_steps=20).train()
    again = make_trainer(tmp_path, [TunewrightCallback()])
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-20"))
    assert read_curves(tmp_path / "tunewright")[0].loss.steps.tolist() == list(range(1, 61))


def test_a_second_run_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    for _ in range(2):
        watched(tmp_path, max_steps=5)
    assert sorted(path.name for path in tmp_path.glob("tunewright*")) == ["tunewright", "tunewright-1"]


def test_of_several_validation_sets_the_one_that_chooses_the_best_is_watched(tmp_path: Path) -> None:
    sets = {"easy": Chains(32, 3), "hard": Chains(32, 4)}
    watched(tmp_path, evals=sets, max_steps=20, eval_steps=10, metric_for_best_model="eval_hard_loss")
    rows = [event for event in events(tmp_path / "tunewright") if "eval_loss" in event]
    assert [row["step"] for row in rows] == [0, 10, 20]
    beside = [event["other_eval_loss"] for event in events(tmp_path / "tunewright") if "other_eval_loss" in event]
    assert all(list(one) == ["eval_easy_loss"] for one in beside)
    assert read_curves(tmp_path / "tunewright")[0].eval_loss.values.tolist() == [row["eval_loss"] for row in rows]


def test_without_validation_nothing_is_forced(tmp_path: Path) -> None:
    watched(tmp_path, eval_strategy="no", max_steps=20)
    assert not any("eval_loss" in event for event in events(tmp_path / "tunewright"))


def test_a_folder_that_cannot_be_written_never_stops_the_training(tmp_path: Path, capsys) -> None:
    (tmp_path / "file").write_text("in the way")
    trainer = make_trainer(tmp_path / "out", [TunewrightCallback(folder=tmp_path / "file" / "run")], max_steps=20)
    trainer.train()
    assert trainer.state.global_step == 20
    said = capsys.readouterr().err
    assert said.count("the run folder is given up") == 1


def test_quiet_says_nothing(tmp_path: Path, capsys) -> None:
    make_trainer(tmp_path, [TunewrightCallback(quiet=True)], max_steps=10).train()
    assert "tunewright" not in capsys.readouterr().err


def test_unknown_symptoms_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match="no such symptom: 'divergense'"):
        TunewrightCallback(stop_on=("divergense",))
