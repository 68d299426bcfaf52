"""The contestant's end of the line: orders in on stdin, reports out on a pipe of their own, one JSON line each.

Not on stdout: libraries print there.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from bench.engine.orders import Order, Report

PACKAGES = ("torch", "transformers", "peft", "trl", "llamafactory", "accelerate")

Train = Callable[[Order], Report]
TrainPack = Callable[[Sequence[Order], int], list[Report]]


def serve(train: Train, train_pack: TrainPack | None = None) -> None:
    """Answer orders until stdin ends. Call it when everything is imported: memory is counted from here.

    A line is ``{"order": {...}}``, or ``{"orders": [...], "slots": K}`` for a pack. The first argument of the
    program is the number of the open file that answers go to.
    """
    out = os.fdopen(int(sys.argv[1]), "w", encoding="utf-8")
    baseline = memory_bytes("VmRSS")
    _say(out, {"ready": True, "threads": torch.get_num_threads(), "versions": versions()})
    for line in sys.stdin:
        command = json.loads(line)
        if "order" in command:
            reports = [train(Order(**command["order"]))]
        else:
            assert train_pack is not None, "this contestant trains one adapter at a time"
            reports = train_pack([Order(**order) for order in command["orders"]], command["slots"])
        peak = memory_bytes("VmHWM") - baseline
        _say(out, {"reports": [dataclasses.asdict(report) for report in reports], "peak_bytes": peak})


def _say(out: Any, answer: dict[str, Any]) -> None:
    out.write(json.dumps(answer) + "\n")
    out.flush()


def memory_bytes(field: str) -> int:
    """VmRSS (resident now) or VmHWM (the most so far) of this process. Linux only.

    Not getrusage's ru_maxrss: a process inherits that from the one that started it.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")


def versions() -> dict[str, str]:
    """What is installed of the packages that matter."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
