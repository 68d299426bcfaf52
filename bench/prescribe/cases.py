"""Which faulty runs are followed, and what counts as mended: tuned references trained anew with several seeds.

A case is a run of FAULT-SFT whose log shows its fault and which ended away from a sound run's loss: where nothing was
lost there is nothing to mend. The faulty run itself is its committed log; only what follows is trained.
"""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.fault_sft.dataset import Labelled, load
from bench.fault_sft.paths import REFERENCES
from bench.fault_sft.record import Record
from bench.fault_sft.spec import Recipe, Spec
from bench.prescribe.knobs import ALL_ROWS, different_rows
from bench.prescribe.train import Trained
from bench.prescribe.twins import twin_of

CASES = 60
LOST_SHARE = 0.03
"""A faulty run within this of the best known loss lost nothing worth mending."""
REFERENCE_SEEDS = (101, 102, 103)
FEW_ROWS_STEPS = (8, 20, 50)
FEW_ROWS_RATES = (1.0, 1 / 3)


@dataclass(frozen=True)
class Reference:
    """What a tuned recipe gives on this base, method and rows: nats per token, over seeds.

    loss         : mean over three seeds; the best of six trials where there are fewer rows
    spread       : standard deviation over the seeds; 0 for the trials
    general_rise : the largest rise on general text of any run without a fault
    """

    loss: float
    spread: float
    general_rise: float


def choose(half: str, count: int = CASES) -> list[Labelled]:
    """``count`` cases of a half's committed runs."""
    turns: dict[str, list[Labelled]] = defaultdict(list)
    for run in load(half):
        if is_case(run):
            turns[run.fault].append(run)
    rng = random.Random(f"prescribe {half}")
    for runs in turns.values():
        rng.shuffle(runs)
    return in_turns({name: iter(turns[name]) for name in sorted(turns)}, count)


def in_turns(turns: Mapping[str, Iterator[Labelled]], count: int) -> list[Labelled]:
    """``count`` runs, one fault after another in turns, so that none crowds out the others; fewer when they run out."""
    left, chosen = dict(turns), list[Labelled]()
    while left and len(chosen) < count:
        for name in list(left):
            run = next(left[name], None) if len(chosen) < count else None
            if run is not None:
                chosen.append(run)
            elif len(chosen) < count:
                del left[name]
    return chosen


def is_case(run: Labelled) -> bool:
    spec, excess = run.record.spec, run.truth.figures["excess"]
    if spec.trainer != "hf" or run.truth.status != "fault":
        return False
    return not excess <= LOST_SHARE  # NaN: another validation set, so the run says nothing


def healthy_runs(half: str) -> list[Labelled]:
    """Sound runs of the half, from the committed logs."""
    return [run for run in load(half) if run.truth.status == "healthy"]


def group(spec: Spec) -> str:
    """Runs of one group share a reference: base, method, and how many different rows there are to learn from."""
    return f"{spec.base}/{spec.recipe.method}/{different_rows(spec)}"


class References:
    """The reference of each group, trained when first asked for."""

    def __init__(self, trained: Trained, half: str) -> None:
        self._trained = trained
        self._known: Mapping[str, Mapping[str, Any]] = json.loads(REFERENCES.read_text())
        self._rise = _general_rises([run for run in load(half) if not run.record.spec.faults])
        self._found: dict[str, Reference] = {}

    def of(self, spec: Spec) -> Reference:
        name = group(spec)
        if name not in self._found:
            self._found[name] = self._train(spec)
        return self._found[name]

    def twin_loss(self, spec: Spec) -> float:
        """The last evaluation of the same run without its fault; the reference's loss where there is no such run."""
        twin = twin_of(spec, self._recipe(spec))
        return self.of(spec).loss if twin is None else final_loss(self._trained.run(twin))

    def to_json(self) -> dict[str, Any]:
        return {name: asdict(one) for name, one in sorted(self._found.items())}

    def _train(self, spec: Spec) -> Reference:
        runs = self._tuned(spec) if different_rows(spec) == ALL_ROWS else [self._search(spec)]
        losses = [final_loss(record) for record in runs]
        mean = sum(losses) / len(losses)
        spread = math.sqrt(sum((loss - mean) ** 2 for loss in losses) / max(1, len(losses) - 1))
        rises = [record.general[1] - record.general[0] for record in runs]
        known = self._rise.get(f"{spec.base}/{spec.recipe.method}", -math.inf)
        return Reference(mean, spread, max(*rises, known))

    def _tuned(self, spec: Spec) -> list[Record]:
        """The recipe that FAULT-SFT's search found for the base and method, once per seed."""
        recipe = self._recipe(spec)
        return [self._trained.run(Spec(spec.base, recipe, seed, kind="reference")) for seed in REFERENCE_SEEDS]

    def _search(self, spec: Spec) -> Record:
        """Few rows want other settings: the best of a small grid of rates and lengths."""
        recipe = self._recipe(spec).changed(rows=different_rows(spec))
        tried = [
            recipe.changed(learning_rate=recipe.learning_rate * rate, epochs=steps / recipe.steps_per_epoch)
            for rate in FEW_ROWS_RATES
            for steps in FEW_ROWS_STEPS
        ]
        runs = [self._trained.run(Spec(spec.base, one, REFERENCE_SEEDS[0], kind="reference")) for one in tried]
        return min(runs, key=final_loss)

    def _recipe(self, spec: Spec) -> Recipe:
        return Recipe(**self._known[f"{spec.base}/{spec.recipe.method}"]["recipe"])


def _general_rises(runs: Sequence[Labelled]) -> dict[str, float]:
    """ "base/method" -> the largest rise on general text among these runs."""
    found: dict[str, float] = defaultdict(lambda: -math.inf)
    for run in runs:
        before, after = run.record.general
        if math.isfinite(after - before):
            key = f"{run.record.spec.base}/{run.record.spec.recipe.method}"
            found[key] = max(found[key], after - before)
    return dict(found)


def with_seed(spec: Spec, seed: int) -> Spec:
    return replace(spec, seed=spec.seed + seed)


def final_loss(record: Record) -> float:
    """The last evaluation; infinite for one that is no number."""
    loss = record.log.evals[-1][1] if record.log.evals else math.nan
    return loss if math.isfinite(loss) else math.inf
