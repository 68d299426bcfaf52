"""One run as it is stored: what was planned, every logged step, and how the run ended. Numbers only, no text of rows.

A file holds one JSON object a line; ``.gz`` is packed. Figures keep six significant digits; what is not finite is
written as a string ("nan", "inf"), so that any JSON reader takes the file.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.fault_sft.spec import Spec


@dataclass(frozen=True)
class Log:
    """Every step of a run, from 1.

    raw      : [n] loss of each step before any filter
    rate     : [n] learning rate
    grad     : [n] gradient norm before clipping
    evals    : (step, loss), step 0 the untouched model
    """

    raw: Sequence[float]
    rate: Sequence[float]
    grad: Sequence[float]
    evals: Sequence[tuple[int, float]]

    @classmethod
    def of_history(cls, history: Iterable[Mapping[str, Any]], raw: Mapping[int, float] | None = None) -> Log:
        """From a Trainer's ``log_history`` that logged every step; ``raw`` where the Trainer filtered its losses."""
        rows = list(history)
        steps = [row for row in rows if "loss" in row]
        losses = [raw[row["step"]] if raw else _unfiltered(row) for row in steps]
        evals = {int(row["step"]): float(row["eval_loss"]) for row in rows if "eval_loss" in row}
        return cls(
            losses,
            [float(row["learning_rate"]) for row in steps],
            [float(row.get("grad_norm", math.nan)) for row in steps],
            sorted(evals.items()),
        )


def _unfiltered(row: Mapping[str, Any]) -> float:
    """The loss behind a row of one step: an exact zero beside a gradient that is no number was a NaN."""
    lost = row["loss"] == 0.0 and not math.isfinite(row.get("grad_norm", math.nan))
    return math.nan if lost else float(row["loss"])


@dataclass(frozen=True)
class Record:
    """``general``: nats per token on general text before and after; NaN where it was not measured."""

    spec: Spec
    log: Log
    max_steps: int
    steps_per_epoch: float
    general: tuple[float, float] = (math.nan, math.nan)

    def to_json(self) -> dict[str, Any]:
        log = {
            "raw": [_pack(value) for value in self.log.raw],
            "rate": [_pack(value) for value in self.log.rate],
            "grad": [_pack(value) for value in self.log.grad],
            "evals": [[step, _pack(value)] for step, value in self.log.evals],
        }
        return {
            "id": self.spec.id,
            "spec": self.spec.to_json(),
            "max_steps": self.max_steps,
            "steps_per_epoch": self.steps_per_epoch,
            "general": [_pack(value) for value in self.general],
            "log": log,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Record:
        kept = values["log"]
        raw, rate, grad = ([float(value) for value in kept[name]] for name in ("raw", "rate", "grad"))
        log = Log(raw, rate, grad, [(int(step), float(value)) for step, value in kept["evals"]])
        before, after = (float(value) for value in values["general"])
        spec = Spec.from_json(values["spec"])
        return cls(spec, log, int(values["max_steps"]), float(values["steps_per_epoch"]), (before, after))


def _pack(value: float) -> float | str:
    return float(f"{value:.6g}") if math.isfinite(value) else str(value)


def read_records(path: Path) -> list[Record]:
    """All whole records of a file; a last line cut by a kill is passed over."""
    return [Record.from_json(values) for values in read_lines(path)]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a .jsonl or .jsonl.gz file; none for a file that is not there."""
    if not path.exists():
        return []
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    lines = text.split("\n")
    return [json.loads(line) for line in lines[:-1]]


def append_line(path: Path, values: Mapping[str, Any]) -> None:
    """One line, written at once; a half line left by a kill is closed first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    broken = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
    if broken:
        whole = path.read_bytes()
        path.write_bytes(whole[: whole.rfind(b"\n") + 1])
    with path.open("a") as file:
        file.write(json.dumps(values) + "\n")


def pack_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """A .jsonl.gz whose bytes depend on the lines only."""
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
