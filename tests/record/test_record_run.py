"""Run folders: whole files, complete lines, honest statuses."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.record.files import write_folder, write_whole
from tunewright.record.run import STALE_AFTER_S, create_run, find_runs, free_name, kept_run, open_run
from tunewright.schema.errors import DataError, UsageError


def test_a_run_is_created_read_and_found(tmp_path: Path) -> None:
    run = create_run(tmp_path, "first", about={"command": "tunewright train x"})
    assert run.read()["command"] == "tunewright train x"
    assert open_run(run.path) == run
    assert find_runs(tmp_path) == [run]
    assert free_name(tmp_path, "first") == "first-1"


def test_an_existing_name_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    run = create_run(tmp_path, "mine", about={})
    before = (run.path / "run.json").read_bytes()
    with pytest.raises(UsageError, match="a run of that name exists"):
        create_run(tmp_path, "mine", about={})
    assert (run.path / "run.json").read_bytes() == before


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 101, "a\nb"])
def test_names_that_could_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="run name"):
        create_run(tmp_path, name, about={})
    assert list(tmp_path.iterdir()) == []


def test_a_line_cut_off_by_a_kill_is_left_out_and_the_next_line_is_whole(tmp_path: Path) -> None:
    run = create_run(tmp_path, "run", about={})
    run.append({"step": 1, "loss": 2.0})
    with open(run.metrics_path, "ab") as file:
        file.write(b'{"step": 2, "lo')
    run.append({"step": 2, "loss": float("nan")})
    assert [event["step"] for event in run.events()] == [1, 2]
    assert [number for number, _ in run.numbered_events()] == [1, 3]
    assert list(run.events())[-1]["loss"] == "NaN"


@given(cut=st.integers(0, 200))
def test_every_complete_line_survives_a_cut_anywhere(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    run = create_run(tmp_path_factory.mktemp("cut"), "run", about={})
    for step in range(5):
        run.append({"step": step, "loss": 1.5})
    whole = run.metrics_path.read_bytes()
    run.metrics_path.write_bytes(whole[:cut])
    complete = whole[:cut].count(b"\n")
    steps = [event["step"] for event in run.events()]
    assert steps[:complete] == list(range(complete))
    assert len(steps) <= complete + 1


def test_running_without_a_fresh_heartbeat_is_interrupted(tmp_path: Path) -> None:
    run = create_run(tmp_path, "run", about={})
    run.update(status="running")
    assert run.status() == "running"
    run.write("run.json", {"status": "running", "heartbeat": time.time() - STALE_AFTER_S - 1})
    assert run.status() == "interrupted"


def test_damage_is_said(tmp_path: Path) -> None:
    run = create_run(tmp_path, "run", about={})
    (run.path / "run.json").write_text('{"status": ')
    with pytest.raises(DataError, match="damaged"):
        run.read()
    assert find_runs(tmp_path) == [run]


def test_a_folder_without_marks_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run folder"):
        open_run(tmp_path)


def test_write_folder_replaces_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "best"

    def fill(folder: Path, text: str) -> None:
        (folder / "weights").write_text(text)

    write_folder(target, lambda folder: fill(folder, "old"))

    def fail(folder: Path) -> None:
        fill(folder, "half")
        raise DataError("stopped in the middle")

    with pytest.raises(DataError, match="middle"):
        write_folder(target, fail)
    assert (target / "weights").read_text() == "old"
    write_folder(target, lambda folder: fill(folder, "new"))
    assert (target / "weights").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_a_place_under_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="cannot be made"):
        create_run(tmp_path / "file", "run", about={})


def test_write_whole_leaves_no_temporary_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.json", b"{}")
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize(
    ("best", "kept"),
    [({"run": "/moved/away/run-2"}, "run-2"), ({"run": "/gone/run-9"}, ""), ({}, ""), (None, ""), ("run-2", "")],
)
def test_a_tuning_stands_for_the_run_that_it_keeps(tmp_path: Path, best: object, kept: str) -> None:
    (tmp_path / "run-2").mkdir()
    (tmp_path / "tuning.json").write_text(json.dumps({"best": best}))
    assert kept_run(tmp_path) == tmp_path / kept
    assert kept_run(tmp_path / "run-2") == tmp_path / "run-2"
