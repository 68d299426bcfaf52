"""Server-sent events: what is new in a run's files, sent from where the page stands.

A stream holds nothing that is not in the files: it ends when the page goes away, and a page that comes back, to this
server or to another one started later, names its cursor and goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from tunewright.board.charts import Axis, charts_of, cursor_of, news
from tunewright.board.followed import Seen
from tunewright.board.listing import listing
from tunewright.board.places import folder_at
from tunewright.board.store import Store, seconds_since, stamp, status_of
from tunewright.record.find import METRICS_FILE
from tunewright.schema import jsonio

LOOK_EVERY_S = 0.25
LIST_EVERY_S = 1.5
PULSE_S = 5.0
SHARE_OF_TIME = 0.2
"""Looking takes at most this share of a processor's time: what takes a second is looked at less often."""
RUN_FILES = ("findings.json", "exam.json", "recipe.yaml", "prediction.json", "notes.json")
SERIES_FILES = ("tuning.json", "decisions.jsonl", "exam.json")

Event = tuple[str, Any]


def encode(name: str, data: Any) -> bytes:
    """One event as it is sent; the data is one line of JSON."""
    return b"event: " + name.encode() + b"\ndata: " + jsonio.dumps(data).strip() + b"\n\n"


async def stream(look: Callable[[], list[Event]], every_s: float) -> AsyncIterator[bytes]:
    """The events of one look after another, with a pulse in between so that the page knows the server is there."""
    last_s = 0.0
    while True:
        events, took_s = await anyio.to_thread.run_sync(_timed, look)
        now_s = time.monotonic()
        if not events and now_s - last_s > PULSE_S:
            events = [("pulse", {})]
        for name, data in events:
            last_s = now_s
            yield encode(name, data)
        await anyio.sleep(max(every_s, took_s / SHARE_OF_TIME))


def _timed(look: Callable[[], list[Event]]) -> tuple[list[Event], float]:
    """The events, and the processor time of this thread: waiting for other work on the machine is not looking."""
    began_s = time.thread_time()
    events = look()
    return events, time.thread_time() - began_s


class RunWatch:
    """Looks at one run for one page: its new points, and whether anything else of it has changed."""

    def __init__(self, store: Store, name: str, cursor: str, x: str, smoothing: bool) -> None:
        self._store, self._cursor, self._x, self._smoothing = store, cursor, x, smoothing
        self._folder = folder_at(store.root, name)
        self._known: tuple[Any, ...] | None = None
        self._seen: Seen | None = None

    def __call__(self) -> list[Event]:
        return [*self._points(), *self._changes()]

    def _points(self) -> list[Event]:
        seen = self._store.seen(self._folder)
        if seen is self._seen:
            return []
        self._seen = seen
        charts, axis = charts_of(seen, smoothing=self._smoothing), Axis(self._x, seen)
        cursor = cursor_of(seen, charts)
        if cursor == self._cursor:
            return []
        lines = news(seen, charts, axis, self._cursor)
        self._cursor = cursor
        if lines is None:
            return [("anew", {})]
        last = seen.curve.last_step if seen.curve else 0
        return [("points", {"cursor": cursor, "lines": lines, "last_step": last})]

    def _changes(self) -> list[Event]:
        """ "state" at first and when the status changes, "changed" when the page's words are out of date."""
        status = status_of(self._folder)
        diagnosis = self._store.reading(self._folder, self._store.seen(self._folder).curve)
        found = tuple((one.code, one.steps) for one in diagnosis.findings) if diagnosis else ()
        known = (status, stamp(self._folder, RUN_FILES), found)
        if known == self._known:
            return []
        first, self._known = self._known is None, known
        state = ("state", {"status": status, "age_s": seconds_since(self._folder / METRICS_FILE)})
        return [state] if first else [state, ("changed", {})]


class SeriesWatch:
    """Looks at a tuning or sweep: its status, and whether a decision was made or a run ended."""

    def __init__(self, store: Store, name: str) -> None:
        self._folder = folder_at(store.root, name)
        self._known: tuple[Any, ...] | None = None

    def __call__(self) -> list[Event]:
        status = status_of(self._folder)
        runs = tuple(sorted(path.parent.name for path in self._folder.glob("*/run.json")))
        known = (status, stamp(self._folder, SERIES_FILES), runs)
        if known == self._known:
            return []
        first, self._known = self._known is None, known
        state = ("state", {"status": status, "age_s": seconds_since(self._folder / "decisions.jsonl")})
        return [state] if first else [state, ("changed", {})]


class ListWatch:
    """Looks at the list of runs; sends the whole list, at first and whenever a word of it is different."""

    def __init__(self, root: Path) -> None:
        self._look = partial(listing, root)
        self._known: Any = None

    def __call__(self) -> list[Event]:
        found = self._look()
        if found == self._known:
            return []
        self._known = found
        return [("runs", found)]
