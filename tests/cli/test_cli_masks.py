"""The page of masks: what the data says stays text, an older page is replaced, any other file is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunewright.cli.main import run

COMMAND = ["check", "rows.jsonl", "--model", "tiny", "--show-mask", "1", "--quiet", "--html", "masks.html"]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [{"prompt": f"What is item {n}?", "completion": f"<b>Item</b> {n} is blue."} for n in range(20)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "masks.html"


def test_the_page_marks_what_is_trained_on_and_escapes_it(page: Path) -> None:
    run(COMMAND)
    text = page.read_text()
    assert "<h2>Row 1</h2>" in text
    assert "<mark>&lt;b&gt;Item&lt;/b&gt; 0 is blue." in text


def test_an_older_page_of_ours_is_replaced(page: Path) -> None:
    run(COMMAND)
    whole = page.read_text()
    page.write_text(whole.replace("Row 1", "Row 9"))
    run(COMMAND)
    assert page.read_text() == whole


def test_any_other_page_is_left_alone(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page.write_text("<!DOCTYPE html><title>mine</title>")
    assert run(COMMAND) == 2
    assert "give --html another file name" in capsys.readouterr().err
    assert page.read_text() == "<!DOCTYPE html><title>mine</title>"
