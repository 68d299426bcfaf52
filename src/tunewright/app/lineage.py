"""Which prescription a recipe came from, and what came of it: next.json, prediction.json, and the rules' records.

``next RUN --out FILE`` leaves in the run's folder, in next.json, a fingerprint of the recipe it wrote with what its
rule promises. ``train FILE`` looks below ``--runs-dir`` for the run that holds the fingerprint of its recipe: the
file may be moved or renamed, but a recipe that was edited is no longer what was prescribed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunewright.prescribe.case import Case
from tunewright.prescribe.fit import least_gain
from tunewright.prescribe.history import INERT
from tunewright.prescribe.promise import Promise, Score, promise_of, score, tally
from tunewright.prescribe.report import Report
from tunewright.record.run import Run, find_runs
from tunewright.schema import jsonio
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError
from tunewright.schema.prescription import Prescription
from tunewright.schema.recipe import Recipe

NEXT_FILE = "next.json"
_NOT_PRINTED = INERT - {"seed"}  # another seed may split the rows anew, so it is another run


def fingerprint(recipe: Recipe) -> str:
    """A hash of every key that decides what is learned."""
    values = {key: value for key, value in recipe.model_dump(mode="json").items() if key not in _NOT_PRINTED}
    return hashlib.sha256(jsonio.dumps(dict(sorted(values.items())))).hexdigest()


def remember(parent: Run, recipe: Recipe, prescription: Prescription, curve: Curve | None) -> None:
    """Note in the parent's folder which recipe was made from it, unless no value was changed.

    ``curve``: the parent's, whose noise says which gain counts; None when it was not looked at.
    """
    promise = promise_of(
        () if prescription.keep else prescription.changes,
        parent=str(parent.path),
        before=result_loss(parent),
        least_gain=None if curve is None else least_gain(curve),
    )
    if promise is None:
        return
    noted = {"promise": promise, "changes": prescription.changes, "why": prescription.why}
    parent.write(NEXT_FILE, {**parent.read(NEXT_FILE), fingerprint(recipe): noted})


@dataclass(frozen=True)
class Lineage:
    """Where a recipe came from: the promise, and the ``changed`` and ``why`` that run.json records."""

    promise: Promise
    changed: list[dict[str, Any]]
    why: str

    @property
    def about(self) -> dict[str, Any]:
        return {"parent": self.promise.parent, "changed": self.changed, "why": self.why}


def lineage_of(recipe: Recipe, runs_dir: Path, data_sha256: str) -> Lineage | None:
    """The newest run below ``runs_dir`` that prescribed this recipe, as its promise; None when none did.

    The promise is told about the data the parent was trained on: with other rows behind the same name the losses
    cannot be compared. A damaged folder has no say.
    """
    wanted = fingerprint(recipe)
    for path in sorted(runs_dir.rglob(NEXT_FILE), key=lambda one: one.stat().st_mtime, reverse=True):
        parent = Run(path.parent.absolute())
        try:
            noted, recorded = parent.read(NEXT_FILE).get(wanted), parent.read().get("data_sha256")
            promise = None if noted is None else Promise.of_json(noted["promise"])
        except (DataError, KeyError, TypeError):
            continue
        if noted is not None and promise is not None:
            return Lineage(_on(promise, recorded == data_sha256), noted["changes"], noted["why"])
    return None


def _on(promise: Promise, same_data: bool) -> Promise:
    if same_data or promise.unlike:
        return promise
    return replace(promise, unlike="the rows have changed since")


def prediction_json(predicted: Any, promise: Promise | None) -> dict[str, Any]:
    """prediction.json before the run: its cost as planned, and what the rule behind it promises."""
    promised = dict(jsonio.plain(predicted))
    if promise is None:
        return {"promised": promised}
    return {"promised": {**promised, "eval_loss": promise.predicted}, "prescribed": promise}


def scored_json(before: Mapping[str, Any], came: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """prediction.json after the run: what came beside what was promised, and the score of the promise."""
    answer = {**before, "came": came}
    if before.get("prescribed") is None:
        return answer
    loss = came.get("eval_loss")
    after = Case(diagnosis=report.diagnosis, curve=report.curve, config=report.curve.config)
    return {**answer, "score": score(Promise.of_json(before["prescribed"]), loss, after)}


def result_loss(run: Run) -> float | None:
    """The evaluation loss of the run's chosen checkpoint; None when it has none."""
    return jsonio.number_or_none(run.read().get("result", {}).get("eval_loss"))


@dataclass(frozen=True)
class Records:
    """Every scored promise below a folder, by rule; ``damaged``: folders whose files could not be read, and why."""

    by_rule: Mapping[str, list[tuple[Promise, Score]]]
    damaged: tuple[tuple[str, str], ...]


def scored_promises(runs_dir: Path) -> Records:
    """What came of every prescription that was followed below ``runs_dir``."""
    by_rule: dict[str, list[tuple[Promise, Score]]] = {}
    damaged = []
    for run in find_runs(runs_dir):
        try:
            run.read()  # a folder damaged elsewhere is named too
            prediction = run.read("prediction.json")
            if prediction.get("prescribed") is None or prediction.get("score") is None:
                continue
            promise, found = Promise.of_json(prediction["prescribed"]), Score(**prediction["score"])
        except (DataError, KeyError, TypeError) as error:
            why = error.message if isinstance(error, DataError) else "prediction.json is not as it was written"
            damaged.append((str(run.path), why))
            continue
        by_rule.setdefault(promise.rule, []).append((promise, found))
    return Records(by_rule, tuple(damaged))


def record_of(runs_dir: Path) -> dict[str, tuple[float, ...]]:
    """Rule -> loss after / loss before of each run it led to: what the rule is expected to give next."""
    return {rule: tally(rule, found).ratios for rule, found in scored_promises(runs_dir).by_rule.items()}
