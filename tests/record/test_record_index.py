"""The index: only ever faster. Whatever happens to it, the folders' truth is told."""

from __future__ import annotations

import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.record.find import find
from tunewright.record.index import INDEX_FILE, remembered
from tunewright.record.run import create_run

LONG_AGO_S = 1_700_000_000


class Reader:
    """Reads a folder's one file and counts how often."""

    def __init__(self) -> None:
        self.reads = 0

    def __call__(self, folder: Path) -> dict[str, Any]:
        self.reads += 1
        return {"text": (folder / "a.txt").read_text() if (folder / "a.txt").exists() else None}


def write(folder: Path, text: str, at_s: float = LONG_AGO_S) -> None:
    """A file that was last changed long ago."""
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_text(text)
    os.utime(folder / "a.txt", (at_s, at_s))


def ask(top: Path, reader: Reader, version: str = "1") -> list[Any]:
    folders = sorted(top.glob("run-*"))
    return [one["text"] for one in remembered(top, folders, ("a.txt",), reader, version=version)]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    for number in range(3):
        write(tmp_path / f"run-{number}", f"text {number}")
    return tmp_path


def test_what_has_not_changed_is_read_once(top: Path) -> None:
    reader = Reader()
    assert ask(top, reader) == ask(top, reader) == ["text 0", "text 1", "text 2"]
    assert reader.reads == 3


def test_a_changed_a_new_and_a_removed_folder_are_seen(top: Path) -> None:
    reader = Reader()
    ask(top, reader)
    write(top / "run-1", "other!", LONG_AGO_S)  # the same size and the same time: another file all the same
    (top / "run-0" / "a.txt").unlink()
    write(top / "run-3", "text 3")
    os.replace(top / "run-1" / "a.txt", top / "run-1" / "b.txt")
    write(top / "run-1", "text !")
    assert ask(top, reader) == [None, "text !", "text 2", "text 3"]
    assert ask(top, reader) == [None, "text !", "text 2", "text 3"]


def test_a_file_changed_a_moment_ago_is_not_trusted(top: Path) -> None:
    reader = Reader()
    write(top / "run-1", "young", time.time())
    ask(top, reader)
    ask(top, reader)
    assert reader.reads == 3 + 1


def test_another_version_reads_everything_again(top: Path) -> None:
    reader = Reader()
    ask(top, reader)
    ask(top, reader, version="2")
    assert reader.reads == 6


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no database at all" * 400),
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda path: (path.unlink(), sqlite3.connect(path).execute("CREATE TABLE entries (x)").connection.close()),
    ],
    ids=["deleted", "empty", "garbage", "cut", "another_table"],
)
def test_a_lost_or_damaged_index_is_rebuilt_in_silence(top: Path, damage: Any) -> None:
    ask(top, Reader())
    damage(top / INDEX_FILE)
    assert ask(top, Reader()) == ["text 0", "text 1", "text 2"]
    reader = Reader()
    assert ask(top, reader) == ["text 0", "text 1", "text 2"]
    assert reader.reads == 0


@settings(max_examples=40)
@given(place=st.integers(0, 20_000), value=st.integers(0, 255))
def test_no_flipped_byte_of_the_index_changes_an_answer_into_an_error(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    top = tmp_path_factory.mktemp("flip")
    write(top / "run-0", "text 0")
    ask(top, Reader())
    content = bytearray((top / INDEX_FILE).read_bytes())
    header_only = place % min(len(content), 100)
    content[header_only] = value
    (top / INDEX_FILE).write_bytes(bytes(content))
    assert ask(top, Reader()) == ["text 0"]


def test_a_place_that_cannot_be_written_works_without(top: Path) -> None:
    (top / INDEX_FILE).mkdir()  # nothing can be written there, whoever runs the test
    reader = Reader()
    assert ask(top, reader) == ask(top, reader) == ["text 0", "text 1", "text 2"]
    assert reader.reads == 6


def test_an_index_that_another_process_holds_is_not_waited_for(top: Path) -> None:
    with sqlite3.connect(top / INDEX_FILE, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert ask(top, Reader()) == ["text 0", "text 1", "text 2"]
    other.close()


def test_many_readers_at_once_all_get_the_truth(top: Path) -> None:
    for number in range(40):
        write(top / f"run-{number:03}", f"many {number}")
    expected = ask(top, Reader())
    (top / INDEX_FILE).unlink()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(top, Reader()), range(16)))
    assert answers == [expected] * 16


def test_runs_are_found_but_not_in_checkpoints_exports_or_hidden_folders(tmp_path: Path) -> None:
    run = create_run(tmp_path, "first", about={}).path
    for inside in ("checkpoints/step-1", "best", ".first.removed"):
        (run / inside).mkdir(parents=True)
        (run / inside / "run.json").write_text("{}")
    series = tmp_path / "tune-1"
    create_run(series, "run-1", about={})
    (series / "tuning.json").write_text("{}")
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "recipe.yaml").write_text("model: x\n")
    (tmp_path / "export" / "train.py").write_text("")
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "metrics.jsonl").write_text("")
    found = find(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in found.runs] == ["bare", "first", "tune-1/run-1"]
    assert found.series == (series,)
    assert found.closed == ()


def test_a_link_in_a_circle_does_not_hold_the_walk(tmp_path: Path) -> None:
    create_run(tmp_path, "first", about={})
    (tmp_path / "round").symlink_to(tmp_path)
    assert len(find(tmp_path).runs) == 1


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_run(tmp_path, "open", about={})
    shut = create_run(tmp_path, "shut", about={}).path
    scan = os.scandir

    def refuse(path: str) -> Any:  # permissions do not stop every user who runs the tests
        if Path(path) == shut:
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find(tmp_path)
    assert [path.name for path in found.runs] == ["open"]
    assert found.closed == ((shut, "Permission denied"),)
