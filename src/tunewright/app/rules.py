"""runs rules: what came of every prescription that was followed, rule by rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewright.app.lineage import scored_promises
from tunewright.examiner.rates import score
from tunewright.prescribe.promise import Tally, tally
from tunewright.schema import jsonio


def rules(runs_dir: str | Path) -> dict[str, Any]:
    """One entry for each rule that led to a run below ``runs_dir``, most used first.

    hits   : runs whose symptom went, or whose loss fell by more than noise, among those that can be judged
    inside : runs whose loss came inside the predicted range, among those with one; both with 95 % Wilson intervals
    mean_error, mean_absolute_error : loss minus the middle of its range, nats per token; None without a range
    """
    records = scored_promises(Path(runs_dir).absolute())
    tallies = [tally(rule, found) for rule, found in records.by_rule.items()]
    answer = {
        "rules": [_line(one) for one in sorted(tallies, key=lambda one: (-one.used, one.rule))],
        "damaged": [{"run": run, "why": why} for run, why in records.damaged],
    }
    plain: dict[str, Any] = jsonio.plain(answer)
    return plain


def _line(one: Tally) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "used": one.used,
        "hits": score(one.hits, one.judged),
        "inside": score(one.inside, one.predicted),
        "mean_error": one.mean_error,
        "mean_absolute_error": one.mean_absolute_error,
    }
