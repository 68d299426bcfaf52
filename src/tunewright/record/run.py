"""One run's folder: the truth about the run, valid at every instant, append-only while it lives.

run.json         status, command, versions, parents, start, end, heartbeat, result
recipe.yaml      the resolved recipe, itself a valid input
plan.json        every value with its reason
metrics.jsonl    one JSON event a line
check.json       what the check of its data found
findings.json, exam.json, prediction.json, notes.json, report.html
checkpoints/step-N/, best/, blend/
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tunewright.record.files import storage_errors, write_whole
from tunewright.record.find import MARKS, METRICS_FILE, SERIES_MARK, find
from tunewright.schema import jsonio
from tunewright.schema.errors import DataError, UsageError

CHECK_FILE = "check.json"
"""What the check of the run's data found."""
PROBES_FILE = "probes.json"
"""What its data said to the model, before training and after it."""
STALE_AFTER_S = 60.0
"""A run whose heartbeat is older than this, and which did not end, was interrupted."""


@dataclass(frozen=True)
class Run:
    """A run folder at ``path`` (absolute). Holds no state: every read looks at the files."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def metrics_path(self) -> Path:
        return self.path / METRICS_FILE

    @property
    def best(self) -> Path:
        """The best adapter (or model), in PEFT (or transformers) format; may not exist yet."""
        return self.path / "best"

    @property
    def blend(self) -> Path:
        """Its best adapter averaged with those of other runs of its tuning, where that was better; else not there."""
        return self.path / "blend"

    @property
    def kept(self) -> Path:
        """The tuned model to use: ``blend`` where there is one, else ``best``."""
        return self.blend if self.blend.is_dir() else self.best

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def read(self, name: str = "run.json") -> dict[str, Any]:
        """One of the JSON files as a dict, empty when it does not exist. Raises DataError when it is damaged."""
        try:
            value = orjson.loads((self.path / name).read_bytes())
        except FileNotFoundError:
            return {}
        except orjson.JSONDecodeError as error:
            raise DataError(f"{self.path / name}: damaged: {error}") from None
        return value if isinstance(value, dict) else {}

    def write(self, name: str, value: Any) -> None:
        """Write one of the JSON files whole."""
        write_whole(self.path / name, jsonio.dumps(value, indent=True))

    def update(self, **fields: Any) -> None:
        """Change some fields of run.json and renew the heartbeat."""
        self.write("run.json", {**self.read(), **fields, "heartbeat": time.time()})

    def append(self, *events: Mapping[str, Any]) -> None:
        """Add events to metrics.jsonl: whole lines in one write. A half line left by a kill is closed first."""
        line = b"".join(jsonio.dumps(event) for event in events)
        with storage_errors(self.metrics_path):
            handle = os.open(self.metrics_path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                _write_line(handle, line)
            finally:
                os.close(handle)

    def events(self) -> Iterator[dict[str, Any]]:
        """Every complete event line, oldest first; a last line cut off by a kill is left out."""
        return (event for _, event in self.numbered_events())

    def numbered_events(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Like :meth:`events`, each with its 1-based line number."""
        try:
            lines = self.metrics_path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        for number, line in enumerate(lines, start=1):
            event = _event(line)
            if event is not None:
                yield number, event

    def status(self) -> str:
        """planned, running, finished, stopped, failed or interrupted; "running" needs a fresh heartbeat."""
        return status_of(self.read(), time.time())


def status_of(state: Mapping[str, Any], now_s: float) -> str:
    """The status that run.json gives at a time: a run whose heartbeat stopped is interrupted.

    >>> status_of({"status": "running", "heartbeat": 100.0}, now_s=1000.0), status_of({}, now_s=0.0)
    ('interrupted', 'unknown')
    """
    status = str(state.get("status") or "unknown")
    heartbeat = state.get("heartbeat")
    beat_s = float(heartbeat) if isinstance(heartbeat, (int, float)) else 0.0
    return "interrupted" if status == "running" and now_s - beat_s >= STALE_AFTER_S else status


def _write_line(handle: int, line: bytes) -> None:
    size = os.lseek(handle, 0, os.SEEK_END)
    if size and os.pread(handle, 1, size - 1) != b"\n":
        line = b"\n" + line
    written = os.write(handle, line)
    if written != len(line):  # a full disk may take half a line: give it back
        os.ftruncate(handle, size)
        os.write(handle, line)


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = orjson.loads(line) if line.strip() else None
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event, dict) else None


def create_run(runs_dir: Path, name: str, *, about: Mapping[str, Any]) -> Run:
    """A new, empty run folder. Raises UsageError when one of that name exists or the place cannot be written."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise UsageError(f"run name {name!r}: expected letters, digits, '.', '_' and '-', at most 100")
    run = Run((runs_dir / name).absolute())
    if run.path.exists():
        raise UsageError(
            f"{run.path}: a run of that name exists", hint=f"choose another --name, or --resume {run.path}"
        )
    with storage_errors(run.path):
        run.path.mkdir(parents=True)
    run.write("run.json", {"status": "planned", "started": time.time(), "heartbeat": time.time(), **about})
    return run


def open_run(path: Path) -> Run:
    """An existing run folder. Raises UsageError when there is none at ``path``."""
    if not any((path / mark).is_file() for mark in MARKS):
        raise UsageError(f"{path}: not a run folder (none of {', '.join(MARKS)})", hint="tunewright runs ls")
    return Run(path.absolute())


def kept_run(path: Path) -> Path:
    """The folder of the run that is kept, for the folder of a tuning or a sweep; any other path as it is.

    Raises DataError when what was kept cannot be read.
    """
    if not (path / SERIES_MARK).is_file():
        return path
    best = Run(path).read(SERIES_MARK).get("best")
    name = Path(str(best.get("run") or "")).name if isinstance(best, dict) else ""
    return path / name if name and (path / name).is_dir() else path


def free_name(runs_dir: Path, stem: str) -> str:
    """``stem-1``, ``stem-2``, ...: the first that is free under ``runs_dir``.

    >>> free_name(Path("/nonexistent"), "train")
    'train-1'
    """
    number = 1
    while (runs_dir / f"{stem}-{number}").exists():
        number += 1
    return f"{stem}-{number}"


def find_runs(runs_dir: Path) -> list[Run]:
    """Every run below ``runs_dir``, tunings' runs included, oldest first; needs no index."""
    return sorted(map(Run, find(runs_dir).runs), key=lambda run: (_started(run), run.name))


def _started(run: Run) -> float:
    try:
        return float(run.read().get("started", 0.0))
    except (DataError, TypeError, ValueError):
        return 0.0
