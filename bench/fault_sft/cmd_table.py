"""The tables: ours and the peers on one half, ours with less and less logged, and how soon a fault is named.

python -m bench.fault_sft table                       the held-out half (make bench-doctor)
python -m bench.fault_sft table --split dev --fresh   what lies under build/
"""

from __future__ import annotations

import argparse
import json
import platform
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from bench.fault_sft.cmd_score import as_json
from bench.fault_sft.dataset import Labelled, load
from bench.fault_sft.latency import Latency, latency_of, summary
from bench.fault_sft.paths import RESULTS_DIR
from bench.fault_sft.peers.outside import PEERS, PeerMissingError
from bench.fault_sft.readers import READERS
from bench.fault_sft.relog import VIEWS, View
from bench.fault_sft.score import Score, main_family, score
from bench.fault_sft.tables import (
    bases_table,
    cases,
    counts_text,
    describe_runs,
    families_table,
    latency_table,
    readers_table,
    severity_table,
    views_table,
)
from bench.records import machine

OURS = "tunewright"


def main(arguments: Sequence[str]) -> None:
    """Parses the command line, prints the tables and writes them as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.fault_sft table", description=__doc__)
    parser.add_argument("--split", choices=("dev", "heldout", "all"), default="heldout")
    parser.add_argument("--fresh", action="store_true", help="the runs under build/, not the committed ones")
    parser.add_argument("--no-peers", action="store_true", help="ours and the rules written here only")
    given = parser.parse_args(arguments)
    runs = load(given.split, fresh=given.fresh)
    names = [name for name in READERS if not (given.no_peers and name in PEERS)]
    results: dict[str, Any] = {"split": given.split, "versions": _versions(), "machine": machine()}
    results["runs"] = describe_runs(runs)
    print(bases_table(given.split, runs), counts_text(runs), sep="\n\n")
    scores, missing = _scores(runs, names)
    print(readers_table(scores), *(f"{name}: {why}" for name, why in missing.items()), sep="\n", end="\n\n")
    results["readers"] = {name: as_json(one, cases=name == OURS) for name, one in scores.items()}
    results["missing"] = missing
    print(families_table(scores[OURS]), severity_table(runs, scores[OURS]), sep="\n\n", end="\n\n")
    views = {view.name: _score_of(OURS, runs, view) for view in VIEWS}
    print(views_table(views), end="\n\n")
    results["views"] = {name: as_json(one, cases=False) for name, one in views.items()}
    results["latency"] = _latency(runs)
    print(latency_table(results["latency"]), end="\n\n")
    print("Where it went wrong:", *cases(scores[OURS]), sep="\n")
    RESULTS_DIR.mkdir(parents=True, exist_ok=True)
    target = RESULTS_DIR / f"{given.split}.json"
    target.write_text(json.dumps(results, indent=1) + "\n")
    print(f"\nwritten to {target}")


# --- what is measured --------------------------------------------------------------------------------------------


def _score_of(name: str, runs: Sequence[Labelled], view: View) -> Score:
    return score(runs, READERS[name]([run.record for run in runs], view))


def _scores(runs: Sequence[Labelled], names: Sequence[str]) -> tuple[dict[str, Score], dict[str, str]]:
    """By reader; and why a peer is missing."""
    scores, missing = {}, {}
    for name in names:
        try:
            scores[name] = _score_of(name, runs, View())
        except PeerMissingError as error:
            missing[name] = str(error)
    return scores, missing


def _latency(runs: Sequence[Labelled]) -> dict[str, dict[str, Any]]:
    found: dict[str, list[Latency]] = defaultdict(list)
    for run in runs:
        if run.truth.visible and run.record.spec.faults:
            found[main_family(run)].append(latency_of(run, main_family(run)))
    return {family: summary(one) for family, one in sorted(found.items())}


def _versions() -> dict[str, str]:
    known = {name: version(name) for name in ("tunewright", "numpy")}
    return {"python": platform.python_version(), **known, **{name: pin.split("==")[1] for name, pin in PEERS.items()}}
