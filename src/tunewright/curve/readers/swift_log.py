"""ms-swift's logging.jsonl: the Trainer's rows with "global_step/max_steps" as text ("12/300").

The last line is a summary with the whole ``log_history`` in it and no loss of its own; Megatron-Swift writes the step
as ``iteration`` in the same form. A resumed run appends. Source: ms-swift 4.6.0, trainers/patcher.py.
"""

from __future__ import annotations

from pathlib import Path

from tunewright.curve.collect import Collector, Columns
from tunewright.curve.json_text import read_rows
from tunewright.schema.curve import Curve

FILE = "logging.jsonl"


def matches(path: Path) -> bool:
    """The file, or a folder that has one."""
    return (path / FILE).is_file() if path.is_dir() else path.name == FILE


def read(path: Path, columns: Columns | None = None) -> list[Curve]:
    """The curve of a logging.jsonl. Raises DataError."""
    file = path / FILE if path.is_dir() else path
    collected = Collector(columns)
    for rows in read_rows(file):
        collected.add_all([row for row in rows if "log_history" not in row])
    return [collected.curve("ms_swift", file)]
