"""watch: what a growing log looks like, drawn from its new bytes only."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tunewright.app.follow import follow
from tunewright.app.sight import Sight
from tunewright.cli import watching
from tunewright.record.run import Run, create_run
from tunewright.schema import jsonio
from tunewright.schema.curve import Curve, Series
from tunewright.schema.errors import DataError


def log_rows(first: int, last: int, total: int = 40) -> list[dict]:
    """LLaMA-Factory's rows: a training loss at every step, an evaluation at every tenth."""
    rows: list[dict] = []
    for step in range(first, last + 1):
        rows.append({"current_steps": step, "total_steps": total, "loss": 1 + 1 / step, "lr": 1e-4})
        if step % 10 == 0:
            rows.append({"current_steps": step, "total_steps": total, "eval_loss": 1.1 + 1 / step})
    return rows


def write(path: Path, rows: list[dict], mode: str = "a") -> None:
    with open(path, mode) as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "trainer_log.jsonl"


# --- following ---------------------------------------------------------------------------------------------------


def test_only_new_lines_are_read_and_half_a_line_waits(log: Path) -> None:
    write(log, log_rows(1, 10))
    follower = follow(log)
    assert (follower.look().step, follower.look().status) == (10, "running")
    with open(log, "a") as file:
        file.write('{"current_steps": 11, "lo')
    assert follower.look().step == 10
    with open(log, "a") as file:
        file.write('ss": 0.5, "total_steps": 40}\n')
    sight = follower.look()
    assert (sight.step, sight.curve.loss.values[-1]) == (11, 0.5)


def test_a_resumed_log_steps_back_and_a_new_one_starts_over(log: Path) -> None:
    write(log, log_rows(1, 30))
    follower = follow(log)
    assert follower.look().step == 30
    write(log, log_rows(21, 25))
    assert follower.look().curve.loss.steps.tolist() == list(range(1, 26))
    write(log, log_rows(1, 3), mode="w")
    assert follower.look().curve.loss.steps.tolist() == [1, 2, 3]


def test_the_end_is_the_planned_step(log: Path) -> None:
    write(log, log_rows(1, 40))
    sight = follow(log).look()
    assert (sight.status, sight.over, sight.seconds_left) == ("finished", True, None)


def test_a_trainers_folder_is_followed_by_its_log_and_ours_goes_first(tmp_path: Path, log: Path) -> None:
    write(log, log_rows(1, 5))
    assert follow(tmp_path).look().step == 5
    run = create_run(tmp_path, "tunewright", about={})
    run.append({"step": 7, "loss": 1.0})
    assert follow(tmp_path).look().step == 7


def test_of_a_folder_of_runs_the_newest_is_followed(tmp_path: Path) -> None:
    for name, step in (("train-1", 3), ("train-2", 9)):
        create_run(tmp_path, name, about={}).append({"step": step, "loss": 1.0})
    sight = follow(tmp_path).look()
    assert (sight.step, Path(sight.path).name) == (9, "train-2")


