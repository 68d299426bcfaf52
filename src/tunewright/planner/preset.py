"""What a preset is: a guide's own settings under a name, each value with its reason and its place in the guide.

A guide that prints a range is stored as that range (:class:`Span`); which value of it a plan takes, and why, is
decided by the span's chooser from the facts of the data and the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tunewright.planner.draft import Facts
from tunewright.planner.words import figure
from tunewright.schema.plan import PlannedValue

Chosen = tuple[Any, str]
"""A value and the reason why it was taken out of its range."""


@dataclass(frozen=True)
class Span:
    """A range as the guide prints it, both ends included, and the rule that takes one value out of it."""

    low: float
    high: float
    choose: Callable[[float, float, Facts], Chosen]

    def __str__(self) -> str:
        return f"{figure(self.low)} to {figure(self.high)}"


@dataclass(frozen=True)
class PresetValue:
    """``value`` is a plain value or a :class:`Span`; ``section`` names the place in the preset's guide."""

    key: str
    value: Any
    why: str
    section: str

    def planned(self, facts: Facts, preset: str, source: str) -> PlannedValue:
        """The value for these facts, with the guide's range in the reason when there is one."""
        place = f"preset {preset}: {source}, {self.section}"
        if not isinstance(self.value, Span):
            return PlannedValue(self.key, self.value, self.why, place)
        value, because = self.value.choose(self.value.low, self.value.high, facts)
        why = f"{self.why}; the guide's range is {self.value}, and {figure(value)} because {because}"
        return PlannedValue(self.key, value, why, place)


@dataclass(frozen=True)
class Preset:
    """name: as typed; about: one line for a list; source: the guide; rows: the number of rows it was made for."""

    name: str
    about: str
    source: str
    values: tuple[PresetValue, ...]
    rows: tuple[int, int] | None = None

    def planned(self, facts: Facts) -> tuple[PlannedValue, ...]:
        """Every value of the preset for these facts."""
        return tuple(value.planned(facts, self.name, self.source) for value in self.values)

    def __getitem__(self, key: str) -> PresetValue:
        return next(value for value in self.values if value.key == key)
