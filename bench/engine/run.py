"""The engine beside TRL, plain PEFT under Trainer, and LLaMA-Factory: speed, losses, memory; and sweeps, packed.

    make bench-engine                                  everything; about 10 minutes on two idle cores
    python -m bench.engine.run --only single --peers TRL --rounds 1
    python -m bench.engine.run --profile               where the time of one of our steps goes

Everybody trains the same LoRA adapter from the same first state on the same tokens in the same order, in float32 on
the CPU, with the same number of threads, which sleep while they wait (OMP_WAIT_POLICY=PASSIVE). Contestants take
turns. An interrupted bench goes on where it stopped; figures of other settings, another machine or another state of
the code are never reused.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tunewright
from bench.engine import profile
from bench.engine.field import OURS, PEERS, TRL, Field
from bench.engine.orders import Order
from bench.engine.single import MemoryRow, SingleRow, measure_memory, measure_peer
from bench.engine.sweep import SweepRow, grid, measure_sweep
from bench.engine.tables import memory_table, single_table, sweep_table
from bench.engine.work import SWEEP, WORKS, Work, clear_scratch, make_order
from bench.peers import ENVIRONMENTS, PINS, ROOT
from bench.records import Records, fingerprint, machine
from tunewright.record.files import write_whole

PARTS = ("single", "memory", "sweep")
LEARNING_RATE, RANK = 5e-4, 8
RESULTS = ROOT / "bench" / "results" / "engine"


def main() -> None:
    options = _options()
    works = [work.scaled(options.scale) for work in WORKS if work.name in options.works]
    if options.profile:
        for work in works:
            print(f"## {work.name}\n\n{profile.step_profile(_order(options, work), options.threads)}\n")
        return
    _measure(options, works)
    clear_scratch(options.work)


def _order(options: argparse.Namespace, work: Work, learning_rate: float = LEARNING_RATE, rank: int = RANK) -> Order:
    return make_order(options.work, work, learning_rate=learning_rate, rank=rank, seed=options.seed)


def _measure(options: argparse.Namespace, works: Sequence[Work]) -> None:
    settings = {name: value for name, value in vars(options).items() if name in _SETTINGS}
    engine = Path(tunewright.__file__).parent / "engine"
    state = fingerprint(settings, [engine, ROOT / "bench/engine", *sorted(PINS.glob("*.txt"))])
    records = Records(options.results / "rounds.jsonl", state)
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - began:5.0f} s] {what}", file=sys.stderr, flush=True)

    singles: list[SingleRow] = []
    memory: list[MemoryRow] = []
    swept: list[SweepRow] = []
    orders = {work: _order(options, work) for work in works}
    peers = [peer for peer in PEERS if not options.peers or peer.name in options.peers]
    with Field(options.envs, options.work / "logs", options.threads) as field:
        entries = {entry.driver: entry for entry in (OURS, TRL, *(peers if "single" in options.only else ()))}
        versions = {
            driver: records.get(f"versions/{driver}", lambda entry=entry: field.process(entry).versions)
            for driver, entry in entries.items()
        }
        if "single" in options.only:
            singles = [
                measure_peer(field, records, work, orders[work], peer, rounds=options.rounds, say=say)
                for work in works
                for peer in peers
            ]
        if "memory" in options.only:
            memory = [measure_memory(field, records, work, order, say) for work, order in orders.items()]
        if "sweep" in options.only:
            work = SWEEP.scaled(options.scale)
            for adapters in options.sweeps:
                swept_orders = [_order(options, work, rate, rank) for rate, rank in grid(adapters)]
                slots = min(options.slots or adapters, adapters)
                swept.append(
                    measure_sweep(field, records, swept_orders, slots=slots, rounds=options.sweep_rounds, say=say)
                )
    _show(options, settings, singles, memory, swept, versions)


def _show(
    options: argparse.Namespace,
    settings: dict[str, Any],
    singles: list[SingleRow],
    memory: list[MemoryRow],
    swept: list[SweepRow],
    versions: dict[str, dict[str, str]],
) -> None:
    about = {"machine": machine(), "settings": settings, "versions": versions}
    options.results.mkdir(parents=True, exist_ok=True)
    for part, rows, make in (
        ("single", singles, single_table),
        ("memory", memory, memory_table),
        ("sweep", swept, sweep_table),
    ):
        if rows:
            print(f"{make(rows)}\n")
            found = {**about, "rows": [dataclasses.asdict(row) for row in rows]}
            write_whole(options.results / f"{part}.json", json.dumps(found, indent=2) + "\n")


_SETTINGS = frozenset({"threads", "seed", "scale", "rounds", "sweep_rounds", "slots"})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.engine.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--envs", type=Path, default=ENVIRONMENTS, help="where the peers' environments are kept")
    add("--work", type=Path, default=ROOT / "bench/.work/engine", help="where models and rows are made")
    add("--results", type=Path, default=RESULTS, help="where figures are written")
    add("--only", nargs="+", choices=PARTS, default=PARTS)
    add("--works", nargs="+", choices=[work.name for work in WORKS], default=[work.name for work in WORKS])
    add("--peers", nargs="+", choices=[peer.name for peer in PEERS], default=())
    add("--threads", type=int, default=2, help="of every contestant alike")
    add("--seed", type=int, default=0)
    add("--scale", type=float, default=1.0, help="steps of every run, times this: 0.25 for a quick look")
    add("--rounds", type=int, default=3, help="of each pair")
    add("--sweeps", nargs="+", type=int, default=(8, 16), help="adapters of each sweep")
    add("--sweep-rounds", type=int, default=2)
    add("--slots", type=int, default=0, help="of the pack; 0: as many as adapters")
    add("--profile", action="store_true", help="only show where the time of our step goes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
