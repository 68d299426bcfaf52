"""Golden readings of small logs that the named tools wrote themselves (fixtures/MANIFEST.json names the versions)."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from tunewright.app.diagnose import diagnose
from tunewright.curve.read import read_curves
from tunewright.schema.errors import DataError

FIXTURES = Path(__file__).parent / "fixtures"
LOGS = ("state/trainer_state.json", "events", "printed/with_bar.log", "printed/without_bar.log")


def one(path: Path):
    curves = read_curves(path)
    assert len(curves) == 1
    return curves[0]


def state_rows(path: Path, key: str) -> dict[int, float]:
    rows = json.loads(path.read_text())["log_history"]
    return {row["step"]: row[key] for row in rows if key in row}


def test_every_fixture_has_its_tool_and_version():
    manifest = json.loads((FIXTURES / "MANIFEST.json").read_text())
    assert {path.name for path in FIXTURES.iterdir() if path.is_dir()} == set(manifest)
    assert all(entry["versions"] and entry["how"] for entry in manifest.values())


@pytest.mark.parametrize("run", ["one_run", "one_run_nan"])
@pytest.mark.parametrize("log", LOGS)
def test_one_run_reads_alike_from_every_log_of_it(run, log):
    state = FIXTURES / run / LOGS[0]
    expected, curve = one(state), one(FIXTURES / run / log)
    assert curve.loss.steps.tolist() == list(state_rows(state, "loss"))
    for name in ("loss", "eval_loss", "learning_rate", "grad_norm"):
        ours, theirs = getattr(curve, name), getattr(expected, name)
        assert ours.steps.tolist() == theirs.steps.tolist(), name
        np.testing.assert_allclose(ours.values, theirs.values, rtol=6e-4, err_msg=name)
    assert curve.steps_per_epoch == expected.steps_per_epoch


@pytest.mark.parametrize("run", ["one_run", "one_run_nan"])
def test_one_run_gives_the_same_findings_from_every_log_of_it(run):
    said = []
    for log in LOGS:
        diagnosis = diagnose(FIXTURES / run / log)[0].diagnosis
        said.append((diagnosis.health, [(finding.code, finding.steps) for finding in diagnosis.findings]))
    assert said == said[:1] * len(LOGS)
    assert said[0][0] == ("healthy" if run == "one_run" else "sick")


def test_a_trainer_folder_with_every_log_is_one_report(tmp_path):
    source = FIXTURES / "one_run"
    shutil.copytree(source / "events", tmp_path / "out/runs/Jan01_host")
    shutil.copy(source / "state/trainer_state.json", tmp_path / "out")
    shutil.copy(source / "printed/with_bar.log", tmp_path / "out/train.log")
    assert one(tmp_path).kind == "trainer_state"
    (tmp_path / "out/trainer_state.json").unlink()
    assert one(tmp_path).last_step == 96


def test_two_runs_in_one_folder_stay_two(tmp_path):
    for run in ("one_run", "one_run_nan"):
        shutil.copy(FIXTURES / run / "printed/with_bar.log", tmp_path / f"{run}.log")
    assert len(read_curves(tmp_path)) == 2


def test_the_progress_bar_tells_the_steps_and_the_closing_row_does_without_it():
    with_bar = one(FIXTURES / "one_run/printed/with_bar.log")
    assert (with_bar.total_steps, with_bar.notes) == (96, ("steps are those of the progress bar",))
    without = one(FIXTURES / "one_run/printed/without_bar.log")
    assert without.notes == ("steps are reckoned from the closing row: 96 steps, one row every 2",)


def printed(step: int, per_epoch: int, kind: str = "loss") -> str:
    return str({kind: f"{1 + 9 / step:.4g}", "epoch": f"{step / per_epoch:.4g}"})


def closing(steps: int, end: float) -> str:
    return str({"train_runtime": "10", "train_steps_per_second": f"{steps / 10:.4g}", "epoch": f"{end:.4g}"})


def test_printed_epochs_place_the_rows_of_a_run_whose_last_steps_were_not_logged(tmp_path):
    file = tmp_path / "train.log"
    rows = [printed(step, 79) for step in (50, 100, 150, 200)]
    evals = [printed(step, 79, "eval_loss") for step in (79, 158, 237)]
    lines = [rows[0], evals[0], rows[1], rows[2], evals[1], rows[3], evals[2], closing(237, 3)]
    file.write_text("\n".join(lines))
    curve = one(file)
    assert curve.loss.steps.tolist() == [50, 100, 150, 200]
    assert curve.eval_loss.steps.tolist() == [79, 158, 237]
    assert (curve.total_steps, curve.steps_per_epoch) == (237, pytest.approx(79))


def test_printed_rows_of_a_resumed_run_go_on_where_the_checkpoint_was(tmp_path):
    first = [printed(step, 79) for step in range(5, 111, 5)] + [closing(110, 110 / 79)]
    second = [printed(step, 79) for step in range(105, 237, 5)] + [closing(137, 3)]
    file = tmp_path / "train.log"
    file.write_text("\n".join([*first, *second]))
    curve = one(file)
    assert curve.loss.steps.tolist() == list(range(5, 237, 5))
    assert curve.notes[-1] == "the steps go back from 110 to 105: resumed or restarted, the later rows count"


def test_printed_epochs_that_stand_still_leave_the_rows_spread_evenly(tmp_path):
    rows = [str({"loss": 2 - step / 60, "epoch": 0.0}) for step in range(1, 61)]
    file = tmp_path / "train.log"
    file.write_text("\n".join([*rows, closing(60, 0)]))
    assert one(file).loss.steps.tolist() == list(range(1, 61))


def test_printed_rows_of_a_killed_run_are_counted_and_that_is_said(tmp_path):
    text = (FIXTURES / "one_run/printed/without_bar.log").read_text()
    file = tmp_path / "nohup.out"
    file.write_text("\n".join(line for line in text.splitlines() if "train_runtime" not in line))
    curve = one(file)
    assert curve.loss.steps.tolist() == list(range(1, 49))
    assert curve.eval_loss.steps[:2].tolist() == [0, 6]
    assert "counted" in curve.notes[0]


def test_older_printed_rows_with_bare_numbers_colours_and_utf16(tmp_path):
    rows = ["{'loss': 1.5, 'grad_norm': nan, 'learning_rate': 2e-05, 'epoch': 0.1}", "{'loss': 0.0, 'epoch': 0.2}"]
    file = tmp_path / "train.log"
    file.write_bytes(("\x1b[32mINFO\x1b[0m start\r\n" + "\r\n".join(rows)).encode("utf-16"))
    curve = one(file)
    assert curve.loss.values.tolist() == [1.5, 0.0]
    assert np.isnan(curve.grad_norm.values).tolist() == [True]


def test_trl(tmp_path):
    file = FIXTURES / "trl_sft/trainer_state.json"
    curve = one(file)
    assert dict(zip(curve.loss.steps.tolist(), curve.loss.values.tolist(), strict=True)) == state_rows(file, "loss")
    assert (curve.eval_loss.steps.tolist(), curve.total_steps, curve.objective) == ([0, 20, 40, 60], 60, "nll")


def test_a_preference_run_is_recognised_and_not_judged_by_rules_for_supervised_runs():
    report = diagnose(FIXTURES / "trl_dpo")[0]
    assert report.curve.objective == "reward"
    assert [finding.symptom for finding in report.diagnosis.findings] == ["not_an_nll"]
    assert report.diagnosis.health == "unknown"


def test_llama_factory_resumed():
    log = FIXTURES / "llamafactory/log/trainer_log.jsonl"
    raw = [json.loads(line) for line in log.read_text().splitlines()]
    twice = [row["current_steps"] for row in raw if "loss" in row]
    assert len(twice) > len(set(twice))
    curve = one(log)
    state = FIXTURES / "llamafactory/state/trainer_state.json"
    assert dict(zip(curve.loss.steps.tolist(), curve.loss.values.tolist(), strict=True)) == state_rows(state, "loss")
    assert curve.replaced.steps.tolist() == [32, 34, 36, 38, 40]
    assert curve.notes == ("the steps go back from 40 to 32: resumed or restarted, the later rows count",)
    assert len(curve.grad_norm) == 0
    both = [{f.code for f in diagnose(path)[0].diagnosis.findings} for path in (log, state)]
    assert both[0] == both[1]


def test_llama_factory_settings_beside_the_log():
    config = one(FIXTURES / "llamafactory/log").config
    expected = {"lora_rank": 8, "lora_alpha": 16.0, "learning_rate": 0.002, "method": "lora", "stage": "sft"}
    assert {key: config[key] for key in expected} == expected
    assert (config["max_length"], config["lora_target"], config["gradient_accumulation_steps"]) == (64, "all", 2)


def test_ms_swift():
    file = FIXTURES / "ms_swift/logging.jsonl"
    raw = [json.loads(line) for line in file.read_text().splitlines()]
    curve = one(file)
    assert (curve.kind, curve.total_steps, curve.last_step) == ("ms_swift", 96, 96)
    assert curve.loss.values.tolist() == [row["loss"] for row in raw if "loss" in row]
    assert curve.loss.steps.tolist() == [
        int(row["global_step/max_steps"].split("/")[0]) for row in raw if "loss" in row
    ]
    assert raw[-1]["log_history"]
    assert one(file.parent).kind == "ms_swift"


def test_wandb_offline_run():
    curve = one(FIXTURES / "wandb")
    assert curve.kind == "wandb"
    assert curve.loss.steps.tolist() == list(range(8, 97, 8))
    assert curve.eval_loss.steps.tolist() == list(range(0, 97, 12))
    assert len(curve.grad_norm) == len(curve.learning_rate) == 12
    assert (curve.config["learning_rate"], curve.config["per_device_train_batch_size"]) == (0.005, 8)


def test_a_wandb_run_cut_off_while_writing(tmp_path):
    whole = (FIXTURES / "wandb/run-letters.wandb").read_bytes()
    (tmp_path / "run-x.wandb").write_bytes(whole[: len(whole) * 3 // 4])
    curve = one(tmp_path)
    full = one(FIXTURES / "wandb")
    assert curve.loss.values.tolist() == full.loss.values[: len(curve.loss)].tolist()
    assert "cut off" in curve.notes[-1]


def test_unsloth_studio_has_every_run_and_shows_the_nan_it_cannot_store():
    file = FIXTURES / "unsloth_studio/studio.db"
    curves = {curve.path.rpartition("#")[2]: curve for curve in read_curves(file)}
    assert set(curves) == {"healthy", "nan_shown"}
    state = state_rows(FIXTURES / "healthy/trainer_state.json", "loss")
    assert curves["healthy"].loss.values.tolist() == [value for step, value in state.items() if step % 2 == 0]
    assert np.isnan(curves["nan_shown"].loss.values[20:]).all()
    assert "cannot hold NaN" in curves["nan_shown"].notes[0]
    assert diagnose(file)[1].diagnosis.has("non_finite")
    assert (curves["healthy"].config["method"], curves["healthy"].config["lora_rank"]) == ("qlora", 16)


def test_an_sqlite_file_of_another_tool_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("CREATE TABLE training_metrics (a)")
    database.close()
    with pytest.raises(DataError, match="no tables training_runs and training_metrics"):
        read_curves(tmp_path / "x.db")


def test_lightning_counts_steps_from_zero():
    curve = one(FIXTURES / "lightning/metrics.csv")
    assert curve.loss.steps.tolist() == list(range(1, 65))
    assert curve.eval_loss.steps.tolist() == [32, 64]
    assert "raised by one" in curve.notes[0]


BROKEN = "Traceback (most recent call last):\n  File x, line 1\ntorch.OutOfMemoryError: CUDA out of memory. Tried"


def test_output_that_ends_in_an_error_says_so_and_is_not_kept(tmp_path):
    rows = "\n".join([*(printed(step, 100) for step in range(10, 200, 10)), "Total optimization steps = 300", BROKEN])
    file = tmp_path / "train.log"
    file.write_text(rows)
    (report,) = diagnose(file)
    assert report.curve.failure.startswith("torch.OutOfMemoryError: CUDA out of memory")
    assert report.curve.notes[-1].startswith("the output ends in an error: torch.OutOfMemoryError")
    assert not report.prescription.keep
    assert "per_device_train_batch_size x 0.5" in report.prescription.why
    assert "let the run finish" not in report.prescription.why
    file.write_text(f"{BROKEN}\n{rows.removesuffix(BROKEN)}")  # caught, and the run went on
    (report,) = diagnose(file)
    assert report.curve.failure == ""


def test_the_error_in_one_log_of_a_run_is_known_to_the_other(tmp_path):
    log = (FIXTURES / "one_run/printed/with_bar.log").read_text()
    shutil.copy(FIXTURES / "one_run/state/trainer_state.json", tmp_path)
    (tmp_path / "train.log").write_text(f"{log}\nTraceback (most recent call last):\nOSError: disk full\n")
    curve = one(tmp_path)
    assert (curve.kind, curve.failure) == ("trainer_state", "OSError: disk full")
    assert diagnose(tmp_path)[0].prescription.why.startswith(("Keep", "evidence"))  # training itself was over
