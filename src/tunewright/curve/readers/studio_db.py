"""Unsloth Studio's studio.db: every run it trained, with its metrics and settings.

SQLite has no NaN: Studio stores a non-finite loss as NULL, beside a learning rate. Such a row is read as NaN, because a
training row without a loss is nothing else. Source: unsloth 2026.10.9, studio/backend/storage/studio_db.py.
"""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path
from typing import Any

from tunewright.curve.beside import as_recipe
from tunewright.curve.collect import Collector, Columns
from tunewright.curve.json_text import parse
from tunewright.curve.names import to_step
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError

SUFFIXES = (".db", ".sqlite", ".sqlite3")
HEAD = b"SQLite format 3\x00"
TABLES = ("training_runs", "training_metrics")
METRICS = (
    "SELECT step, epoch, loss, eval_loss, learning_rate, grad_norm FROM training_metrics WHERE run_id = ? ORDER BY id"
)
HIDDEN = "{} training rows have no loss: the database cannot hold NaN, so they are read as NaN"


def matches(path: Path) -> bool:
    """A SQLite file with Studio's tables."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(HEAD)) == HEAD and b"training_metrics" in file.read(2**20)


def read(path: Path, columns: Columns | None = None) -> list[Curve]:
    """The curve of every run that logged something, oldest first. Raises DataError."""
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?{_mode(path)}", uri=True)
        try:
            database.row_factory = sqlite3.Row
            curves = [_curve(path, database, run, columns) for run in _runs(database)]
        finally:
            database.close()
    except (sqlite3.Error, UnicodeDecodeError, OverflowError) as error:
        raise DataError(f"{path}: not a readable studio.db: {str(error).splitlines()[0]}") from None
    found = [curve for curve in curves if curve is not None]
    if not found:
        raise DataError(f"{path}: no run in it has logged a loss")
    return found


def _mode(path: Path) -> str:
    """Read only; as it is on disk when no other process may still write to it."""
    live = path.with_name(path.name + "-wal")
    return "mode=ro" if live.is_file() and live.stat().st_size else "mode=ro&immutable=1"


def _runs(database: sqlite3.Connection) -> list[sqlite3.Row]:
    kinds = dict(database.execute("SELECT name, type FROM sqlite_master WHERE name LIKE 'training_%'").fetchall())
    if [kinds.get(name) for name in TABLES] != ["table", "table"]:  # a view could compute without end
        raise sqlite3.DatabaseError(f"no tables {' and '.join(TABLES)}")
    return database.execute("SELECT * FROM training_runs ORDER BY started_at, id").fetchall()


def _curve(path: Path, database: sqlite3.Connection, run: sqlite3.Row, columns: Columns | None) -> Curve | None:
    about = dict(run)
    collected = Collector(columns)
    rows = [dict(row) for row in database.execute(METRICS, (about.get("id"),))]
    hidden = [row for row in rows if row["learning_rate"] is not None and row["loss"] is row["eval_loss"] is None]
    for row in hidden:
        row["loss"] = math.nan
    if hidden:
        collected.notes.append(HIDDEN.format(len(hidden)))
    for row in rows:
        collected.add(row)
    if not any(row["loss"] is not None or row["eval_loss"] is not None for row in rows):
        return None
    name = f"{path}#{about.get('display_name') or about.get('id')}"
    return collected.curve("unsloth_studio", name, total_steps=to_step(about.get("total_steps")), config=_config(about))


def _config(about: dict[str, Any]) -> dict[str, Any]:
    try:
        settings = parse(str(about.get("config_json")))
    except ValueError:
        return {}
    named = {"model_name_or_path": about.get("model_name")}
    return as_recipe({**named, **settings}) if isinstance(settings, dict) else {}
