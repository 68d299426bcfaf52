"""The tuner beside a full grid and the other ways to search it.

make bench-tuner      the tables, from the committed logs of the grids and results of the tuner (a few minutes)
make tuner-live       the tuner itself, on every pair and seed that has no result yet
make tuner-grids      the grids themselves again (hours)
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.peers import ENVIRONMENTS
from bench.records import machine
from bench.tuner.cells import path_of, read_logs
from bench.tuner.live import ABLATIONS, BY_OPTION, RESULTS, result_path
from bench.tuner.pairs import PAIRS
from bench.tuner.score import SEEDS, SHARES, Came, regret, scored
from bench.tuner.search import Grid
from bench.tuner.seeds import Expected, expected_best, seeds_table
from bench.tuner.tables import Scored, ablations_table, live_table, needed_table, pairs_table, ways_table
from bench.tuner.ways import ways
from tunewright.record.files import write_whole
from tunewright.record.versions import versions


def main() -> None:
    options = _options()
    names = [name for name in options.pairs if path_of(name).is_file()]
    if not names:
        sys.exit("no grids in bench/tuner/logs: make tuner-grids")
    read = {name: read_logs(path_of(name)) for name in names}
    about = {name: one for name, (one, _) in read.items()}
    grids = {name: Grid.of(one, logs) for name, (one, logs) in read.items()}
    means = {name: expected_best(logs) for name, (_, logs) in read.items()}
    ours = {name: all_of for name in names if (all_of := _live(name, grids[name], means[name]))}
    ablated = {
        step: {name: _live(name, grids[name], means[name], step) for name in names} for step in (*BY_OPTION, *ABLATIONS)
    }
    if ours:
        print(f"{live_table(ours, {name: about[name]['seconds'] for name in names})}\n")
    found = _scored(grids, about, options)
    print(f"{pairs_table(grids, about)}\n")
    print(f"{seeds_table({name: logs for name, (_, logs) in read.items()})}\n")
    for share in sorted({PAIRS[name].share for name in names}):
        _print_ways(found, ours, share, [name for name in names if PAIRS[name].share == share])
    if any(runs for steps in ablated.values() for runs in steps.values()):
        print(f"{ablations_table(ours, ablated)}\n")
    _write(options, about, found, ours, ablated)


def _print_ways(found: Sequence[Scored], ours: Mapping[str, Sequence[Came]], share: float, names: list[str]) -> None:
    """Ours beside the others on the pairs that are given the same share of a grid, at half, all and twice of it."""
    on = [one.restricted(names) for one in found]
    mine = {name: ours[name] for name in names if name in ours}
    for budget in (share / 2, share, 2 * share):
        print(f"{', '.join(names)}, at {100 * budget:g} % of the cost of one grid:\n\n{ways_table(on, budget, mine)}\n")
    print(f"{needed_table(on, mine)}\n")


def _scored(grids: Mapping[str, Grid], about: Mapping[str, Any], options: argparse.Namespace) -> list[Scored]:
    per_pair: dict[str, dict[str, Any]] = {}
    for name, grid in grids.items():
        print(f"{name}: {options.seeds} seeds of every way", file=sys.stderr, flush=True)
        for way in ways(about[name], grid, options.envs):
            known = per_pair.setdefault(way.name, {"way": way, "on": {}})
            known["on"][name] = scored(grid, way, SHARES, options.seeds)
    return [Scored(one["way"], one["on"]) for one in per_pair.values()]


def _live(name: str, grid: Grid, mean: Expected | None, without: str = "") -> list[Came]:
    """What the tuner came to on a pair, seed by seed; empty where it was not run."""
    path = result_path(name, without)
    return [_came(grid, mean, run) for run in json.loads(path.read_text())["runs"]] if path.is_file() else []


def _came(grid: Grid, mean: Expected | None, run: Mapping[str, Any]) -> Came:
    came = Came(
        *regret(grid, run["eval"], run["test"]), run["cost"] / grid.one_grid, run["false_kills"], run["seconds"]
    )
    if mean is None:
        return came
    return dataclasses.replace(came, eval_to_mean=run["eval"] / mean.eval - 1, test_to_mean=run["test"] / mean.test - 1)


def _write(
    options: argparse.Namespace,
    about: Mapping[str, Any],
    found: Sequence[Scored],
    ours: Mapping[str, Sequence[Came]],
    ablated: Mapping[str, Mapping[str, Sequence[Came]]],
) -> None:
    """Every figure of the tables, with what made them."""
    answer = {
        "about": about,
        "machine": machine(),
        "versions": versions(("numpy", "torch", "transformers")),
        "seeds": options.seeds,
        "ours": _plain(ours),
        "ablations": {step: _plain(on) for step, on in ablated.items() if any(on.values())},
        "ways": {
            one.way.name: {
                str(share): {
                    pair: {key: getattr(scores[share], key) for key in ("median", "worst", "within", "test_median")}
                    for pair, scores in one.on.items()
                }
                for share in next(iter(one.on.values()))
            }
            for one in found
        },
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    write_whole(RESULTS / "table.json", json.dumps(answer, indent=1) + "\n")


def _plain(came: Mapping[str, Sequence[Came]]) -> dict[str, Any]:
    return {name: [dataclasses.asdict(one) for one in all_of] for name, all_of in came.items()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="*", default=list(PAIRS))
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of every way that draws anything")
    parser.add_argument("--envs", type=Path, default=ENVIRONMENTS, help="where the peers' environments are kept")
    return parser.parse_args()


if __name__ == "__main__":
    main()
