"""runs: lists, conditions, comparisons with their noise, notes, removal; damage is named and never fatal."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunewright.app.choose import chosen, ordered, parse_term
from tunewright.app.index import summaries
from tunewright.app.runs import compare_runs, list_runs, mark_run, removal, remove_runs, show_run
from tunewright.cli.main import run as command
from tunewright.record.index import INDEX_FILE
from tunewright.reporter.run_view import RunView
from tunewright.reporter.text_tables import distance
from tunewright.reporter.view import read_view
from tunewright.schema.errors import UsageError

STARTED_S = 1_763_700_000.0
Maker = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    """A run folder as the trainer leaves it, with these figures."""

    def write(name: str, loss: float | None = 0.5, *, place: Path | None = None, **more: Any) -> Path:
        folder = (place or tmp_path) / name
        folder.mkdir(parents=True)
        settings = {"model": "acme/qwen", "data": "rows.jsonl", "val": "val.jsonl", "learning_rate": 1e-3, "seed": 0}
        settings |= more.pop("settings", {})
        result = {} if loss is None else {"eval_loss": loss, "health": "healthy", "steps": 40, "best_step": 40}
        about = {
            "status": "finished", "model": settings["model"], "data": settings["data"], "started": STARTED_S,
            "result": result, **more,
        }  # fmt: skip
        (folder / "run.json").write_text(json.dumps(about))
        (folder / "recipe.yaml").write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items()))
        events = [{"step": 0, "eval_loss": 2.0}, {"step": 10, "loss": 1.0, "eval_loss": 0.9}, {"step": 20, "loss": 0.8}]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
        return folder

    return write


def names(found: list[dict[str, Any]]) -> list[str]:
    return [one["name"] for one in found]


def test_runs_are_listed_oldest_first_with_or_without_the_index(make: Maker, tmp_path: Path) -> None:
    make("b", started=STARTED_S + 1)
    make("a", started=STARTED_S + 2)
    make("inside", place=tmp_path / "tune-1", started=STARTED_S)
    (tmp_path / "tune-1" / "tuning.json").write_text("{}")
    first = list_runs(tmp_path)
    assert names(first) == ["tune-1/inside", "b", "a"]
    assert [one["series"] for one in first] == ["tune-1", "", ""]
    assert list_runs(tmp_path) == first
    (tmp_path / INDEX_FILE).unlink(missing_ok=True)
    assert list_runs(tmp_path) == first


def test_an_interrupted_run_is_shown_as_such_with_what_its_curve_says(make: Maker, tmp_path: Path) -> None:
    make("killed", None, status="running", heartbeat=time.time() - 3600)
    make("alive", None, status="running", heartbeat=time.time())
    found = {one["name"]: one for one in list_runs(tmp_path)}
    assert (found["killed"]["status"], found["alive"]["status"]) == ("interrupted", "running")
    assert (found["killed"]["eval_loss"], found["killed"]["base_eval_loss"], found["killed"]["steps"]) == (0.9, 2.0, 20)


def test_the_status_is_as_of_now_even_when_it_is_remembered(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make("run", None, status="running", heartbeat=time.time())
    for file in run.iterdir():
        os.utime(file, (STARTED_S, STARTED_S))
    assert list_runs(tmp_path)[0]["status"] == "running"
    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert list_runs(tmp_path)[0]["status"] == "interrupted"


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b'{"result": 3, "started": "x", "parent": []}'])
@pytest.mark.parametrize(
    "file", ["run.json", "recipe.yaml", "metrics.jsonl", "findings.json", "exam.json", "notes.json"]
)
def test_a_damaged_folder_is_named_and_the_others_are_listed(
    make: Maker, tmp_path: Path, file: str, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    make("whole")
    (make("hurt", None) / file).write_bytes(damage)
    assert set(names(list_runs(tmp_path))) == {"whole", "hurt"}
    assert command(["runs", "ls", "--runs-dir", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "whole" in said
    if file == "run.json" and damage == b"{":
        assert "hurt: run.json cannot be read" in said
    show_run(tmp_path / "hurt")
    compare_runs([tmp_path / "whole", tmp_path / "hurt"])
    assert command(["report", str(tmp_path / "hurt")]) == 0


def test_a_report_of_a_damaged_run_says_what_is_wrong(
    make: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (make("hurt") / "run.json").write_bytes(b"{")
    assert command(["report", str(tmp_path / "hurt")]) == 0
    assert "run.json cannot be read" in capsys.readouterr().err
    assert command(["report", str(tmp_path / "hurt"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert "run.json cannot be read" in answer["problems"][0]


CASES = [
    ("health=healthy", {"cold", "warm"}),
    ("health!=healthy", {"sick"}),
    ("eval_loss<0.5", {"cold"}),
    ("eval_loss>=0.5", {"warm"}),
    ("eval_loss=nan", {"sick"}),
    ("model~QWEN", {"cold", "warm"}),
    ("tag=baseline", {"cold"}),
    ("tags=baseline", {"cold"}),
    ("note~labels", {"warm"}),
    ("learning_rate = 1e-3", {"cold", "sick"}),
    ("lora_target~proj", {"warm"}),
    ("started>2025-11-22", {"sick"}),
    ("finding=non_finite", {"sick"}),
    ("exact>0.9", {"warm"}),
    ("replay=x", set[str]()),
]
RUNS: list[dict[str, Any]] = [
    {"name": "cold", "health": "healthy", "eval_loss": 0.4, "model": "a/Qwen3", "tags": ["baseline"],
     "settings": {"learning_rate": 0.001}, "started": STARTED_S},
    {"name": "warm", "health": "healthy", "eval_loss": 0.5, "model": "a/qwen", "notes": ["Labels mended"],
     "settings": {"learning_rate": 2e-3, "lora_target": ["q_proj", "v_proj"]}, "exam": {"exact": 0.95}},
    {"name": "sick", "health": "sick", "eval_loss": "NaN", "model": "b/llama", "findings": ["non_finite"],
     "settings": {"learning_rate": 1e-3}, "started": STARTED_S + 3 * 86_400},
]  # fmt: skip


@pytest.mark.parametrize(("condition", "expected"), CASES)
def test_conditions(condition: str, expected: set[str]) -> None:
    assert {one["name"] for one in chosen(RUNS, [condition])} == expected


def test_all_conditions_must_hold() -> None:
    assert [one["name"] for one in chosen(RUNS, ["health=healthy", "eval_loss<0.5"])] == ["cold"]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("health", "expected KEY and VALUE"),
        ("=x", "expected KEY and VALUE"),
        ("eval_loss<", "expected KEY and VALUE"),
        ("helth=sick", "did you mean 'health'"),
        ("lerning_rate>1", "did you mean 'learning_rate'"),
        ("eval_loss<low", "is no number"),
    ],
)
def test_a_condition_that_cannot_be_meant_is_refused(condition: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_term(condition)


def test_sorting_puts_the_unknown_and_the_non_finite_last() -> None:
    known = [*RUNS, {"name": "none", "eval_loss": None}]
    assert [one["name"] for one in ordered(known, "eval_loss")] == ["cold", "warm", "sick", "none"]
    assert [one["name"] for one in ordered(known, "-eval_loss")][-1] == "none"
    assert [one["name"] for one in ordered(RUNS, "-name")] == ["warm", "sick", "cold"]
    with pytest.raises(UsageError, match="--sort: no run has a key"):
        ordered(RUNS, "loss_of_nothing")


def test_every_face_shows_the_same_figures(make: Maker, tmp_path: Path) -> None:
    for path in (make("finished", 0.37), make("killed", None, status="running", heartbeat=1.0)):
        view = read_view(path)
        assert isinstance(view, RunView)
        listed = next(one for one in summaries(tmp_path) if one["run"] == str(path))
        shown, compared = show_run(path)["figures"], compare_runs([path, path])["results"][0]
        for key, value in vars(view.figures).items():
            assert listed[key] == value == getattr(shown, key)
            assert key not in compared or compared[key] == value


def test_a_comparison_knows_its_noise(make: Maker) -> None:
    """Rows where they were kept, else seeds, else the curve; else it says that it does not know."""
    one, other = make("one", 0.50), make("two", 0.40, settings={"learning_rate": 2e-3})
    bare = compare_runs([one, other])["apart"][1]
    assert bare["difference"] == pytest.approx(-0.1)
    assert bare["within_noise"] is None
    assert "the noise is not known" in distance(bare)
    make("three", 0.44, settings={"learning_rate": 2e-3, "seed": 1})
    make("four", 0.80, settings={"learning_rate": 2e-3, "seed": 2, "val": "other.jsonl"})
    seeds = compare_runs([one, other])["apart"][1]
    assert seeds["seed_runs"] == 2
    assert seeds["seed_sd"] == pytest.approx(0.02 * 2**0.5)
    assert seeds["within_noise"] is False
    rows = {"nats": [1.0, 2.0, 3.0, 4.0], "tokens": [5, 5, 5, 5]}
    (one / "val_rows.json").write_text(json.dumps(rows))
    (other / "val_rows.json").write_text(json.dumps({**rows, "nats": [0.9, 1.6, 2.2, 3.3]}))
    paired = compare_runs([one, other])["apart"][1]
    assert paired["paired"] is True
    assert paired["standard_error"] == pytest.approx((4 / 3 * 0.30) ** 0.5 / 20)


@pytest.mark.parametrize(
    ("settings", "because"),
    [
        ({"model": "acme/other"}, "another model"),
        ({"val": "other.jsonl"}, "other rows"),
        ({"loss_on": "all"}, "other rows"),
    ],
)
def test_losses_on_different_scales_are_not_subtracted(make: Maker, settings: dict[str, Any], because: str) -> None:
    found = compare_runs([make("one"), make("two", settings=settings)])["apart"][1]
    assert found["difference"] is None
    assert because in found["because"]


def test_lineage_goes_both_ways(make: Maker) -> None:
    parent = make("parent")
    change = {"key": "learning_rate", "from": 1e-3, "to": 5e-4, "why": "it rose", "rule": "guide.x", "source": "G"}
    child = make("child", parent=str(parent), changed=[change], why="validation rose")
    assert show_run(parent)["lineage"]["children"] == [str(child)]
    lineage = show_run(child)["lineage"]
    assert (lineage["parent"], lineage["changed"], lineage["why"]) == (str(parent), [change], "validation rose")


def test_notes_and_tags_are_kept_beside_the_run(make: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    run = make("run")
    before = (run / "run.json").read_bytes()
    mark_run(run, note="labels were mended", tags=["baseline", "keep"])
    answer = mark_run(run, tags=["keep"], untag=["baseline"])
    assert answer["tags"] == ["keep"]
    assert [note["text"] for note in answer["notes"]] == ["labels were mended"]
    assert (run / "run.json").read_bytes() == before
    assert command(["runs", "show", str(run)]) == 0
    assert "labels were mended" in capsys.readouterr().out
    for wrong in ({"note": "  "}, {"note": "x" * 20_000}, {"tags": ["two words"]}, {"tags": ["<b>"]}):
        with pytest.raises(UsageError):
            mark_run(run, **wrong)


def test_rm_asks_and_refuses_before_it_touches_anything(
    make: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, alive = make("run"), make("alive", None, status="running", heartbeat=time.time())
    (tmp_path / "no-run").mkdir()
    (tmp_path / "link").symlink_to(run)
    assert command(["runs", "rm", str(run)]) == 2  # there is no terminal to ask on
    for refused in (alive, tmp_path / "no-run", tmp_path / "link", tmp_path):
        with pytest.raises(UsageError):
            remove_runs([run, refused])
    assert run.is_dir()
    assert removal([run])[0]["bytes"] == sum(file.stat().st_size for file in run.iterdir())
    assert command(["runs", "rm", str(run), "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"][0]["run"] == str(run)
    assert not run.exists()
    assert names(list_runs(tmp_path)) == ["alive"]


def test_rm_of_a_tuning_takes_its_runs_and_spares_a_living_one(make: Maker, tmp_path: Path) -> None:
    series = tmp_path / "tune-1"
    make("run-1", place=series)
    (series / "tuning.json").write_text("{}")
    alive = make("run-2", None, place=series, status="running", heartbeat=time.time())
    with pytest.raises(UsageError, match="still running"):
        remove_runs([series])
    shutil.rmtree(alive)
    assert [Path(one).name for one in removal([series])[0]["runs"]] == ["run-1"]
    remove_runs([series])
    assert not series.exists()


def test_a_list_that_is_remembered_loads_nothing_that_takes_a_while(make: Maker, tmp_path: Path) -> None:
    for file in make("run", base_eval_loss=2.0).iterdir():
        os.utime(file, (STARTED_S, STARTED_S))
    list_runs(tmp_path)
    code = (
        "import sys\nfrom tunewright.cli.main import run\n"
        f"assert run(['runs', 'ls', '--runs-dir', {str(tmp_path)!r}]) == 0\n"
        "print(*{'numpy', 'pydantic', 'torch', 'ruamel.yaml', 'tunewright.curve.read'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == ""


def log_at(folder: Path, rate: float, end: float) -> Path:
    rows: list[dict] = [{"step": step, "loss": end + 9 / step, "learning_rate": rate} for step in range(10, 210, 10)]
    rows += [{"step": step, "eval_loss": end + 9 / step} for step in range(50, 210, 50)]
    folder.mkdir()
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": rows, "max_steps": 200}))
    return folder / "trainer_state.json"


def test_logs_of_other_tools_are_compared_by_what_they_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs = [log_at(tmp_path / "calm", 1e-4, 1.0), log_at(tmp_path / "hot", 1.999e-3, 1.5).parent]
    assert command(["runs", "compare", *map(str, logs)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"setting +calm +hot", said)
    assert re.search(r"learning_rate +1e-4 +2e-3", said)
    assert re.search(r"validation loss +1\.0\d+ +1\.5\d+", said)
    assert "hot against calm: not comparable: a log does not say which model" in said
    assert command(["runs", "compare", str(logs[0]), str(tmp_path / "gone")]) == 2
    assert "not a run folder" in capsys.readouterr().err
