"""What ``report`` writes: its format by the file's ending, pictures, logs of other tools, and whole files only."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tunewright.app.report import report
from tunewright.cli.main import run as command
from tunewright.schema.errors import UsageError

Maker = Callable[..., Path]
PNG = b"\x89PNG\r\n\x1a\n"
STARTS = {
    "page.html": b"<!DOCTYPE html>",
    "card.md": b"---\nlibrary_name",
    "all.json": b"{",
    "curve.png": PNG,
    "curve.svg": b"<svg",
}


@pytest.mark.parametrize(("name", "start"), STARTS.items())
def test_the_ending_of_the_file_decides(make_run: Maker, tmp_path: Path, name: str, start: bytes) -> None:
    path = report(make_run(with_exam=True), out=tmp_path / name)
    assert path == tmp_path / name
    assert path.read_bytes().startswith(start)
    assert path.stat().st_size < 2_000_000


def test_a_named_format_wins_over_the_ending(make_run: Maker, tmp_path: Path) -> None:
    assert report(make_run(), out=tmp_path / "x.txt", format="json").read_bytes().startswith(b"{")
    with pytest.raises(UsageError, match="expected one of html, md, json, png, svg"):
        report(make_run("other"), format="pdf")


def test_a_tuning_has_a_picture_of_all_its_runs(tuning: Path, tmp_path: Path) -> None:
    assert report(tuning, out=tmp_path / "all.png").read_bytes().startswith(PNG)


def test_a_picture_needs_a_curve(make_run: Maker, tmp_path: Path) -> None:
    run = make_run()
    (run / "metrics.jsonl").unlink()
    with pytest.raises(UsageError, match="no curve to draw"):
        report(run, out=tmp_path / "x.png")


def test_without_matplotlib_the_extra_is_named(
    make_run: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)

    class Missing:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name.split(".")[0] == "matplotlib":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    assert command(["report", str(make_run()), "-o", str(tmp_path / "x.png")]) == 4
    assert 'pip install "tunewright[plots]"' in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """LLaMA-Factory's own log."""
    rows = [
        {"current_steps": step, "total_steps": 100, "loss": 2.0 / step**0.3, "lr": 1e-4, "epoch": step / 50}
        for step in range(5, 101, 5)
    ]
    path = tmp_path / "saves" / "trainer_log.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_log_of_another_tool_has_a_page_and_a_picture(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = report(log)
    assert page == tmp_path / "saves-report.html"
    text = page.read_text()
    assert "trainer_log.jsonl" in text
    assert "Using the result" not in text  # of a log only the curve is known
    assert report(log.parent, out="curve.png").read_bytes().startswith(PNG)
    assert sorted(path.name for path in log.parent.iterdir()) == ["trainer_log.jsonl"]  # nothing is left beside it


def test_a_folder_of_several_runs_is_asked_which(log: Path, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "trainer_log.jsonl").write_text(log.read_text().replace("0.0001", "0.0002"))
    with pytest.raises(UsageError, match="2 runs in it"):
        report(tmp_path)


def test_an_ending_that_no_report_has_is_refused(log: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no report ends in \.pdf"):
        report(log, out=tmp_path / "curve.pdf")
    assert not (tmp_path / "curve.pdf").exists()
    assert report(log, out=tmp_path / "curve.page", format="html").read_text().startswith("<!DOCTYPE html")


def test_a_page_that_cannot_be_written_leaves_the_old_one(make_run: Maker, tmp_path: Path) -> None:
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UsageError):
        report(make_run(), out=tmp_path / "folder.html")
    assert list((tmp_path / "folder.html").iterdir()) == []


@pytest.mark.parametrize("name", ["page.html", "card.md", "curve.png", "curve.svg"])
def test_an_older_report_of_ours_is_replaced(make_run: Maker, tmp_path: Path, name: str) -> None:
    run = make_run()
    path = report(run, out=tmp_path / name)
    whole = path.read_bytes()
    path.write_bytes(whole + b"\n")  # as an older one, of other figures
    assert report(run, out=path).read_bytes() == whole


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.html", "<!DOCTYPE html><title>mine</title>"),
        ("notes.md", "# Mine"),
        ("curve.png", "\x89PNG"),
        ("curve.svg", "<svg/>"),
        ("all.json", "{}"),
        ("empty.html", ""),
    ],
)
def test_any_other_file_is_left_alone(
    make_run: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    mine = tmp_path / name
    mine.write_text(text)
    assert command(["report", str(make_run()), "-o", str(mine)]) == 2
    assert "exists already, nothing was written" in (said := capsys.readouterr().err)
    assert "give -o another file name" in said
    assert mine.read_text() == text


def test_the_page_of_a_log_has_a_name_of_its_own_and_spares_what_is_there(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "saves-report.html"
    mine.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        report(log)
    assert mine.read_text() == "mine"
    mine.unlink()
    assert report(log) == report(log) == mine


def test_the_lineage_and_the_promise_of_a_run_are_told(make_run: Maker) -> None:
    change = {"key": "learning_rate", "from": 1e-3, "to": 5e-4, "why": "it rose", "rule": "guide.x", "source": "G"}
    run = make_run(parent="/runs/train-1", changed=[change], why="validation rose", result={"eval_loss": 0.31})
    promised = {
        "prescribed": {"rule": "guide.x", "predicted": {"middle": 0.3, "low": 0.28, "high": 0.32}, "before": 0.4},
        "score": {"inside": True, "error": 0.01, "gain": 0.09, "symptom_gone": True, "hit": True},
    }
    (run / "prediction.json").write_text(json.dumps(promised))
    text = report(run).read_text()
    for said in ("made from train-1", "It rose.", "1e-3 → 5e-4", "0.280 to 0.320", "inside, -0.09 against", "helped"):
        assert said in text


def test_the_check_of_the_data_is_on_the_page(make_run: Maker) -> None:
    run = make_run(machine={"device": "cpu", "memory_GiB": 24.0, "cores": 2, "system": "Linux"})
    fault = {"fault": "near_duplicate", "severity": "warning", "rows": [4, 9], "count": 2, "part": "train",
             "why": "rows say the same", "fix": "tunewright check DATA --fix OUT"}  # fmt: skip
    lengths = {"median": 31, "p90": 42, "p99": 49, "max": 49}
    check = {"rows": 825, "tokens": 26_000, "supervised_share": 0.31, "faults": [fault], "lengths": lengths}
    (run / "check.json").write_text(json.dumps(check))
    text = report(run).read_text()
    for said in ("near duplicate", "4, 9", "Rows say the same.", "99 % up to 49", "31 %", "cpu, 24.0 GiB, 2 cores"):
        assert said in text
