"""All runs of one half with the truth about each: from logs/, or from build/ while runs are being made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.fault_sft.labels import Truth, best_losses, truth_of
from bench.fault_sft.paths import HERE, LOGS_DIR, REFERENCES, RUNS_DIR
from bench.fault_sft.record import Record, read_records

SPLIT = HERE / "split.json"


@dataclass(frozen=True)
class Labelled:
    record: Record
    truth: Truth

    @property
    def fault(self) -> str:
        """What was injected: "lr_high", or "lr_high+garbage_batch"."""
        return "+".join(self.record.spec.faults)


def bases_of(half: str) -> list[str]:
    """The bases of "dev", "heldout" or "all"."""
    split = json.loads(SPLIT.read_text())
    names: list[str] = split["dev"] + split["heldout"] if half == "all" else split[half]
    return names


def load(half: str, *, fresh: bool = False) -> list[Labelled]:
    """Every run of the half, labelled. ``fresh``: what lies under build/ instead of the committed logs."""
    names = bases_of(half)
    records = [record for name in names for record in _records_of(name, fresh)]
    best = best_losses(records, json.loads(REFERENCES.read_text()))
    return [Labelled(record, truth_of(record, _reference(record, best))) for record in records]


def _records_of(base: str, fresh: bool) -> list[Record]:
    if not fresh:
        return read_records(LOGS_DIR / f"{base}.jsonl.gz")
    return [record for path in files_of(base) for record in read_records(path)]


def files_of(base: str) -> Sequence[Path]:
    """What was generated on ``base``: the Hugging Face Trainer's runs, then those of the others."""
    return sorted(RUNS_DIR.glob(f"{base}.*.jsonl"), key=lambda path: (".hf." not in path.name, path.name))


def _reference(record: Record, best: dict[str, float]) -> float:
    return best[f"{record.spec.base}/{record.spec.recipe.method}"]
