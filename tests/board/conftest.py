"""A runs folder as the board meets it: finished runs, a tuning at work, strings that would like to be markup."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from board_runs import HOSTILE, learning, write_run, write_tuning


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    """Three runs, a tuning of two, and a folder that is none."""
    root = tmp_path / "runs"
    write_run(root / "train-1", learning(300), started=1.7e9)
    write_run(root / "train-2", learning(200, lost=(60, 61, 62, 150)), started=1.7e9 + 100)
    write_run(root / "train-3", learning(120), started=1.7e9 + 200, model=HOSTILE)
    write_tuning(root / "tune-1", ["plan: lora", f"note: {HOSTILE}"])
    (root / "notes").mkdir()
    (root / "notes" / "ideas.txt").write_text("not a run")
    return root


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str, events: list[dict[str, Any]], **about: Any) -> Path:
        return write_run(tmp_path / "runs" / name, events, **about)

    return make
