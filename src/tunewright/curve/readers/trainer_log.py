"""LLaMA-Factory's trainer_log.jsonl: current_steps, total_steps, loss, lr (older: learning_rate), epoch, eval_loss.

Rows of evaluations have ``loss`` null or absent, rows of training ``eval_loss`` null or absent; rows that only
tell progress have neither.
"""

from __future__ import annotations

from pathlib import Path

from tunewright.curve.collect import Collector
from tunewright.curve.json_text import read_lines
from tunewright.schema.curve import Curve

FILE = "trainer_log.jsonl"


def matches(path: Path) -> bool:
    """The file, or a folder that has one."""
    return (path / FILE).is_file() if path.is_dir() else path.name == FILE


def read(path: Path) -> Curve:
    """The curve of a trainer_log.jsonl. Raises DataError."""
    file = path / FILE if path.is_dir() else path
    collected = Collector()
    for _, row in read_lines(file):
        collected.add(row)
    return collected.curve("trainer_log", file)
