"""Folders searched, columns of unknown names, settings beside a log."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tunewright.app.diagnose import survey
from tunewright.cli.main import run as cli
from tunewright.curve import find
from tunewright.curve.beside import as_recipe, settings_beside
from tunewright.curve.read import read_curves, search
from tunewright.schema.errors import DataError, UsageError
from tunewright.schema.recipe import Recipe

FIXTURES = Path(__file__).parent / "fixtures"


def write(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def falling(key: str, count: int = 12) -> list[dict[str, float]]:
    return [{"step": step, key: 3.0 / step} for step in range(1, count + 1)]


# ---- columns of unknown names -----------------------------------------------------------------------------------


def test_one_column_that_may_be_the_loss_is_taken_and_said(tmp_path):
    curve = read_curves(write(tmp_path / "log.jsonl", *falling("lm_ce")))[0]
    assert curve.loss.values[0] == 3.0
    assert curve.notes == ("column lm_ce is read as the loss",)


def test_several_candidates_are_asked_about_and_the_answer_is_taken(tmp_path):
    rows = [{"step": s, "ce_loss": 1.0, "nll": 2.0, "aux_loss": 9.0} for s in range(1, 5)]
    log = write(tmp_path / "log.jsonl", *rows)
    with pytest.raises(DataError, match="ce_loss, nll") as caught:
        read_curves(log)
    assert caught.value.code == "ambiguous"
    assert "--map loss=ce_loss" in caught.value.hint
    assert read_curves(log, {"loss": "nll"})[0].loss.values.tolist() == [2.0] * 4
    assert read_curves(log, {"loss": "aux_loss"})[0].loss.values.tolist() == [9.0] * 4


def test_two_columns_of_one_name_that_disagree_are_asked_about(tmp_path):
    same = write(tmp_path / "a.jsonl", *({"step": s, "train/loss": 1.0, "train.loss": 1.0} for s in (1, 2)))
    assert read_curves(same)[0].loss.values.tolist() == [1.0, 1.0]
    other = write(tmp_path / "b.jsonl", *({"step": s, "train/loss": 1.0, "train.loss": 2.0} for s in (1, 2)))
    with pytest.raises(DataError, match="two columns may be the loss"):
        read_curves(other)


@pytest.mark.parametrize(("columns", "kind"), [({"loss": "nope"}, DataError), ({"perplexity": "loss"}, UsageError)])
def test_a_wrong_answer_is_an_error(tmp_path, columns, kind):
    with pytest.raises(kind):
        read_curves(write(tmp_path / "log.jsonl", *falling("loss")), columns)


def test_the_step_can_be_named_too(tmp_path):
    log = write(tmp_path / "t.csv", "updates,loss", "5,2.0", "10,1.0")
    assert read_curves(log)[0].loss.steps.tolist() == [1, 2]
    assert read_curves(log, {"step": "updates"})[0].loss.steps.tolist() == [5, 10]


def test_the_option_of_diagnose(tmp_path, capsys):
    log = write(tmp_path / "log.jsonl", *({"step": s, "ce_loss": 3 / s, "nll": 2 / s} for s in range(1, 30)))
    assert cli(["diagnose", str(log)]) == 2
    assert "--map loss=ce_loss" in capsys.readouterr().err
    assert cli(["diagnose", str(log), "--map", "loss=nll", "--json"]) in (0, 1)
    assert json.loads(capsys.readouterr().out)["source"]["steps"] == 29
    assert cli(["diagnose", str(log), "--map", "nll"]) == 2


def test_the_next_command_names_the_columns_again_and_every_verb_takes_them(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = ({"it": s, "train fit": 2 + (s - 30) ** 2 / 400, "eval_loss": 1 + abs(s - 20) / 20} for s in range(1, 60))
    write(tmp_path / "log.jsonl", *rows)
    given = ["log.jsonl", "--map", "loss=train fit"]
    assert cli(["diagnose", *given, "--fail-on", "never"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "next: tunewright next log.jsonl --map 'loss=train fit'"
    assert cli(["next", *given]) == 0
    assert "tunewright next log.jsonl --map 'loss=train fit' --recipe FILE" in capsys.readouterr().out
    assert cli(["report", *given]) == 0
    assert (tmp_path / "log-report.html").is_file()


def test_of_several_runs_how_each_one_is_comes_first(tmp_path, capsys):
    for name, last in (("calm", 1.0), ("broken", "NaN")):
        rows = [{"step": s, "loss": 1 + 3 / s} for s in range(1, 40)] + [{"step": s, "loss": last} for s in (40, 41)]
        write(tmp_path / name / "log.jsonl", *rows)
    cli(["diagnose", str(tmp_path), "--fail-on", "never"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 runs"
    assert lines[1].startswith("  sick ")
    assert lines[1].endswith("broken/log.jsonl: non_finite")
    assert "over-fitting cannot be told" in lines[2]


def test_of_several_validation_sets_the_first_is_read(tmp_path):
    rows = [{"step": s, f"eval_{name}_loss": value} for s in (1, 2) for name, value in (("code", 1.0), ("chat", 2.0))]
    curve = read_curves(write(tmp_path / "log.jsonl", *rows))[0]
    assert curve.eval_loss.values.tolist() == [1.0, 1.0]
    (note,) = curve.notes
    assert note.startswith("validation sets: eval_code_loss, eval_chat_loss; the first is read (--map")
    chosen = read_curves(tmp_path / "log.jsonl", {"eval_loss": "eval_chat_loss"})[0]
    assert chosen.eval_loss.values.tolist() == [2.0, 2.0]


def test_every_run_of_a_wandb_export_is_a_curve(tmp_path):
    header = '"Step","a - train/loss","a - train/loss__MIN","a - train/loss__MAX","b - train/loss"'
    table = write(tmp_path / "export.csv", header, "1,3.0,0,9,4.0", "2,2.0,0,9,", "3,1.0,0,9,2.0")
    first, second = read_curves(table)
    assert (first.loss.values.tolist(), second.loss.values.tolist()) == ([3.0, 2.0, 1.0], [4.0, 2.0])
    assert (first.path.rpartition("#")[2], second.path.rpartition("#")[2]) == ("a", "b")


def test_a_column_called_value_is_a_loss_only_in_tensorboards_table(tmp_path):
    assert read_curves(write(tmp_path / "tb.csv", "Wall time,Step,Value", "1.0,5,2.5"))[0].loss.at(5) == 2.5
    with pytest.raises(DataError):
        read_curves(write(tmp_path / "data.csv", "key,value", "1,2.5"))


# ---- folders ----------------------------------------------------------------------------------------------------


def test_damaged_logs_are_named_beside_the_others(tmp_path, capsys):
    write(tmp_path / "a/trainer_state.json", '{"log_history": [')
    write(tmp_path / "b/trainer_log.jsonl", *({"current_steps": s, "loss": 3 / s} for s in range(1, 30)))
    found = survey([tmp_path])
    assert (len(found.reports), len(found.unread)) == (1, 1)
    assert cli(["diagnose", str(tmp_path), "--fail-on", "never"]) == 0
    assert "not read" in capsys.readouterr().err
    assert cli(["diagnose", str(tmp_path), "--fail-on", "never", "--json"]) == 0
    assert "a/trainer_state.json" in json.loads(capsys.readouterr().out)["unread"][0]["message"]


def test_sweep_folders_inside_a_run_are_runs_of_their_own(tmp_path):
    for name, scale in (("out", 1.0), ("out/sweep0001", 2.0), ("out/sweep0002", 4.0)):
        write(tmp_path / name / "trainer_log.jsonl", *({"step": s, "loss": scale / s} for s in range(1, 9)))
    assert len(read_curves(tmp_path)) == 3


def test_a_search_is_bounded_and_says_so(tmp_path, monkeypatch):
    for number in range(20):
        write(tmp_path / f"run{number:02}/log.jsonl", *falling("loss", 3))
    monkeypatch.setattr(find, "MOST_FOLDERS", 5)
    curves, problems = search(tmp_path)
    assert len(curves) == 4
    assert "too large to search" in problems[0].message


def test_links_in_a_circle_and_pipes_do_not_hang(tmp_path):
    write(tmp_path / "a/log.jsonl", *falling("loss"))
    (tmp_path / "a/again").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "a/pipe.jsonl")
    os.mkfifo(tmp_path / "a/pipe.log")
    assert len(read_curves(tmp_path)) == 1
    with pytest.raises(DataError, match="not a file"):
        read_curves(tmp_path / "a/pipe.jsonl")


def test_a_restart_from_zero_keeps_the_last_attempt(tmp_path):
    rows = [{"step": s, "loss": 9.0} for s in range(1, 20)] + [{"step": s, "loss": 1.0} for s in range(1, 9)]
    curve = read_curves(write(tmp_path / "trainer_log.jsonl", *rows))[0]
    assert curve.loss.values.tolist() == [1.0] * 8
    assert len(curve.replaced) == 19


def test_a_table_in_any_order_loses_nothing(tmp_path):
    lines = [f"{step},{1 / step}" for step in range(50, 0, -1)]
    curve = read_curves(write(tmp_path / "t.csv", "step,loss", *lines))[0]
    assert curve.loss.values.tolist() == [1 / step for step in range(1, 51)]
    rows = [{"step": step, "loss": 1 / step} for step in range(50, 0, -1)]
    assert len(read_curves(write(tmp_path / "t.jsonl", *rows))[0].loss) == 50


# ---- settings ---------------------------------------------------------------------------------------------------

AXOLOTL = """
base_model: Qwen/Qwen3-0.6B
adapter: qlora
load_in_4bit: true
lora_r: 32
lora_alpha: 64
lora_target_linear: true
sequence_len: 1024
sample_packing: true
micro_batch_size: 2
gradient_accumulation_steps: 4
num_epochs: 3
learning_rate: 2e-4
lr_scheduler: cosine
warmup_ratio: 0.05
"""


def test_axolotl_and_peft_settings_beside_a_log(tmp_path):
    write(tmp_path / "trainer_log.jsonl", *falling("loss"))
    (tmp_path / "axolotl.yml").write_text(AXOLOTL)
    write(
        tmp_path / "adapter_config.json", {"peft_type": "LORA", "r": 16, "lora_dropout": 0.1, "target_modules": ["q"]}
    )
    config = read_curves(tmp_path)[0].config
    assert config["lora_rank"] == 16  # what was saved comes before what was asked for
    assert (config["lora_alpha"], config["lora_dropout"], config["method"]) == (64.0, 0.1, "qlora")
    assert (config["warmup_ratio"], config["packing"], config["max_length"]) == (0.05, True, 1024)
    assert Recipe.model_validate({**config, "data": "rows.jsonl"}).effective_batch_size == 8


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"max_steps": -1, "eval_steps": 0.1, "learning_rate": None, "seed": True}, {}),
        ({"learning_rate": "nan", "lora_alpha": float("inf"), "batch_size": 10**400}, {}),
        ({"warmup_ratio": 0.1, "warmup_steps": 0}, {"warmup_ratio": 0.1}),
        ({"learning_rate": {"desc": None, "value": 1e-4}}, {"learning_rate": 1e-4}),
        (
            {"target_modules": "all-linear", "tuner_type": "lora", "quant_bits": 4},
            {"method": "qlora", "lora_target": "all"},
        ),
        (
            {"lr_scheduler_type": "SchedulerType.COSINE", "bf16": True},
            {"lr_scheduler_type": "cosine", "precision": "bf16"},
        ),
    ],
)
def test_settings_of_other_tools(theirs, ours):
    assert as_recipe(theirs) == ours


@pytest.mark.parametrize("content", ["[1", "- a\n- b", "a: [", "\x00", "{'a': *x}"])
def test_damaged_settings_say_nothing(tmp_path, content):
    (tmp_path / "train.yaml").write_text(content)
    (tmp_path / "args.json").write_text(content)
    assert settings_beside(tmp_path) == {}


def test_pickles_beside_a_log_are_never_opened(tmp_path):
    write(tmp_path / "trainer_log.jsonl", *falling("loss"))
    (tmp_path / "training_args.bin").write_bytes(b"cos\nsystem\n(S'touch PWNED'\ntR.")
    assert read_curves(tmp_path)[0].config == {}
