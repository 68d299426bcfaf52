"""Logged rows gathered into one Curve; what every reader shares."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tunewright.curve.columns import Points, column, numbers
from tunewright.curve.epochs import steps_per_epoch
from tunewright.curve.names import (
    LOSSES,
    METRICS,
    OTHER_SET,
    columns_of,
    has_reward,
    is_data,
    is_score,
    place,
    resembles,
)
from tunewright.curve.numbering import Numbering
from tunewright.curve.resume import Resumes
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError

CHUNK = 4096
"""Rows turned into arrays at once: enough for speed, little enough for memory."""

CLOSING = "train_runtime"
"""Marks the Trainer's closing row, whose ``train_loss`` is the mean of the whole run and no step."""

NOTHING_YET = "nothing_yet"
"""Code of the error for a log without a row."""

Columns = Mapping[str, str]
"""A user's word on which column is what: metric -> column name."""


class Collector:
    """Takes a log's rows in file order; :meth:`curve` gives the normalised curve.

    A later row of the same step replaces an earlier one. Rows without a step are numbered by their order.
    """

    def __init__(self, columns: Columns | None = None) -> None:
        self.notes: list[str] = []
        self._columns = dict(columns or {})
        self._waiting: list[Mapping[str, Any]] = []
        self._points: dict[str, Points] = {metric: Points() for metric in (*METRICS, "epoch")}
        self._maybe: dict[str, Points] = {}
        self._resumes = Resumes()
        self._batches: list[tuple[int, int, tuple[int, ...]]] = []
        self._keys: frozenset[str] = frozenset()
        self._eval_sets: list[str] = []
        self._numbering = Numbering()
        self._row = self._stepless = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """One logged row under any known names. A row without a known metric is passed over."""
        self._waiting.append(row)
        if len(self._waiting) >= CHUNK:
            self._flush()

    def add_all(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Many rows at once."""
        self._flush()
        self._take(rows)

    def add_series(self, series: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]]) -> None:
        """Whole columns at once: name -> (place in the order of logging, step, value)."""
        places = self._places(frozenset(series))
        self._note_eval_sets(places, [sorted(series)])
        chosen = {metric: self._one_set(keys)[:1] for metric, keys in places.items() if metric in self._points}
        maybe = {name: (name,) for name in series if place(name) is None and resembles(name)}
        for into, names in ((self._points, chosen), (self._maybe, maybe)):
            for metric, (name,) in ((metric, keys) for metric, keys in names.items() if keys):
                rows, steps, values = series[name]
                points = into.setdefault(metric, Points())
                points.add(np.asarray(rows, np.int64), np.asarray(steps, np.int64), np.asarray(values, np.float64))

    def resumed_at(self, step: int) -> None:
        """The run went back to ``step``: what was logged beyond it belongs to a branch that no longer exists."""
        self._flush()
        self._resumes.went_back(self._row, step + 1)

    def _flush(self) -> None:
        rows, self._waiting = self._waiting, []
        if rows:
            self._take(rows)

    def _take(self, rows: Sequence[Mapping[str, Any]]) -> None:
        keys = frozenset(key for key in set[Any]().union(*rows) if isinstance(key, str))
        if CLOSING in keys:
            return self._take([row for row in rows if CLOSING not in row])
        places = self._places(keys)
        self._note_eval_sets(places, rows)
        asked = [metric for metric in places if metric in self._points]
        found = {metric: numbers(column(rows, self._one_set(places[metric]))) for metric in asked}
        maybe = {key: numbers(column(rows, (key,))) for key in keys if place(key) is None and resembles(key)}
        steps, fits = self._numbering.steps(rows, places.get("step"), found, maybe)
        order = np.arange(self._row, self._row + len(rows))
        for into, chunk in ((self._points, found), (self._maybe, maybe)):
            for name, (is_number, values) in chunk.items():
                keep = is_number & fits
                self._stepless += int((is_number & ~fits).sum()) if name in LOSSES else 0
                into.setdefault(name, Points()).add(order[keep], steps[keep], values[keep])
        self._numbering.note_total(rows, places.get("total_steps"))
        if "rows" in keys:
            self._note_batches(rows, steps, fits)
        self._row += len(rows)

    def _places(self, keys: frozenset[str]) -> dict[str, tuple[str, ...]]:
        """Metric -> its columns among ``keys``; the user's word comes before any name."""
        self._keys |= keys
        return {**columns_of(keys), **{metric: (name,) for metric, name in self._columns.items() if name in keys}}

    def _note_eval_sets(self, places: Mapping[str, tuple[str, ...]], rows: Iterable[Iterable[str]]) -> None:
        """Remember the validation sets (``eval_<name>_loss``) in the order they were logged."""
        named = {key for key in places.get("eval_loss", ()) if place(key) == ("eval_loss", OTHER_SET)}
        if "eval_loss" not in self._columns and named - set(self._eval_sets):
            seen = (key for row in rows for key in row if key in named)
            self._eval_sets = list(dict.fromkeys((*self._eval_sets, *seen)))

    def _one_set(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """Of several validation sets only the one logged first: mixed, they would be one zigzag."""
        return tuple(key for key in keys if key not in self._eval_sets[1:])

    def _note_batches(
        self, rows: Sequence[Mapping[str, Any]], steps: NDArray[np.int64], fits: NDArray[np.bool_]
    ) -> None:
        for place_in, row in enumerate(rows):
            batch = row.get("rows")
            if fits[place_in] and isinstance(batch, list) and batch and all(isinstance(one, int) for one in batch):
                self._batches.append((self._row + place_in, int(steps[place_in]), tuple(batch)))

    def curve(
        self,
        kind: str,
        path: Path | str,
        *,
        total_steps: int | None = None,
        eval_rows: int | None = None,
        config: Mapping[str, Any] | None = None,
        appended: bool = True,
    ) -> Curve:
        """The curve of all rows so far. Raises DataError when no row had a loss, or several columns may be it.

        ``appended``: the rows are in the order of logging, so that a step that falls is a resume.
        """
        self._flush()
        self._check_columns(path)
        self._take_lookalikes(path)
        if not self._points["loss"] and not self._points["eval_loss"]:
            raise self._no_loss(path)
        self._count_from_one()
        if self._numbering.counted and not any("counted" in note for note in self.notes):
            self.notes.append("no step beside the losses: rows are counted, a row may stand for several steps")
        rows, steps, _ = self._points["loss"].joined()
        if appended:
            self.notes += self._resumes.find(rows, steps)
        kept = {name: self._resumes.survive(*points.joined()[:2]) for name, points in self._points.items()}
        series = {metric: self._points[metric].series(kept[metric]) for metric in METRICS}
        if scores := sorted(filter(is_score, self._keys)):
            aim = f"{', '.join(map(_printable, scores[:3]))} beside the loss, which alone is read here"
            self.notes.append(f"{aim}: a score may still improve while the validation loss rises")
        if len(self._eval_sets) > 1:
            self.notes.append(
                f"validation sets: {', '.join(self._eval_sets)}; the first is read (--map eval_loss=NAME for another)"
            )
        batches = {step: batch for row, step, batch in self._batches if self._resumes.survives(row, step)}
        return Curve(
            kind=kind,
            path=str(path),
            **series,
            total_steps=total_steps or self._numbering.total,
            steps_per_epoch=steps_per_epoch(self._points["epoch"].series(kept["epoch"])),
            eval_rows=eval_rows,
            config=config or {},
            batch_rows=batches,
            objective="reward" if has_reward(self._keys) else "nll",
            replaced=self._points["loss"].series(~kept["loss"]),
            notes=tuple(self.notes),
            probed=(),
            failure="",
        )

    def _check_columns(self, path: Path | str) -> None:
        for metric, name in self._columns.items():
            if name not in self._keys:
                raise DataError(
                    f"{path}: no column {name!r} for {metric} ({self._columns_found()})",
                    hint=f"{_again(path)} --map {metric}=COLUMN",
                )

    def _no_loss(self, path: Path | str) -> DataError:
        places = self._places(self._keys)
        named = next((places[metric][0] for metric in ("loss", "eval_loss") if places.get(metric)), None)
        hint = f"name the column: {_again(path)} --map loss=COLUMN"
        if not self._keys:
            return nothing_yet(path, "nothing is logged in it yet")
        if is_data(self._keys):
            says = f"{path}: training data, not the log of a training ({self._columns_found()})"
            return DataError(says, hint=f"tunewright check {shlex.quote(str(path))} --model MODEL")
        if self._stepless:
            step = _printable(next(iter(places.get("step", ("step",)))))
            says = f"{path}: column {step} holds no step beside a loss; expected whole numbers such as 1000"
            return DataError(says, hint=f"name the column: {_again(path)} --map step=COLUMN")
        if named is not None and self._row:
            says = f"{path}: column {_printable(named)} holds no number; expected losses such as 1.25"
            return DataError(says, hint=hint)
        expected = "expected loss, train_loss, eval_loss, ..."
        return DataError(f"{path}: no training loss in it ({self._columns_found()}; {expected})", hint=hint)

    def _count_from_one(self) -> None:
        """Lightning and hand-written loops log the first update's loss at step 0; an evaluation at 0 rules that out."""
        trained, evaluated = (self._points[metric].joined()[1] for metric in ("loss", "eval_loss"))
        if len(trained) and trained.min() == 0 and not (evaluated == 0).any():
            for points in self._points.values():
                points.shift(1)
            self.notes.append("the first training loss is at step 0: every step is raised by one")

    def _take_lookalikes(self, path: Path | str) -> None:
        """A loss under an unknown name is taken when there is one candidate; several are asked about."""
        for metric in sorted(LOSSES, reverse=True):
            names = sorted(name for name, points in self._maybe.items() if points and resembles(name) == metric)
            if self._points[metric] or not names:
                continue
            if len(names) > 1:
                raise DataError(
                    f"{path}: several columns may be the {metric}: {', '.join(map(_printable, names[:6]))}",
                    hint=f"choose one: {_again(path)} --map {shlex.quote(f'{metric}={_printable(names[0])}')}",
                    code="ambiguous",
                )
            self._points[metric] = self._maybe[names[0]]
            self.notes.append(f"column {_printable(names[0])} is read as the {metric}")

    def _columns_found(self) -> str:
        shown = [_printable(key) for key in sorted(self._keys)[:8]]
        return f"columns: {', '.join(shown)}" if shown else "no columns"


def nothing_yet(path: Path | str, says: str) -> DataError:
    """A log that has begun and holds no loss so far: what it will show can be waited for."""
    return DataError(f"{path}: {says}", hint=f"tunewright watch {shlex.quote(str(path))}", code=NOTHING_YET)


def _again(path: Path | str) -> str:
    return f"tunewright diagnose {shlex.quote(str(path))}"


def _printable(name: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in name[:30])
