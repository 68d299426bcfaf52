"""make bench-prescribe: faulty runs followed by what each policy prescribes, against tuned references.

    python -m bench.prescribe                          the held-out half of FAULT-SFT, 60 cases, one seed
    python -m bench.prescribe --split dev --cases 30   the half that rules may be tuned on
    python -m bench.prescribe --seeds 3
    python -m bench.prescribe --draw 1                 other faulty runs of the same bases, made first

Needs the bases of FAULT-SFT (python -m bench.fault_sft bases). Runs are kept under build/prescribe, so a stopped bench
goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from bench.fault_sft.dataset import Labelled
from bench.fault_sft.labels import STILL_FALLING
from bench.fault_sft.paths import BASES_DIR, ROOT
from bench.fault_sft.score import Count
from bench.prescribe.cases import CASES, References, choose, healthy_runs
from bench.prescribe.drawn import Drawn
from bench.prescribe.follow import Followed, follow
from bench.prescribe.policies import POLICIES, RUNS, case_of
from bench.prescribe.tables import as_json, faults_table, policies_table
from bench.prescribe.train import Trained
from bench.records import machine
from tunewright.prescribe.prescribe import prescribe

RESULTS = ROOT / "bench" / "results" / "prescribe"
PACKAGES = ("tunewright", "torch", "transformers", "peft", "numpy")


def main(arguments: Sequence[str] | None = None) -> None:
    """Follows every case, prints the tables and writes them as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.prescribe", description=__doc__)
    parser.add_argument("--split", choices=("dev", "heldout"), default="heldout")
    parser.add_argument("--draw", type=int, default=0, help="0: the committed runs; else the number of a new draw")
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--runs", type=int, default=RUNS, choices=range(1, RUNS + 1), help="at most so many a case")
    parser.add_argument("--only", action="append", choices=sorted(POLICIES), help="these policies (default: all)")
    given = parser.parse_args(arguments)
    if not BASES_DIR.is_dir():
        parser.error(f"{BASES_DIR} is not there: python -m bench.fault_sft bases")
    trained = Trained()
    references = References(trained, given.split)
    drawn = Drawn(given.split, given.draw, trained) if given.draw else None
    cases = drawn.cases(given.cases) if drawn else choose(given.split, given.cases)
    keep, keep_or_longer = told_to_keep(drawn.healthy() if drawn else healthy_runs(given.split))
    found: dict[str, list[Followed]] = {}
    for name in given.only or POLICIES:
        found[name] = [
            follow(case, name, seed, references, trained, given.runs) for seed in range(given.seeds) for case in cases
        ]
        results = {
            "split": given.split,
            "draw": given.draw,
            "cases": len(cases),
            "runs": given.runs,
            "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
            "machine": machine(),
            "healthy": {"keep": keep.to_json(), "keep or longer": keep_or_longer.to_json()},
            "references": references.to_json(),
            "policies": as_json(found, given.seeds),
        }
        write(results, f"{given.split}-draw-{given.draw}" if given.draw else given.split)
    print(policies_table(found), end="\n\n")
    print(f"healthy runs told to keep: {keep.right} of {keep.of};")
    print(f"or to go on, where the validation loss still falls by 2 %: {keep_or_longer.right} of {keep_or_longer.of}\n")
    first = next(iter(found))
    print(first, faults_table(found[first]), sep="\n\n")


def write(results: dict[str, Any], name: str) -> None:
    """What is known so far: a policy takes long, and the bench may be stopped between two. Other policies that were
    asked about as many cases, for as many runs, stay as they are."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    if all(known.get(key) == results[key] for key in ("cases", "runs")):
        results = {**results, "policies": {**known["policies"], **results["policies"]}}
    path.write_text(json.dumps(results, indent=1) + "\n")


def told_to_keep(runs: Sequence[Labelled]) -> tuple[Count, Count]:
    """Sound runs that are kept; and those kept or made longer while their validation loss still falls."""
    keep, longer_too = Count(), Count()
    for run in runs:
        prescription = prescribe(case_of(run.record))
        longer = bool(prescription.changes) and all(
            change.key == "num_train_epochs" and (change.factor or 0) > 1 for change in prescription.changes
        )
        keep.add(prescription.keep)
        longer_too.add(prescription.keep or (longer and run.truth.figures["last_third"] > STILL_FALLING))
    return keep, longer_too


if __name__ == "__main__":
    main()
