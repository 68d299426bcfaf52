"""How soon a warning of the right family appears when a run's log is read as it grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.fault_sft.dataset import Labelled
from bench.fault_sft.injections import INJECTIONS
from bench.fault_sft.ours import first_alarm


@dataclass(frozen=True)
class Latency:
    """One run: the share of the run at which the fault began, and that at which it was named; None: never."""

    family: str
    onset: float
    named: float | None


def latency_of(run: Labelled, family: str) -> Latency:
    """The log is read after every 24th part of the run."""
    onset = min(INJECTIONS[fault].onset for fault in run.record.spec.faults)
    steps = run.record.max_steps
    step = first_alarm(run.record, run.truth.required)
    return Latency(family, onset, None if step is None else step / steps)


def summary(latencies: Sequence[Latency]) -> dict[str, float | int | None]:
    """Median share of the run from onset to the first right finding, of those that were ever named."""
    named = [one for one in latencies if one.named is not None]
    waits = [one.named - one.onset for one in named if one.named is not None]
    return {
        "runs": len(latencies),
        "named": len(named),
        "median_share_after_onset": round(median(waits), 3) if waits else None,
        "before_onset": sum(wait < -1 / 24 for wait in waits),
    }
