"""train --trainer: another trainer's run, followed while it is made, stopped, resumed, and brought home as ours."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tunewright.app.diagnose import diagnose
from tunewright.app.launch import launch, stop_symptoms
from tunewright.app.launched_run import FOLDER, kept
from tunewright.app.train import resume
from tunewright.app.watch import Silent
from tunewright.cli.main import run as cli
from tunewright.data.sources import demo_files
from tunewright.record.run import Run, open_run
from tunewright.schema.errors import EnvironmentMissing, Interrupted, RunFailed, UsageError
from tunewright.trainers.interpreter import find_interpreter
from tunewright.trainers.riding import last_words
from tunewright.trainers.tools import TOOLS

STAND_IN = Path(__file__).with_name("stand_in_trl.py")
STEPS = 24


@pytest.fixture
def trl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An interpreter in which the stand-in is TRL 1.16.0 and all that its script imports."""
    place = tmp_path / "packages"
    place.mkdir()
    shutil.copy2(STAND_IN, place)
    for name in ("trl", "transformers", "torch", "peft", "datasets"):
        (place / f"{name}.py").write_text("from stand_in_trl import *\nfrom stand_in_trl import cuda\n")
    say_version(place, "1.16.0")
    monkeypatch.setenv("PYTHONPATH", str(place))
    return place


def say_version(place: Path, version: str) -> None:
    shutil.rmtree(place / "trl.dist-info", ignore_errors=True)
    (place / "trl.dist-info").mkdir()
    (place / "trl.dist-info" / "METADATA").write_text(f"Name: trl\nVersion: {version}\n")


@pytest.fixture
def recipe(tmp_path: Path) -> dict[str, Any]:
    files = demo_files()
    for name, part, count in (("rows.jsonl", "train", 24), ("valid.jsonl", "validation", 8)):
        lines = files[part].read_text(encoding="utf-8").splitlines(keepends=True)
        (tmp_path / name).write_text("".join(lines[:count]), encoding="utf-8")
    names = {"data": str(tmp_path / "rows.jsonl"), "val": str(tmp_path / "valid.jsonl"), "model": str(files["model"])}
    return {**names, "max_steps": STEPS, "eval_steps": 4, "logging_steps": 1, "learning_rate": 0.003}


def started(recipe: dict[str, Any], tmp_path: Path, **more: Any) -> dict[str, Any]:
    named = {key: more.pop(key) for key in ("watch", "stop_on", "python", "name") if key in more}
    return launch("trl", runs_dir=tmp_path / "runs", **named, **{**recipe, **more})


class Stops(Silent):
    """Asks for a clean end once the run has logged something; ``said``: what it was told."""

    def __init__(self, after: int) -> None:
        self.after, self.step, self.said = after, 0, list[str]()

    def say(self, text: str) -> None:
        self.said.append(text)

    def event(self, run: str, event: Any, total_steps: int, finding: str = "") -> None:
        self.step = int(event["step"])

    def should_stop(self) -> bool:
        return self.step >= self.after


