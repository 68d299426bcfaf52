"""LLaMA-Factory's trainer_log.jsonl: current_steps, total_steps, loss, lr (older: learning_rate), epoch, eval_loss.

Rows of evaluations have ``loss`` null or absent, rows of training ``eval_loss`` null or absent; rows that only
tell progress have neither. A resumed run appends, so the steps go back.
Source: LLaMA-Factory 0.9.5, train/callbacks.py.
"""

from __future__ import annotations

from pathlib import Path

from tunewright.curve.collect import Collector, Columns
from tunewright.curve.json_text import read_rows
from tunewright.schema.curve import Curve

FILE = "trainer_log.jsonl"


def matches(path: Path) -> bool:
    """The file, or a folder that has one."""
    return (path / FILE).is_file() if path.is_dir() else path.name == FILE


def read(path: Path, columns: Columns | None = None) -> list[Curve]:
    """The curve of a trainer_log.jsonl. Raises DataError."""
    file = path / FILE if path.is_dir() else path
    collected = Collector(columns)
    for rows in read_rows(file):
        collected.add_all(rows)
    return [collected.curve("trainer_log", file)]
