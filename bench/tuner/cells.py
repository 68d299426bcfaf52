"""One cell of a grid and what was logged of it."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

Schedule = Literal["cosine", "linear", "wsd"]
SCHEDULES: tuple[Schedule, ...] = ("cosine", "linear", "wsd")
LOGS = Path(__file__).parent / "logs"


@dataclass(frozen=True)
class Cell:
    """One recipe of the grid."""

    schedule: Schedule
    epochs: int
    rate: float
    rank: int
    seed: int = 0


@dataclass(frozen=True)
class Look:
    """One evaluation. Losses are nats per answer token; ``train``: mean of the steps since the look before."""

    step: int
    tokens: int  # trained on so far
    eval: float
    test: float
    train: float


@dataclass(frozen=True)
class Log:
    """A cell with its looks, the first one before any step.

    ``alone``: trained without neighbours. A run that was given up because its numbers broke has no look at its end.
    """

    cell: Cell
    steps: int
    looks: tuple[Look, ...]
    alone: bool = False

    @property
    def broken(self) -> bool:
        return self.looks[-1].step < self.steps

    @cached_property
    def best(self) -> Look:
        """The checkpoint that is kept: lowest loss on the rows to choose on; the base itself when nothing is lower."""
        return min(self.looks, key=lambda look: look.eval if math.isfinite(look.eval) else math.inf)

    @property
    def end(self) -> Look:
        return self.looks[-1]

    def until(self, step: int) -> tuple[Look, ...]:
        """The looks up to and including this step."""
        return tuple(look for look in self.looks if look.step <= step)

    def at(self, step: float) -> Look:
        """The first look at or after this step; the last one where there is none."""
        return next((look for look in self.looks if look.step >= step), self.looks[-1])

    def to_json(self) -> dict[str, Any]:
        looks = [
            [look.step, look.tokens, *(_short(loss) for loss in (look.eval, look.test, look.train))]
            for look in self.looks
        ]
        return {"cell": asdict(self.cell), "steps": self.steps, "looks": looks, "alone": self.alone}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Log:
        looks = tuple(Look(look[0], look[1], *(_long(loss) for loss in look[2:])) for look in values["looks"])
        return cls(Cell(**values["cell"]), values["steps"], looks, values["alone"])


def _short(loss: float) -> float | None:
    return round(loss, 5) if math.isfinite(loss) else None


def _long(loss: float | None) -> float:
    return math.nan if loss is None else loss


def path_of(pair: str) -> Path:
    return LOGS / f"{pair}.json.gz"


def write_logs(path: Path, about: dict[str, Any], logs: Iterable[Log]) -> None:
    """A header line about the pair, then one run a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(about), *(json.dumps(log.to_json(), separators=(",", ":")) for log in logs)]
    # no time and no name in the header: the same logs are the same bytes
    with path.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())


def read_logs(path: Path) -> tuple[dict[str, Any], Sequence[Log]]:
    """(what is said about the pair, its runs)."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        about, *lines = (json.loads(line) for line in file)
    return about, [Log.from_json(line) for line in lines]