def test_the_run_comes_home_as_an_ordinary_one(trl: Path, recipe: dict[str, Any], tmp_path: Path) -> None:
    answer = started(recipe, tmp_path)
    run = open_run(Path(answer["run"]))
    assert (run.name, run.status()) == ("trl-1", "finished")
    assert answer["steps"] == STEPS
    assert answer["eval_loss"] == pytest.approx(1.149, abs=1e-3)
    assert answer["base_eval_loss"] == pytest.approx(4.0)
    assert answer["tokens"] == {"train": 10 * STEPS, "eval": 7 * 7}
    assert answer["train_seconds"] == pytest.approx(2.0 - 6 * 0.25)
    assert (answer["stopped_because"], answer["best_step"]) == (f"all {STEPS} steps done", STEPS)
    events = list(run.events())
    assert [event["step"] for event in events if "eval_loss" in event] == [0, 4, 8, 12, 16, 20, 24]
    assert sum("loss" in event for event in events) == STEPS
    assert sorted(path.name for path in run.best.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    about = run.read()
    assert (about["trainer"], about["trainer_version"]) == ("trl", "1.16.0")
    report = diagnose(run.path)[0]
    assert report.diagnosis.health == answer["health"]
    assert report.curve.total_steps == STEPS
    assert run.read("prediction.json")


def test_the_export_is_started_as_it_was_written(trl: Path, recipe: dict[str, Any], tmp_path: Path) -> None:
    answer = started(recipe, tmp_path)
    import tunewright as tw

    tw.export(answer["run"], to="trl", out=tmp_path / "again")
    for name in ("train.py", "train.jsonl", "val.jsonl"):
        assert (Path(answer["run"]) / FOLDER / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_run_that_is_lost_is_stopped(trl: Path, recipe: dict[str, Any], tmp_path: Path) -> None:
    watch = Stops(after=10**6)
    answer = started({**recipe, "max_steps": 400_000}, tmp_path, learning_rate=1.0, watch=watch)
    assert 5 <= answer["steps"] < 400_000
    assert answer["stopped_because"].startswith("non_finite")
    assert answer["health"] == "sick"
    assert any("stopping TRL" in text for text in watch.said)


def test_only_what_was_named_stops_it(trl: Path, recipe: dict[str, Any], tmp_path: Path) -> None:
    answer = started(recipe, tmp_path, learning_rate=1.0, stop_on=("divergence",))
    assert answer["steps"] == STEPS


def test_ctrl_c_saves_and_resume_goes_on(
    trl: Path, recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_STEP_S", "0.05")
    with pytest.raises(Interrupted) as stopped:
        started({**recipe, "max_steps": 4000, "eval_steps": 4000}, tmp_path, watch=Stops(after=3))
    run = open_run(tmp_path / "runs" / "trl-1")
    assert stopped.value.hint == f"tunewright train --resume {run.path}"
    assert run.status() == "interrupted"
    at = max(event["step"] for event in run.events() if "step" in event)
    assert (run.path / FOLDER / "outputs" / f"checkpoint-{at}").is_dir()
    script = run.path / FOLDER / "train.py"
    script.write_text(script.read_text().replace("max_steps=4000", f"max_steps={at + 6}"))
    answer = resume(run.path)
    assert (run.status(), answer["steps"]) == ("finished", at + 6)
    steps = [event["step"] for event in run.events() if "loss" in event]
    assert steps == list(range(1, at + 7))
    assert {"resumed_at": at} in list(run.events())
    assert answer["base_eval_loss"] == pytest.approx(4.0)


def test_a_killed_launcher_leaves_no_trainer_behind(
    trl: Path, recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_STEP_S", "0.02")
    import subprocess

    code = (
        "import json, os, sys; from tunewright.app.launch import launch; os.environ['PYTHONPATH'] = sys.argv[3]; "
        "launch('trl', runs_dir=sys.argv[1], **json.loads(sys.argv[2]))"
    )
    monkeypatch.delenv("PYTHONPATH")  # ours is no stand-in
    settings = json.dumps({**recipe, "max_steps": 100_000, "eval_steps": 100_000})
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "runs"), settings, str(trl)])
    events = tmp_path / "runs" / "trl-1" / FOLDER / "events.jsonl"
    metrics = tmp_path / "runs" / "trl-1" / "metrics.jsonl"
    wait_for(lambda: metrics.is_file() and metrics.stat().st_size > 0, process)
    process.kill()
    process.wait()
    wait_for(lambda: '"what": "end"' in events.read_text())
    assert all(json.loads(line) for line in metrics.read_text().splitlines())
    assert Run(tmp_path / "runs" / "trl-1").read()["status"] == "running"  # until its heartbeat is stale


def wait_for(happened: Any, process: Any = None) -> None:
    """Until it happened, for at most two minutes (a machine may be busy)."""
    end = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < end
        assert process is None or process.poll() is None
        time.sleep(0.05)


def test_a_trainer_that_fails_is_told_in_its_own_words(
    trl: Path, recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", "1")
    with pytest.raises(RunFailed) as failed:
        started(recipe, tmp_path)
    run = Run(tmp_path / "runs" / "trl-1")
    assert "ValueError: the stand-in was told to fail" in failed.value.message
    assert str(run.path / FOLDER / "log.txt") in failed.value.hint
    assert (run.status(), run.read()["error_code"]) == ("failed", "run_failed")


def test_a_second_ctrl_c_ends_it_at_once(
    trl: Path, recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_STEP_S", "0.02")

    class Impatient(Stops):
        def should_stop(self) -> bool:
            if self.step >= self.after:
                raise KeyboardInterrupt
            return False

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        started({**recipe, "max_steps": 100_000, "eval_steps": 100_000}, tmp_path, watch=Impatient(after=2))
    assert Run(tmp_path / "runs" / "trl-1").status() == "interrupted"
    assert threading.active_count() == before


def test_a_tool_that_is_not_there_gives_the_line_that_installs_it(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = ["train", recipe["data"], "--model", recipe["model"], "--runs-dir", str(tmp_path / "runs")]
    assert cli([*arguments, "--trainer", "axolotl"]) == 4
    said = capsys.readouterr().err
    assert "Axolotl is not installed" in said
    assert "python -m pip install axolotl==0.19.0" in said
    assert not (tmp_path / "runs").exists()


def test_a_version_that_is_too_old_is_refused_with_the_line_that_renews_it(trl: Path) -> None:
    say_version(trl, "0.19.1")
    with pytest.raises(EnvironmentMissing, match=r"trl 0\.19\.1 is too old") as error:
        find_interpreter(TOOLS["trl"], sys.executable)
    assert error.value.hint == f"{sys.executable} -m pip install trl==1.16.0"


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/true"])
def test_what_is_no_interpreter_is_refused(python: str) -> None:
    with pytest.raises(UsageError, match="not a Python interpreter"):
        find_interpreter(TOOLS["trl"], python)


def test_the_interpreter_behind_the_tools_own_command_is_found(
    trl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "bin" / "trl"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nimport trl\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(command.parent))
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    found = find_interpreter(TOOLS["trl"])
    assert found.version == "1.16.0"
    assert Path(found.path).exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--trainer", "trlx"],
            "--trainer trlx: expected one of trl, unsloth, axolotl, llamafactory; did you mean trl?",
        ),
        (["--stop-on", "divergence"], "--stop-on is for runs that another trainer makes"),
        (["--trainer-python", "x"], "--trainer-python is for runs that another trainer makes"),
        (["--trainer", "trl", "--stop-on", "divergense"], "--stop-on: no such symptom: divergense"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["train", "demo", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_symptoms_are_named_or_given_by_code() -> None:
    assert stop_symptoms(["TW101", "", "divergence"]) == stop_symptoms(["divergence", "TW101"])


def test_the_newest_checkpoint_is_kept_of_a_run_that_saved_nothing_at_its_end(tmp_path: Path) -> None:
    assert kept(tmp_path) is None
    for name in ("checkpoint-5", "checkpoint-10"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_model.safetensors").touch()
        time.sleep(0.01)
    assert kept(tmp_path) == tmp_path / "checkpoint-10"
    (tmp_path / "model.safetensors.index.json").touch()
    assert kept(tmp_path) == tmp_path


def test_the_last_words_of_a_log_are_its_error() -> None:
    said = "step 1\nTraceback (most recent call last):\n  File x\nKeyError: 'a'\n100%|##|\rdone"
    assert last_words(said) == "KeyError: 'a' 100%|##| done"
    assert last_words("a\nb") == "b"
    assert last_words("") == "it said nothing"
