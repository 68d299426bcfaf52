"""Who says what to run next: ours, the guide's decision tree, a third of the learning rate, random search, TPE."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from bench.fault_sft.ours import curve_of
from bench.fault_sft.record import Record
from bench.fault_sft.relog import View
from bench.fault_sft.spec import Recipe, Spec
from bench.prescribe.cases import final_loss
from bench.prescribe.knobs import BY_CHANCE, config_of, followed, same_run, usual_of
from bench.prescribe.space import CHOICES, REACH, middle_rate, recipe_of
from bench.prescribe.tpe import next_of
from tunewright.doctor.diagnose import diagnose
from tunewright.prescribe.case import Case
from tunewright.prescribe.prescribe import prescribe, rule_named
from tunewright.schema.facts import RunSummary
from tunewright.schema.finding import Diagnosis
from tunewright.schema.prescription import Prescription

RUNS = 3
POOL = 9
Policy = Callable[[Sequence[Record], int], Spec | None]
"""From the runs so far, the faulty one first, and a seed, to the next run; None: nothing more to do."""


def diagnosis_of(record: Record) -> Diagnosis:
    """What the doctor reads in the log, every step logged."""
    return diagnose(curve_of(record, View()))


def case_of(record: Record, others: Sequence[Record] = ()) -> Case:
    """The run as ``next`` sees it: its log, its settings beside it, and what was run before on the same data."""
    curve = curve_of(record, View())
    return Case(
        diagnosis=diagnose(curve),
        curve=curve,
        config=config_of(record.spec),
        rows=record.spec.recipe.rows,
        history=tuple(_summary(other, number) for number, other in enumerate(others, 1)),
        usual=usual_of(record.spec),
    )


def _summary(record: Record, number: int) -> RunSummary:
    loss = final_loss(record)
    return RunSummary(
        name=f"run-{number}",
        config=config_of(record.spec),
        eval_loss=loss,
        base_eval_loss=record.log.evals[0][1],
        best_epoch=None,
        forgetting=None,
        health=diagnosis_of(record).health,
    )


def best_of(runs: Sequence[Record]) -> Record:
    """The latest run of those with the lowest loss. The faulty run's own loss may mean something else, so a run that
    came of another data set than the first one's goes before it."""
    kept = [run for run in runs if set(run.spec.ops) <= set(runs[-1].spec.ops)]
    return min(reversed(kept), key=final_loss)


def ours(runs: Sequence[Record], seed: int) -> Spec | None:
    """The evidence policy asked about the best run so far, knowing the others."""
    best = best_of(runs)
    case = case_of(best, [run for run in runs if run is not best and run.spec.ops == best.spec.ops])
    for _ in range(RUNS):
        spec = followed(best.spec, prescribe(case))
        if spec is None or not same_run(spec, best.spec):
            return spec
        # the longest run the benchmark allows was made already: what is longer counts as tried
        case = replace(case, history=(*case.history, _not_to_be_had(spec, best)))
    return None


def _not_to_be_had(spec: Spec, best: Record) -> RunSummary:
    config = {**config_of(best.spec), "num_train_epochs": spec.recipe.epochs}
    return RunSummary("longest", config, final_loss(best), None, None, None, "unknown")


def tree(runs: Sequence[Record], seed: int) -> Spec | None:
    """The guide's decision tree on the final training loss, its first way out, asked about the last run."""
    rule = rule_named("guide.decision_tree")
    assert rule is not None
    proposals = rule.propose(case_of(runs[-1]))
    if not proposals:
        return None
    spec = followed(runs[-1].spec, Prescription(proposals[0].keep, proposals[0].changes))
    return None if spec is not None and same_run(spec, runs[-1].spec) else spec


def third(runs: Sequence[Record], seed: int) -> Spec | None:
    """A third of the learning rate, whatever the curve says."""
    last = runs[-1].spec
    return _without_chance(replace(last, recipe=last.recipe.changed(learning_rate=last.recipe.learning_rate / 3)))


def random_search(runs: Sequence[Record], seed: int) -> Spec | None:
    """A draw from two decades of learning rates around the planner's start, and from everything else that may vary.

    Draws come from a pool for each base, method and set of rows, so that cases can share the runs."""
    first = _without_chance(runs[0].spec)
    numbers = random.Random(f"{first.id} {seed}").sample(range(POOL), RUNS)
    drawn = numbers[len(runs) - 1]
    recipe = _draw(first, random.Random(f"{first.base} {first.recipe.method} {first.recipe.rows} {drawn}"))
    return Spec(first.base, recipe, seed=drawn, kind="random", ops=first.ops)


def _draw(first: Spec, rng: random.Random) -> Recipe:
    rate = middle_rate(first) * REACH ** rng.uniform(-1, 1)
    return recipe_of(first, rate, {name: rng.choice(values) for name, values in CHOICES.items()})


def tpe(runs: Sequence[Record], seed: int) -> Spec | None:
    """What Optuna's TPE asks for, told the runs so far, on random search's space."""
    return next_of(_without_chance(runs[0].spec), runs, seed)


def _without_chance(spec: Spec) -> Spec:
    return replace(spec, ops={name: value for name, value in spec.ops.items() if name not in BY_CHANCE})


POLICIES: dict[str, Policy] = {
    "tunewright": ours,
    "LR / 3": third,
    "decision tree": tree,
    "random search": random_search,
    "TPE": tpe,
}
