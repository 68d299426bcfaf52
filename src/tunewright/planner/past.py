"""What past runs of the same model say about a value, before any rule of thumb does.

Runs that differ in one key only and are evaluated on the same rows form a trial of that key. A trial settles the
value when it went past the best on both sides: the lowest value whose loss is within 1 % of the best one, provided
that a lower and a higher one were tried too. At the edge of what was tried nothing is known, and the rule decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tunewright.planner.draft import Draft
from tunewright.planner.sources import TUNEWRIGHT
from tunewright.planner.words import counted, figure, sentence
from tunewright.prescribe.history import INERT
from tunewright.schema.facts import DataFacts, PastRun
from tunewright.schema.plan import PlannedValue

AS_GOOD_SHARE = 0.01
"""Losses within 1 % are as good: then the lower value is taken, the more careful learning rate or the shorter run."""
ROWS_FACTOR = 3.0
TOKENS_FACTOR = 2.0
"""How far rows and tokens per row may be apart for runs on other data to count."""
BATCH_FACTOR = 4.0
"""How far the effective batch may be apart: the best learning rate goes with its fourth root, so x1.4 at most."""
LIKE = ("method", "stage", "loss_on", "lora_alpha")
"""Keys in which a past run must equal the plan as far as it is settled: they move the best value of others."""
FOLLOWS = {"num_train_epochs": ("warmup_steps", "warmup_ratio")}
"""Keys that a plan derives from the one that was tried, so they may differ within a trial."""
MOST_NAMED = 6


@dataclass(frozen=True)
class Trial:
    """Runs that differ in one key: value -> the best run with it, lowest value first."""

    key: str
    runs: Mapping[float, PastRun]
    same_data: bool

    @property
    def best(self) -> float | None:
        """The value the trial speaks for; None when the best lies at the edge of what was tried.

        A run that got sick counts as tried, and as no good.
        """
        values = sorted(self.runs)
        losses = [_loss(self.runs[value]) for value in values]
        lowest = min(losses, default=math.inf)
        if not math.isfinite(lowest):
            return None
        place = next(i for i, loss in enumerate(losses) if loss <= lowest * (1 + AS_GOOD_SHARE))
        return values[place] if 0 < place < len(values) - 1 else None


def settled_by_past(draft: Draft, key: str) -> PlannedValue | None:
    """The value of ``key`` that past runs speak for, with their names and losses; None when they say nothing.

    Trials on the very same data come first (of several the one with the lowest loss), then those on data nearest in
    rows.
    """
    data = draft.facts.data
    alike = [run for run in draft.facts.past if _counts(draft, run)]
    telling = [trial for trial in _trials(alike, key, data) if trial.best is not None]
    if not telling:
        return None
    chosen = min(telling, key=lambda trial: _rank(trial, data))
    value = chosen.best
    assert value is not None  # only telling trials are left
    return PlannedValue(key, value, _why(chosen, value, data), f"your own past runs; {TUNEWRIGHT}")


def similar(data: DataFacts, run: PastRun) -> bool:
    """Whether a run's data is this data, or like it: rows within x3 and tokens per row within x2."""
    if data.sha256 and run.data_sha256 == data.sha256:
        return True
    tokens_per_row = data.tokens / max(1, data.rows)
    return _within(run.rows, data.rows, ROWS_FACTOR) and _within(run.tokens_per_row, tokens_per_row, TOKENS_FACTOR)


def _within(one: float | None, other: float, factor: float) -> bool:
    return bool(one) and one is not None and other > 0 and 1 / factor <= one / other <= factor


def _counts(draft: Draft, run: PastRun) -> bool:
    config = run.summary.config
    settled = all(config.get(key) == draft[key] for key in LIKE if key in draft)
    return settled and similar(draft.facts.data, run) and _batch_alike(draft, config)


def _batch_alike(draft: Draft, config: Mapping[str, Any]) -> bool:
    batch = ("per_device_train_batch_size", "gradient_accumulation_steps")
    if not all(key in draft for key in batch):
        return True  # not planned yet
    theirs = math.prod(float(config.get(key) or 1) for key in batch)
    return _within(theirs, math.prod(float(draft[key]) for key in batch), BATCH_FACTOR)


def _trials(runs: Iterable[PastRun], key: str, data: DataFacts) -> list[Trial]:
    """The runs put together where nothing but ``key`` (and what follows from it) differs."""
    apart = INERT - {"seed"} | {key, "data", *FOLLOWS.get(key, ())}
    groups: dict[str, dict[float, PastRun]] = {}
    for run in runs:
        value = run.summary.config.get(key)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            continue
        rest = sorted((name, repr(other)) for name, other in run.summary.config.items() if name not in apart)
        group = groups.setdefault(repr((run.data_sha256, rest)), {})
        if value not in group or _loss(run) < _loss(group[value]):
            group[float(value)] = run
    return [
        Trial(key, dict(sorted(group.items())), next(iter(group.values())).data_sha256 == data.sha256)
        for group in groups.values()
    ]


def _loss(run: PastRun) -> float:
    loss = run.summary.eval_loss
    return math.inf if loss is None or not math.isfinite(loss) or run.summary.health == "sick" else loss


def _rank(trial: Trial, data: DataFacts) -> tuple[bool, float, float]:
    runs = list(trial.runs.values())
    apart = 0.0 if trial.same_data else abs(math.log(runs[0].rows / max(1, data.rows)))
    return not trial.same_data, apart, min(map(_loss, runs))


def _why(trial: Trial, value: float, data: DataFacts) -> str:
    runs = list(trial.runs.items())
    where = "this data" if trial.same_data else f"similar data ({counted(runs[0][1].rows, 'row')} there)"
    around = sorted(runs, key=lambda item: abs(math.log(item[0] / value)) if item[0] > 0 else math.inf)[:MOST_NAMED]
    shown = "; ".join(f"{run.summary.name}: {figure(tried)} gave {_said(run)}" for tried, run in sorted(around))
    more = len(runs) - len(around)
    return sentence(
        f"Past runs of this model on {where} that differ in nothing else: {shown}{f'; and {more} more' * (more > 0)}.",
        f"{figure(value)} is the lowest within 1 % of the best, and lower and higher ones were tried.",
    )


def _said(run: PastRun) -> str:
    loss = run.summary.eval_loss
    if run.summary.health == "sick" or loss is None or not math.isfinite(loss):
        return "a sick run"
    return f"evaluation loss {loss:.4g}"
