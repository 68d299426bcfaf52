"""Runs of the real Trainer, each kept as one line: the same command goes on where it was stopped."""

from __future__ import annotations

import os
import sys
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from bench.fault_sft.paths import BASES_DIR, ROOT
from bench.fault_sft.record import Record, append_line, read_lines
from bench.fault_sft.spec import Spec

RUNS = ROOT / "build" / "prescribe" / "runs.jsonl"


class Trained:
    """Every run made so far, by its spec's id; what is missing is trained."""

    def __init__(self, path: Path = RUNS) -> None:
        self._path = path
        self._known = {line["id"]: Record.from_json(line) for line in read_lines(path)}
        self.seconds = 0.0

    def run(self, spec: Spec) -> Record:
        """The record of a spec; trained once. CPU seconds of new ones are added to ``seconds``."""
        if spec.id not in self._known:
            began = time.process_time()
            record = _train(spec)
            took = time.process_time() - began
            self.seconds += took
            append_line(self._path, {**record.to_json(), "cpu_s": round(took, 2)})
            self._known[spec.id] = record
            print(f"{len(self._known)} {spec.id} {took:.1f} s cpu", file=sys.stderr, flush=True)
        return self._known[spec.id]


def _train(spec: Spec) -> Record:
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch
    from transformers.utils.logging import disable_progress_bar

    from bench.fault_sft.hf_run import run

    torch.set_num_threads(1)
    disable_progress_bar()
    with redirect_stdout(StringIO()):  # the Trainer prints every logged row
        return run(spec, BASES_DIR)
