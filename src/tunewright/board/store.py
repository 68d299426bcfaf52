"""What the board knows of each run: followed logs and readings, kept while looked at, made again from files."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

from tunewright.board.followed import Followed, Seen
from tunewright.doctor.diagnose import diagnose
from tunewright.record.run import Run
from tunewright.reporter import load, typed
from tunewright.reporter.run_view import RunView, TuningView
from tunewright.reporter.view import read_view
from tunewright.schema.curve import Curve
from tunewright.schema.errors import TunewrightError
from tunewright.schema.finding import Diagnosis

MOST_FOLLOWED = 24
"""Runs whose points are kept in memory: two pages of ten compared runs and some."""
MORE_POINTS = 1 / 8
LEAST_MORE_POINTS = 40
LIVE = ("running", "planned")


@dataclass
class Reading:
    """The doctor's last word on a growing curve, and how long the curve was."""

    points: int = 0
    evaluations: int = 0
    diagnosis: Diagnosis | None = None


class Store:
    """Followed runs by folder, the least used ones forgotten first. Safe to use from several threads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._followed: OrderedDict[Path, tuple[Followed, Reading]] = OrderedDict()

    def _entry(self, folder: Path) -> tuple[Followed, Reading]:
        with self._lock:
            entry = self._followed.setdefault(folder, (Followed(folder), Reading()))
            self._followed.move_to_end(folder)
            while len(self._followed) > MOST_FOLLOWED:
                self._followed.popitem(last=False)
            return entry

    def seen(self, folder: Path) -> Seen:
        """The run's curve as its log stands now."""
        return self._entry(folder)[0].look()

    def view(self, folder: Path) -> RunView | TuningView:
        """The view the report draws; a run at work is read by the doctor as it goes, like ``watch`` does.

        Raises UsageError when the folder is neither a run nor a tuning.
        """
        view = read_view(folder)
        if isinstance(view, RunView) and view.diagnosis is None and view.curve is not None:
            return replace(view, diagnosis=self.reading(folder, view.curve))
        return view

    def reading(self, folder: Path, curve: Curve | None) -> Diagnosis | None:
        """What is on record; else the doctor's word: anew at every evaluation, and with an eighth more points."""
        recorded = typed.as_diagnosis(load.json_object(folder, "findings.json", load.Problems()))
        if recorded is not None or curve is None:
            return recorded
        last = self._entry(folder)[1]
        points, evaluations = len(curve.loss), len(curve.eval_loss)
        more = points - last.points >= max(LEAST_MORE_POINTS, MORE_POINTS * points)
        if last.diagnosis is None or more or evaluations != last.evaluations or points < last.points:
            last.points, last.evaluations = points, evaluations
            last.diagnosis = diagnose(curve)
        return last.diagnosis


def status_of(folder: Path) -> str:
    """The status, "unknown" when run.json is missing or damaged."""
    try:
        return Run(folder).status()
    except (TunewrightError, TypeError, ValueError, OSError):
        return "unknown"


def seconds_since(path: Path) -> float | None:
    """How long ago a file was written; None when it is not there."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return None


def stamp(folder: Path, names: tuple[str, ...]) -> tuple[int, ...]:
    """What changes when one of the files is written anew."""
    times = []
    for name in names:
        try:
            times.append((folder / name).stat().st_mtime_ns)
        except OSError:
            times.append(0)
    return tuple(times)
