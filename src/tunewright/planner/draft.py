"""A plan under way: the facts, and the values settled so far. What is settled is never overruled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from tunewright.planner.memory import MeasuredMemory
from tunewright.schema.facts import DataFacts, MachineFacts, ModelFacts, PastRun
from tunewright.schema.measured import NoiseScale, Pace
from tunewright.schema.plan import PlannedValue
from tunewright.schema.recipe import OTHER_WARMUP, Recipe
from tunewright.schema.recipe_io import make_recipe


@dataclass(frozen=True)
class Facts:
    """All that a rule may look at. ``vram_GiB``: the memory named with --vram, None when it was not named.

    ``measured``, ``pace``, ``noise``: what was measured on this machine with this data, None where it was not.
    ``past``: runs of this model that ended earlier, on any data.
    """

    data: DataFacts
    model: ModelFacts
    machine: MachineFacts
    vram_GiB: float | None = None
    measured: MeasuredMemory | None = None
    pace: Pace | None = None
    noise: NoiseScale | None = None
    past: tuple[PastRun, ...] = ()


@dataclass(frozen=True)
class Draft:
    """Facts and settled values. Rules read it like a mapping and return one more PlannedValue.

    The order of settling is the order of precedence: given, task, preset, memory table, rules.
    """

    facts: Facts
    settled: dict[str, PlannedValue] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        return self.settled[key].value

    def __contains__(self, key: str) -> bool:
        return key in self.settled

    def get(self, key: str, default: Any = None) -> Any:
        """The settled value of ``key``, or ``default`` while nobody has settled it."""
        return self.settled[key].value if key in self.settled else default

    def with_values(self, values: Iterable[PlannedValue]) -> Draft:
        """A draft with these values too, where the key is free; a warm-up yields to one of the other kind."""
        settled = dict(self.settled)
        for value in values:
            other = settled.get(OTHER_WARMUP.get(value.key, ""))
            taken_by_other = other is not None and other.value is not None and value.value is not None
            if value.key not in settled and not taken_by_other:
                settled[value.key] = value
        return replace(self, settled=settled)

    def recipe(self) -> Recipe:
        """A checked recipe of what is settled, defaults elsewhere."""
        return make_recipe({key: value.value for key, value in self.settled.items()}, where="plan")