def test_of_a_folder_of_foreign_logs_the_last_written_is_followed(tmp_path: Path) -> None:
    for name, written in (("a", 2_000_000_000), ("b", 1_000_000_000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "log.csv").write_text(f"step,loss\n1,2.0\n{written // 10**9},1.0\n")
        os.utime(tmp_path / name / "log.csv", (written, written))
    sight = follow(tmp_path).look()
    assert (sight.step, sight.path) == (2, str(tmp_path / "a" / "log.csv"))


def test_a_run_folder_says_its_own_status_and_plan(tmp_path: Path) -> None:
    run = create_run(tmp_path, "run", about={})
    follower = follow(run.path)
    assert (follower.look().status, follower.look().curve) == ("planned", None)
    run.update(status="running")
    run.write("plan.json", {"predicted": {"steps": 40}})
    follower = follow(run.path)
    for step in range(1, 21):
        run.append({"step": step, "loss": 1.0, "seconds": 2.0 * step})
    sight = follower.look()
    assert (sight.status, sight.total_steps, sight.seconds_left) == ("running", 40, pytest.approx(40.0))
    run.update(status="finished")
    assert follower.look().over


def test_a_tuning_is_followed_from_run_to_run(tmp_path: Path) -> None:
    tuning = create_run(tmp_path, "tune", about={"status": "running"})
    tuning.write("tuning.json", {})
    follower = follow(tuning.path)
    assert follower.look().status == "waiting"
    for number, status in (("run-1", "finished"), ("run-2", "running")):
        run = create_run(tuning.path, number, about={"status": status})
        run.append({"step": 1, "loss": 1.0})
        sight = follower.look()
        assert (Path(sight.path).name, sight.over) == (number, False)
    tuning.update(status="finished")
    Run(tuning.path / "run-2").update(status="finished")
    assert follower.look().over


def test_a_trainer_state_is_read_again_when_it_changes(tmp_path: Path) -> None:
    state = tmp_path / "trainer_state.json"
    history = [{"step": step, "loss": 1.0} for step in range(1, 11)]
    state.write_text(json.dumps({"log_history": history, "max_steps": 20, "global_step": 10}))
    follower = follow(state)
    assert (follower.look().step, follower.look().status) == (10, "running")
    history += [{"step": step, "loss": 1.0} for step in range(11, 21)]
    state.write_text(json.dumps({"log_history": history, "max_steps": 20, "global_step": 20}))
    assert follower.look().over


def test_nothing_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        follow(tmp_path / "none")


# --- drawing -----------------------------------------------------------------------------------------------------


def test_the_picture_fits_and_shows_curve_figures_and_findings(log: Path) -> None:
    write(log, log_rows(1, 30))
    write(log, [{"current_steps": 31, "total_steps": 40, "loss": "NaN"}])
    text = watching.picture(follow(log).look(), 60, 20)
    lines = text.split("\n")
    assert len(lines) <= 20
    assert max(map(len, lines)) <= 60
    assert "● validation" in text
    assert "step 31/40" in text
    assert "x non_finite: " in text


def test_a_waiting_run_is_one_line() -> None:
    assert watching.picture(Sight("runs/a\x1b[2J", "waiting"), 60, 20) == "runs/a␛[2J: waiting, nothing logged yet"


def test_a_non_finite_loss_is_not_a_number_in_json_either(log: Path) -> None:
    write(log, [{"current_steps": 1, "loss": "NaN"}])
    assert jsonio.plain(follow(log).look())["loss"] == "NaN"


class Scripted:
    """A follower that shows prepared sights one after another."""

    def __init__(self, sights: list[Sight]) -> None:
        self.sights = sights

    def look(self) -> Sight:
        return self.sights.pop(0) if len(self.sights) > 1 else self.sights[0]


def sight_at(step: int, status: str = "running") -> Sight:
    loss = Series.of([(s, 1.0) for s in range(1, step + 1)])
    evals = Series.of([(s, 1.2) for s in range(0, step + 1, 5)])
    return Sight("x", status, Curve("x", "", loss, eval_loss=evals), total_steps=20)


def test_without_a_terminal_there_are_only_new_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_EVERY_S", 0.0)
    out = io.StringIO()
    watching.watch_until_over(
        Scripted([sight_at(4), sight_at(4), sight_at(6), sight_at(7), sight_at(20, "finished")]), out
    )
    lines = out.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines[:-1]] == ["step 4/20", "step 6/20", "step 20/20"]
    assert lines[-1] == "x: finished"
    assert "\x1b" not in out.getvalue()


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_in_a_terminal_the_picture_is_drawn_over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_EVERY_S", 0.0)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "20")
    out = FakeTerminal()
    watching.watch_until_over(Scripted([sight_at(4), sight_at(20, "finished")]), out)
    first, second = out.getvalue().split("\x1b[J")
    assert first.endswith(f"\x1b[{first.count(chr(10))}F")
    assert "step 20/20" in second


# --- the command -------------------------------------------------------------------------------------------------


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", "-m", "tunewright", "watch", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_growing_file_is_followed_to_its_end(log: Path) -> None:
    write(log, log_rows(1, 10))
    watcher = start(str(log))
    assert watcher.stdout is not None
    assert watcher.stdout.readline().startswith("step 10/40  loss 1.100  eval 1.200")
    write(log, log_rows(11, 40))
    rest, said = watcher.communicate(timeout=60)
    assert "step 40/40" in rest
    assert rest.splitlines()[-1].endswith("finished")
    assert (watcher.returncode, said) == (0, "")


def test_ctrl_c_ends_the_watching_and_is_no_failure(log: Path) -> None:
    write(log, log_rows(1, 10))
    watcher = start(str(log))
    assert watcher.stdout is not None
    watcher.stdout.readline()
    time.sleep(0.2)
    watcher.send_signal(signal.SIGINT)
    _, said = watcher.communicate(timeout=60)
    assert (watcher.returncode, said) == (0, "")


def test_once_and_json_leave_at_once(log: Path) -> None:
    write(log, log_rows(1, 10))
    shown, _ = start(str(log), "--once").communicate(timeout=60)
    assert "step 10/40" in shown
    document, _ = start(str(log), "--json").communicate(timeout=60)
    state = json.loads(document)
    assert (state["status"], state["step"], state["total_steps"], state["eval_loss"]) == (
        *("running", 10, 40),
        pytest.approx(1.2),
    )


@pytest.mark.parametrize(("name", "text"), [("trainer_state.json", '{"log_history": []}'), ("log.csv", "step,loss\n")])
def test_a_log_that_has_only_begun_is_waited_for(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert follow(path).look().status == "waiting"
    path.write_text("words\nand prose\n")
    with pytest.raises(DataError):
        follow(path)
