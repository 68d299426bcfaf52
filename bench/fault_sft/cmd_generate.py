"""Makes the runs. Each finished run is one line; killed or paused at any time, the same command goes on.

python -m bench.fault_sft generate --workers 2
python -m bench.fault_sft generate --trainer trl     # in an environment that has TRL
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.fault_sft.bases import BASES
from bench.fault_sft.paths import BASES_DIR, REFERENCES, RUNS_DIR
from bench.fault_sft.plan import References, plan
from bench.fault_sft.plan_others import plan as plan_others
from bench.fault_sft.record import Record, append_line, read_lines
from bench.fault_sft.spec import Spec

# trainer -> the module whose run(spec, bases) makes a record
TRAINERS: dict[str, str] = {"hf": "hf_run", "trl": "trl_run", "llamafactory": "llamafactory_run"}


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and runs what is not there yet."""
    parser = argparse.ArgumentParser(prog="python -m bench.fault_sft generate", description=__doc__)
    parser.add_argument("names", nargs="*", help="bases (default: all with a reference)")
    parser.add_argument("--trainer", choices=sorted(TRAINERS), default="hf")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--first", type=int, default=1000, help="only so many runs of each base's plan")
    parser.add_argument("--only", choices=("control", "fault"), help="only runs without, or with, a fault")
    given = parser.parse_args(arguments)
    references = json.loads(REFERENCES.read_text())
    names = given.names or [base for base in BASES if f"{base}/full" in references]
    for base in names:
        planned = plan_of(base, given.trainer, references)[: given.first]
        wanted = [spec for spec in planned if given.only in (None, spec.kind)]
        generate(file_of(base, given.trainer), wanted, given.workers)


def file_of(base: str, trainer: str) -> Path:
    return RUNS_DIR / f"{base}.{trainer}.jsonl"


def generate(path: Path, wanted: Sequence[Spec], workers: int) -> None:
    """Those of the runs that are not in the file yet, in their order."""
    done = {line["id"] for line in read_lines(path)}
    missing = [spec for spec in wanted if spec.id not in done]
    print(f"{path.stem}: {len(wanted)} wanted, {len(missing)} to do", flush=True)
    with ProcessPoolExecutor(max_workers=workers) as pool:
        waiting = [(spec, pool.submit(one, spec)) for spec in missing]
        for number, (spec, future) in enumerate(waiting, 1):
            values, seconds = future.result()
            append_line(path, values)
            print(f"{number}/{len(missing)} {spec.id} {seconds:.1f} s cpu", flush=True)


def plan_of(base: str, trainer: str, references: References) -> list[Spec]:
    """The planned runs of a trainer on a base."""
    return plan(base, references) if trainer == "hf" else plan_others(base, trainer, references)


def one(spec: Spec) -> tuple[dict[str, Any], float]:
    """One run in a worker process with one thread; its record as JSON, and the CPU seconds it took."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
    begun = time.process_time()
    record: Record = import_module(f"bench.fault_sft.{TRAINERS[spec.trainer]}").run(spec, BASES_DIR)
    return record.to_json(), time.process_time() - begun
