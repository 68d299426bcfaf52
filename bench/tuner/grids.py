"""Makes the grids: every cell of a pair under three schedules, its best on two more seeds, some alone as a control.

    python -m bench.tuner.grids                 all pairs, one after another (about 20 minutes each on one core)
    python -m bench.tuner.grids code facts      these only

Killed at any time, the same command goes on: finished packs are in ``build/tuner/<pair>/packs.jsonl``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from bench.records import Records, machine
from bench.tuner.cells import SCHEDULES, Cell, Log, Schedule, path_of, write_logs
from bench.tuner.pairs import PAIRS, RANKS, RATES, Pair, lay_out, settings
from bench.tuner.train import Bench, train_alone, train_branched, train_packed
from tunewright.record.versions import versions

BEST, SEEDS = 12, (1, 2)
ALONE_SHARE = 0.05
LONGER = 1.5
VERSIONS_OF = ("torch", "transformers", "tunewright")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="*", help=f"of {', '.join(PAIRS)}; default: all")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.pairs or PAIRS:
        make(PAIRS[name])


def make(pair: Pair) -> None:
    """A pair's grids, from the packs that are there and those that are not, into the committed log."""
    lay_out(pair)
    packs = Records(pair.folder / "packs.jsonl", _state(pair))
    grids = _Grids(pair, packs)
    logs = grids.all()
    lives = {"seconds": round(sum(seconds for _, seconds in grids.made), 1), "machine": machine()}
    read = grids.bench.read
    tokens = {"train_tokens": read.train.tokens, "eval_tokens": read.val.tokens}
    shape = {"hidden": read.model.hidden_size, "family": read.model.family}
    about = {"pair": pair.name, **_said(pair), **shape, **tokens, **lives, "versions": versions(VERSIONS_OF)}
    write_logs(path_of(pair.name), about, logs)


def _said(pair: Pair) -> dict[str, Any]:
    """What the pair is, without the paths of this machine."""
    plain = {key: value for key, value in settings(pair).items() if key not in ("model", "data", "val")}
    return {
        **{key: getattr(pair, key) for key in ("base", "rows", "epochs", "batch", "per_epoch", "eval_every")},
        **{"rates": RATES, "ranks": RANKS, "settings": plain},
    }


def _state(pair: Pair) -> str:
    """What must be the same for a finished pack to count: the rows, the base and the settings."""
    digest = hashlib.sha256(json.dumps(_said(pair), sort_keys=True).encode())
    for file in (*(pair.file(part) for part in ("train", "eval", "test")), f"{settings(pair)['model']}/config.json"):
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()[:16]


class _Grids:
    """A pair's runs, pack by pack. ``made``: (runs, seconds) of each."""

    def __init__(self, pair: Pair, packs: Records) -> None:
        self.pair, self.packs = pair, packs
        self.made: list[tuple[int, float]] = []
        self._bench: Bench | None = None

    def all(self) -> list[Log]:
        logs = [log for schedule in SCHEDULES[::-1] for log in self._grid(schedule)]
        best = sorted(logs, key=lambda log: log.best.eval)[:BEST]
        for seed in SEEDS:
            cells = [Cell(log.cell.schedule, log.cell.epochs, log.cell.rate, log.cell.rank, seed) for log in best]
            logs += self._pack(f"best-{_hash(cells)}", lambda cells=cells: train_packed(self.bench, cells))
        control = random.Random(0).sample([log.cell for log in logs], round(ALONE_SHARE * len(logs)))
        for cell in control:
            logs += self._pack(f"alone-{cell}", lambda cell=cell: [train_alone(self.bench, cell)])
        return [*logs, *self._longer(best[0].cell.rank)]

    def _longer(self, rank: int) -> list[Log]:
        """Half as long again as the longest, at the best rank: whether the best lies at the edge of the epochs."""
        count = round(LONGER * self.epochs[-1])
        cells = {one: [Cell(one, count, rate, rank) for rate in RATES] for one in SCHEDULES}
        packs = [
            self._pack(f"{one}-{rank}-{count}", lambda cells=cells: train_packed(self.bench, cells))
            for one, cells in cells.items()
        ]
        return [log for pack in packs for log in pack]

    def _grid(self, schedule: Schedule) -> list[Log]:
        logs: list[Log] = []
        for rank in RANKS:
            if schedule == "wsd":
                trunks = [Cell("wsd", 0, rate, rank) for rate in RATES]
                logs += self._pack(f"wsd-{rank}", lambda cells=trunks: train_branched(self.bench, cells, self.epochs))
                continue
            for count in self.epochs:
                cells = [Cell(schedule, count, rate, rank) for rate in RATES]
                logs += self._pack(f"{schedule}-{rank}-{count}", lambda cells=cells: train_packed(self.bench, cells))
        return logs

    @property
    def epochs(self) -> Sequence[int]:
        return self.pair.epochs

    @property
    def bench(self) -> Bench:
        if self._bench is None:
            self._bench = Bench.of(self.pair)
        return self._bench

    def _pack(self, key: str, train: Callable[[], list[Log]]) -> list[Log]:
        def measure() -> dict[str, Any]:
            began_s = time.perf_counter()
            logs = train()
            seconds = time.perf_counter() - began_s
            print(f"{self.pair.name} {key}: {len(logs)} runs, {seconds:.1f} s", file=sys.stderr, flush=True)
            return {"seconds": seconds, "logs": [log.to_json() for log in logs]}

        found = self.packs.get(key, measure)
        logs = [Log.from_json(log) for log in found["logs"]]
        self.made.append((len(logs), found["seconds"]))
        return logs


def _hash(cells: Sequence[Cell]) -> str:
    return hashlib.sha256(repr(cells).encode()).hexdigest()[:8]


if __name__ == "__main__":
    main()
