"""A run's metrics read from where the last look ended: only new bytes are read, however long the log is.

Everything here comes from the files. A reader that starts again an hour later gets the same curve and the same
cursor, so a page that was open meanwhile goes on where it was.
"""

from __future__ import annotations

import threading
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.curve.collect import Collector
from tunewright.curve.columns import Points
from tunewright.curve.json_text import parse
from tunewright.curve.names import to_float, to_step
from tunewright.curve.readers.tunewright_run import collect, curve_of, recipe_keys
from tunewright.record.find import METRICS_FILE
from tunewright.schema.curve import EMPTY, Curve, Series
from tunewright.schema.errors import DataError

BLOCK_BYTES = 2**19


@dataclass(frozen=True)
class Seen:
    """What the log said at one look.

    curve     : None while nothing was logged, or when it cannot be read (then ``problem`` says why)
    resumed   : steps from which the run went on after a stop
    tokens    : step -> training tokens so far; seconds: step -> seconds since the run began
    speed     : training tokens per second between a logged step and the event before it
    rows      : JSON objects read
    broken    : lines that are none
    """

    curve: Curve | None = None
    resumed: tuple[int, ...] = ()
    tokens: Series = EMPTY
    seconds: Series = EMPTY
    speed: Series = EMPTY
    rows: int = 0
    broken: int = 0
    problem: str = ""


class Followed:
    """One run's metrics.jsonl. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._start()

    def _start(self) -> None:
        self._inode = self._offset = self._rows = self._broken = 0
        self._collected = Collector()
        self._clock = _Clock()
        self._resumed: list[int] = []
        self._recipe_read: tuple[int, dict[str, Any]] | None = None
        self._seen = Seen(problem="nothing was logged yet")

    def look(self) -> Seen:
        """What is known now; the same object as before when nothing was added."""
        with self._lock:
            try:
                if self._take_new():
                    self._seen = self._see()
            except OSError as error:
                self._seen = Seen(problem=f"{METRICS_FILE} cannot be read: {error.strerror}")
                self._inode = -1  # the next look begins anew
            return self._seen

    def _take_new(self) -> bool:
        """Read the complete lines that were added; whether there were any."""
        try:
            found = (self.folder / METRICS_FILE).stat()
        except FileNotFoundError:
            return False
        if found.st_ino != self._inode or found.st_size < self._offset:  # another file, or begun again
            self._start()
            self._inode = found.st_ino
        before = self._offset
        if found.st_size > self._offset:
            self._read_on()
        return self._offset != before

    def _read_on(self) -> None:
        rest = b""
        with open(self.folder / METRICS_FILE, "rb") as file:
            file.seek(self._offset)
            while block := file.read(BLOCK_BYTES):
                *lines, rest = (rest + block).split(b"\n")
                self._take_lines(lines)
            self._offset = file.tell() - len(rest)
        if _event(rest) is not None:  # whole but for its line end
            self._take_lines([rest])
            self._offset += len(rest)

    def _take_lines(self, lines: list[bytes]) -> None:
        found = [_event(line) for line in lines if line and not line.isspace()]
        events = [event for event in found if event is not None]
        self._rows += len(events)
        self._broken += len(found) - len(events)
        if not events:
            return
        collect(self._collected, events)
        for event in events:
            if "resumed_at" in event and (step := to_step(event["resumed_at"])) is not None:
                self._resumed.append(step)
            else:
                self._clock.take(event)

    def _see(self) -> Seen:
        curve, problem = self._curve()
        told = f"{self._broken:,} broken lines in {METRICS_FILE} are left out" if self._broken else ""
        return Seen(
            curve,
            tuple(self._resumed),
            self._clock.tokens(),
            self._clock.seconds(),
            self._clock.speed(),
            self._rows,
            self._broken,
            problem or told,
        )

    def _recipe(self) -> dict[str, Any]:
        """The recipe's keys; YAML takes longer to read than many new points, so it is read when it has changed."""
        try:
            changed = (self.folder / "recipe.yaml").stat().st_mtime_ns
        except OSError:
            changed = 0
        if self._recipe_read is None or self._recipe_read[0] != changed:
            self._recipe_read = (changed, recipe_keys(self.folder))
        return self._recipe_read[1]

    def _curve(self) -> tuple[Curve | None, str]:
        try:
            return curve_of(self._collected, self.folder, self._recipe()), ""
        except DataError as error:
            said = error.message.removeprefix(f"{self.folder}: ").replace(f"{self.folder}/", "")
        try:  # a damaged file beside the log takes nothing from the log
            return self._collected.curve("tunewright", self.folder), said
        except DataError:
            return None, said


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = parse(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


class _Clock:
    """Tokens and seconds by step, and the speed between an event and the one before it."""

    def __init__(self) -> None:
        self._steps, self._tokens, self._seconds, self._speed = array("q"), array("d"), array("d"), array("d")
        self._last_tokens = self._last_s = self._before_resume_s = 0.0

    def take(self, event: dict[str, Any]) -> None:
        step, seconds, tokens = event.get("step"), to_float(event.get("seconds")), to_float(event.get("tokens"))
        if type(step) is not int or seconds is None or not abs(step) < 2**53:
            return
        if seconds < self._last_s:  # the clock of a run that was resumed begins again
            self._before_resume_s += self._last_s
        if tokens is not None:
            made, took = tokens - self._last_tokens, seconds - self._last_s
            known = "loss" in event and made > 0 and took > 0
            self._steps.append(step)
            self._tokens.append(tokens)
            self._seconds.append(self._before_resume_s + seconds)
            self._speed.append(made / took if known else np.nan)
            self._last_tokens = tokens
        self._last_s = seconds

    def tokens(self) -> Series:
        return self._series(self._tokens)

    def seconds(self) -> Series:
        return self._series(self._seconds)

    def speed(self) -> Series:
        return self._series(self._speed).finite()

    def _series(self, values: array[float]) -> Series:
        points = Points()
        points.add(np.arange(len(values)), np.array(self._steps, np.int64), np.array(values, np.float64))
        return points.series()
