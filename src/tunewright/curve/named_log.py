"""JSONL logs that are known by the name of their file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunewright.curve.collect import Collector, Columns
from tunewright.curve.json_text import read_rows
from tunewright.schema.curve import Curve


@dataclass(frozen=True)
class NamedLog:
    """A reader of such logs. ``file``: their name; ``kind``: that of their curves."""

    file: str
    kind: str

    def matches(self, path: Path) -> bool:
        """The file, or a folder that has one."""
        return (path / self.file).is_file() if path.is_dir() else path.name == self.file

    def read(self, path: Path, columns: Columns | None = None) -> list[Curve]:
        """The curve of the file. Rows with a whole ``log_history`` in them are summaries. Raises DataError."""
        file = path / self.file if path.is_dir() else path
        collected = Collector(columns)
        for rows in read_rows(file):
            collected.add_all([row for row in rows if "log_history" not in row])
        return [collected.curve(self.kind, file)]
