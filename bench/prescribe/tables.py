"""What came of following each policy, as tables and as JSON."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from bench.fault_sft.score import Count
from bench.prescribe.follow import Followed
from bench.table import table

SHOWN = ("fixed first", "fixed in three", "sound first", "sound in three", "twin first", "twin in three", "harm")
HEADS = ("fixed 1st", "fixed in 3", "sound 1st", "sound in 3", "as its twin 1st", "as its twin in 3")
MEASURES = (*SHOWN, "clean first", "kept first")


def counts(followed: Sequence[Followed]) -> dict[str, Count]:
    """The measures of one policy, over its cases and seeds. A case without any run counts as not fixed."""
    found = {name: Count() for name in MEASURES}
    for one in followed:
        first = one.outcomes[0] if one.outcomes else None
        found["fixed first"].add(first is not None and first.fixed)
        found["fixed in three"].add(any(run.fixed for run in one.outcomes))
        found["sound first"].add(first is not None and first.mended)
        found["sound in three"].add(any(run.mended for run in one.outcomes))
        found["twin first"].add(first is not None and first.as_twin)
        found["twin in three"].add(any(run.as_twin for run in one.outcomes))
        found["clean first"].add(first is not None and first.clean)
        found["kept first"].add(first is None or first.kept)
        if first is None or first.worse is not None:
            found["harm"].add(first is not None and bool(first.worse))
    return found


def closed(one: Followed) -> float:
    """Share of the loss above the reference that the best run won back, -1 to 1; NaN where it cannot be told."""
    lost = one.start - one.reference
    if not one.outcomes:
        return 0.0
    if not math.isfinite(one.start):
        return math.nan
    best = min(run.loss for run in one.outcomes)
    return max(-1.0, min(1.0, (one.start - best) / lost)) if lost > 0 else math.nan


def policies_table(found: dict[str, list[Followed]]) -> str:
    head = ["policy", *HEADS, "harm 1st", "regret closed", "runs"]
    rows = []
    for name, followed in found.items():
        one = counts(followed)
        closings = [value for value in map(closed, followed) if math.isfinite(value)]
        rows.append(
            [
                name,
                *(_rate(one[key]) for key in SHOWN),
                f"{statistics.median(closings):.2f}" if closings else "-",
                f"{sum(len(case.outcomes) for case in followed) / max(1, len(followed)):.2f}",
            ]
        )
    return table(head, rows)


def faults_table(followed: Sequence[Followed]) -> str:
    """Ours by what was injected: fixed and sound at the first run and within three."""
    groups: dict[str, list[Followed]] = defaultdict(list)
    for one in followed:
        groups[one.fault].append(one)
    rows = []
    for name, cases in sorted(groups.items()):
        one = counts(cases)
        rows.append([name, *(f"{one[key].right} of {one[key].of}" for key in SHOWN if key != "harm")])
    return table(["fault", *HEADS], rows)


def _rate(count: Count) -> str:
    return "-" if not count.of else f"{100 * count.rate:.0f} % ({count.right}/{count.of})"


def as_json(found: dict[str, list[Followed]], seeds: int) -> dict[str, Any]:
    return {
        name: {
            "seeds": seeds,
            "measures": {key: count.to_json() for key, count in counts(followed).items()},
            "cases": [_case(one) for one in followed],
        }
        for name, followed in found.items()
    }


def _case(one: Followed) -> dict[str, Any]:
    """One case in few characters: figures rounded, what is not finite as null."""
    plain = one.to_json()
    plain.update({key: _figure(plain[key]) for key in ("start", "reference", "twin")})
    plain["outcomes"] = [
        {**run, "loss": _figure(run["loss"]), "changed": {key: _value(value) for key, value in run["changed"].items()}}
        for run in plain["outcomes"]
    ]
    return plain


def _figure(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None


def _value(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value
