"""Cases nobody has seen: a half's bases, with faults, backgrounds and seeds drawn anew, trained when asked for."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence

from bench.fault_sft.dataset import Labelled, bases_of, load
from bench.fault_sft.labels import best_losses, truth_of
from bench.fault_sft.paths import REFERENCES
from bench.fault_sft.plan import plan
from bench.fault_sft.spec import Spec
from bench.prescribe.cases import in_turns, is_case
from bench.prescribe.train import Trained


class Drawn:
    """One draw. What counts as lost is measured against the best loss of the committed runs, as there."""

    def __init__(self, half: str, number: int, trained: Trained) -> None:
        references = json.loads(REFERENCES.read_text())
        self._best = best_losses([run.record for run in load(half)], references)
        self._specs = [spec for base in bases_of(half) for spec in plan(base, references, number)]
        self._rng = random.Random(f"prescribe {half} {number}")
        self._trained = trained

    def cases(self, count: int) -> list[Labelled]:
        """``count`` faulty runs that lost something, one fault after another; no more are trained than that takes."""
        turns: dict[str, list[Spec]] = defaultdict(list)
        for spec in self._specs:
            if spec.faults:
                turns["+".join(spec.faults)].append(spec)
        for specs in turns.values():
            self._rng.shuffle(specs)
        return in_turns({name: self._those_with_a_loss(turns[name]) for name in sorted(turns)}, count)

    def healthy(self) -> list[Labelled]:
        """The sound ones of the draw's runs without a fault."""
        runs = [self._labelled(spec) for spec in self._specs if not spec.faults]
        return [run for run in runs if run.truth.status == "healthy"]

    def _those_with_a_loss(self, specs: Sequence[Spec]) -> Iterator[Labelled]:
        return filter(is_case, map(self._labelled, specs))

    def _labelled(self, spec: Spec) -> Labelled:
        record = self._trained.run(spec)
        return Labelled(record, truth_of(record, self._best[f"{spec.base}/{spec.recipe.method}"]))
