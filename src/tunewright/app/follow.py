"""watch: a run seen while it is made, by reading only what its files gained since the last look."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from tunewright.app.sight import Sight, Speed
from tunewright.curve.collect import NOTHING_YET
from tunewright.curve.json_text import parse
from tunewright.curve.names import flat, to_float, to_step
from tunewright.curve.read import read_curves
from tunewright.doctor.diagnose import diagnose
from tunewright.doctor.live import LiveCurve, event_of
from tunewright.record.find import METRICS_FILE
from tunewright.record.run import Run, find_runs
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError
from tunewright.schema.finding import Diagnosis

TRAINER_LOG, CALLBACK_FOLDER = "trainer_log.jsonl", "tunewright"
MOST_AT_ONCE = 64 * 2**20
"""Bytes read in one look; a log that is longer already is taken in several."""


class Follower(Protocol):
    """One way of following a log: ``look`` takes in what is new and says what there is."""

    def look(self) -> Sight: ...


def follow(path: str | Path) -> Follower:
    """Follows a run folder, a trainer's output folder, a tuning or a folder of runs (the newest), or a log file.

    Raises DataError when there is nothing of the kind at ``path``.
    """
    place = Path(path)
    if not place.exists():
        raise DataError(f"{place}: no such file or folder", hint="tunewright runs ls")
    if (place / "tuning.json").is_file():
        return Newest(place)
    log, run = _log_of(place)
    if log is not None:
        return Lines(log, run)
    runs = find_runs(place) if place.is_dir() else []
    return Lines(runs[-1].metrics_path, runs[-1]) if runs else Whole(place)


def _log_of(place: Path) -> tuple[Path | None, Run | None]:
    """The file to follow line by line, and the run folder it belongs to."""
    if place.is_file():
        run = Run(place.parent.absolute()) if place.name == METRICS_FILE else None
        return (place if place.suffix in (".jsonl", ".ndjson") else None), run
    for folder in (place, *_newest_first(place, f"{CALLBACK_FOLDER}*")):
        if any((folder / mark).is_file() for mark in ("run.json", METRICS_FILE)):
            return folder / METRICS_FILE, Run(folder.absolute())
    log = place / TRAINER_LOG
    return (log if log.is_file() else None), None


def _newest_first(place: Path, pattern: str) -> list[Path]:
    found = [path for path in place.glob(pattern) if path.is_dir()]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


class Lines:
    """A JSONL log followed by its byte offset; a log that became shorter was started again and is read anew."""

    def __init__(self, log: Path, run: Run | None) -> None:
        self._log, self._run = log, run
        self._offset, self._rest, self._speed = 0, b"", Speed()
        self._live = self._new()
        self._diagnosis: Diagnosis | None = None
        self._ended, self._count = False, 0

    def _new(self) -> LiveCurve:
        plan = to_step(_predicted(self._run).get("steps")) if self._run else None
        live = LiveCurve("tunewright" if self._run else "jsonl", total_steps=plan)
        live.path = str(self._run.path if self._run else self._log)
        return live

    def look(self) -> Sight:
        rows = self._new_rows()
        for row in rows:
            self._take(row)
        curve = self._live.curve()
        status = self._status(curve)
        if not len(curve.loss) and not len(curve.eval_loss):
            return Sight(self._live.path, status if status != "running" else "waiting")
        over = status not in ("running", "waiting", "planned")
        if self._diagnosis is None or (rows and (self._live.due or over)):
            self._diagnosis = self._live.read()
        total = self._live.total_steps
        left = None if over else self._speed.left(curve.last_step, total)
        return Sight(self._live.path, status, curve, self._diagnosis, total, left)

    def _new_rows(self) -> list[dict[str, Any]]:
        try:
            size = self._log.stat().st_size
            if size < self._offset:
                self._offset, self._rest, self._live = 0, b"", self._new()
            with open(self._log, "rb") as file:
                file.seek(self._offset)
                data = self._rest + file.read(MOST_AT_ONCE)
                self._offset = file.tell()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DataError(f"{self._log}: cannot be read: {error.strerror}") from None
        *lines, self._rest = data.split(b"\n")
        return [row for line in lines if (row := _row(line)) is not None]

    def _take(self, row: Mapping[str, Any]) -> None:
        if "train_runtime" in row:
            self._ended = True
            return
        event = event_of(row)
        event |= {key: row[key] for key in ("rows", "resumed_at") if key in row}
        if "step" not in event and "loss" in event:
            self._count += 1
            event["step"] = self._count
        if "step" in event:
            self._speed.see(event["step"], to_float(row.get("seconds")))
        self._live.total_steps = to_step(row.get("total_steps", row.get("max_steps"))) or self._live.total_steps
        self._live.add(event)

    def _status(self, curve: Curve) -> str:
        if self._run is not None and (self._run.path / "run.json").is_file():
            return self._run.status()
        total = self._live.total_steps
        return "finished" if self._ended or (total and curve.last_step >= total) else "running"


class Whole:
    """A log that is written anew each time (trainer_state.json, CSV): read again when it changed."""

    def __init__(self, path: Path) -> None:
        self._path, self._speed = path, Speed()
        self._seen: tuple[int, int] | None = None
        self._sight = Sight(str(path), "waiting")
        if not path.is_dir():
            _refuse_unreadable(path)

    def look(self) -> Sight:
        changed = self._changed()
        if not changed:
            return self._sight
        try:
            curve = max(read_curves(self._path), key=_written)
        except DataError:
            return self._sight  # half written, or nothing logged yet: the next look will tell
        total = curve.total_steps
        self._speed.see(curve.last_step, None)
        over = total is not None and curve.last_step >= total
        left = None if over else self._speed.left(curve.last_step, total)
        self._sight = Sight(curve.path, "finished" if over else "running", curve, diagnose(curve), total, left)
        return self._sight

    def _changed(self) -> bool:
        states = [*self._path.rglob("trainer_state.json")]
        files = [self._path] if self._path.is_file() else states or [*self._path.rglob("*")]
        now = (max((file.stat().st_mtime_ns for file in files), default=0), len(files))
        changed, self._seen = now != self._seen, now
        return changed


def _refuse_unreadable(path: Path) -> None:
    """Says at once what is wrong with a file; a log without a row is waited for."""
    try:
        read_curves(path)
    except DataError as error:
        if error.code != NOTHING_YET:
            raise


def _written(curve: Curve) -> float:
    """When the curve's log was last written: of a folder of several runs the one at work is followed."""
    path = Path(curve.path)
    return path.stat().st_mtime if path.exists() else 0.0


class Newest:
    """A tuning: its newest run, and the next one when that begins. Over when the tuning is."""

    def __init__(self, folder: Path) -> None:
        self._tuning = Run(folder.absolute())
        self._name = ""
        self._inner: Lines | None = None

    def look(self) -> Sight:
        runs = find_runs(self._tuning.path)
        status = self._tuning.status() if (self._tuning.path / "run.json").is_file() else "running"
        if not runs:
            return Sight(str(self._tuning.path), "waiting" if status == "running" else status)
        if self._inner is None or runs[-1].name != self._name:
            self._name, self._inner = runs[-1].name, Lines(runs[-1].metrics_path, runs[-1])
        sight = self._inner.look()
        ended = "running" if sight.over and status in ("running", "planned") else sight.status
        return Sight(sight.path, ended, sight.curve, sight.diagnosis, sight.total_steps, sight.seconds_left)


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = parse(line.decode("utf-8-sig")) if line.strip() else None
    except ValueError:
        return None
    return flat(row) if isinstance(row, dict) else None


def _predicted(run: Run) -> dict[str, Any]:
    predicted = run.read("plan.json").get("predicted")
    return predicted if isinstance(predicted, dict) else {}
