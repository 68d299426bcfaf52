"""What to change for the next run, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Range:
    """A predicted figure: the middle and a low-high interval, in the unit of what is predicted (nats per token)."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Change:
    """One change of one recipe key.

    before, after : the values ("from" and "to" in JSON); None when the recipe is not known
    factor        : after / before for numbers; the only figure when the recipe is not known
    rule, source  : the rule that asks for it, and where the rule comes from (title and date)
    predicted     : eval loss expected after the run, from a fit or from history; None when nothing supports one
    """

    key: str
    before: Any
    after: Any
    factor: float | None
    why: str
    rule: str
    source: str
    predicted: Range | None = None

    @property
    def from_unknown(self) -> bool:
        """Whether a value replaces one that is not on record; a mixture of data (``replay``) that was none was none."""
        return self.after is not None and self.before is None and not isinstance(self.after, Mapping)

    def __json__(self) -> dict[str, Any]:
        known = {} if self.after is None else {"from": self.before, "to": self.after}
        rest = {"factor": self.factor, "why": self.why, "rule": self.rule, "source": self.source}
        return {"key": self.key, **known, **rest, "predicted": self.predicted}


@dataclass(frozen=True)
class Prescription:
    """The changes for the next run; ``keep`` means: change nothing, this run is fine. ``why`` is the summary.

    ``disagreements`` holds one sentence for each voice that asked for something else and was overruled.
    """

    keep: bool
    changes: tuple[Change, ...] = ()
    why: str = ""
    disagreements: tuple[str, ...] = ()


@dataclass(frozen=True)
class Option:
    """One of several ways to the same end, with its arithmetic spelled out (the guide's options A, B, C)."""

    name: str
    changes: tuple[Change, ...]
    arithmetic: str
    recommended: bool = False
