"""How fast logs are read: our readers beside TensorBoard's and pandas', and a verdict from a cold start.

    python -m bench.reading [--rows 1000000] [--points 200000] [--repeats 3] [--json FILE]

Every measurement is a process of its own, readers take turns, medians are compared: only the ratios travel from one
machine to another. Seconds are of processor time, one thread each, so that other work on the machine does not count.
The log is LLaMA-Factory's (a row: step, total, loss, learning rate, epoch, percentage, two times);
the event file is written by TensorBoard's own record writer.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.records import machine
from bench.table import table

OURS = "from tunewright.curve.read import read_curves\nfrom pathlib import Path\nread = lambda p: read_curves(Path(p))"
PANDAS = "import pandas\nread = lambda p: pandas.read_json(p, lines=True)"
TENSORBOARD = """
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
def read(p):
    found = EventAccumulator(p, size_guidance={"scalars": 0, "tensors": 0})
    found.Reload()
    return found.Tensors("train/loss") if "train/loss" in found.Tags()["tensors"] else found.Scalars("train/loss")
"""
TIMED = """
import json, resource, sys, time
began = time.process_time()
read(sys.argv[1])
seconds = time.process_time() - began
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def write_log(path: Path, rows: int) -> None:
    draw = np.random.default_rng(0)
    losses = (2 * np.arange(1, rows + 1) ** -0.1 * np.exp(0.05 * draw.standard_normal(rows))).round(4).tolist()
    with open(path, "w", encoding="utf-8") as file:
        for step, loss in enumerate(losses, start=1):
            row = {
                "current_steps": step,
                "total_steps": rows,
                "loss": loss,
                "lr": 1e-4 * (1 - step / rows),
                "epoch": round(3 * step / rows, 6),
                "percentage": round(100 * step / rows, 2),
                "elapsed_time": "1:02:03",
                "remaining_time": "4:05:06",
            }
            file.write(json.dumps(row) + "\n")


def write_events(folder: Path, points: int) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    folder.mkdir()
    with open(folder / "events.out.tfevents.1", "wb") as file:
        writer = RecordWriter(file)
        for step in range(1, points + 1):
            one = Summary.Value(tag="train/loss", simple_value=1 / step)
            writer.write(Event(wall_time=float(step), step=step, summary=Summary(value=[one])).SerializeToString())


def timed(reader: str, path: Path) -> tuple[float, float]:
    """(seconds of reading, peak MiB) of one reader in a process of its own."""
    command = [sys.executable, "-c", reader + TIMED, str(path)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    seconds, peak = json.loads(out.splitlines()[-1])
    return seconds, peak


def started(command: Sequence[str]) -> float:
    """Processor seconds of a command from start to end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(rows: int, points: int, repeats: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        log, short, events = root / "trainer_log.jsonl", root / "short/trainer_log.jsonl", root / "events"
        write_log(log, rows)
        short.parent.mkdir()
        write_log(short, 1000)
        write_events(events, points)
        jobs = {
            "ours_log": (OURS, log),
            "pandas_log": (PANDAS, log),
            "ours_events": (OURS, events),
            "tensorboard_events": (TENSORBOARD, events),
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
        cold: dict[str, list[float]] = {"diagnose": [], "numpy": []}
        verdict = [sys.executable, "-m", "tunewright.cli.main", "diagnose", str(short), "--json"]
        for _ in range(repeats):
            for name, (reader, path) in jobs.items():
                found[name].append(timed(reader, path))
        for _ in range(5 * repeats):
            cold["diagnose"].append(started(verdict))
            cold["numpy"].append(started([sys.executable, "-c", "import numpy"]))
    seconds = {name: statistics.median(one[0] for one in values) for name, values in found.items()}
    return {
        "rows": rows,
        "points": points,
        "ours_log_s": seconds["ours_log"],
        "pandas_log_s": seconds["pandas_log"],
        "ours_log_peak_MiB": max(peak for _, peak in found["ours_log"]),
        "pandas_log_peak_MiB": max(peak for _, peak in found["pandas_log"]),
        "ours_events_s": seconds["ours_events"],
        "tensorboard_events_s": seconds["tensorboard_events"],
        "diagnose_cold_s": statistics.median(cold["diagnose"]),
        "numpy_cold_s": statistics.median(cold["numpy"]),
    }


def shown(found: dict[str, float]) -> str:
    per_row = found["ours_log_s"] / found["rows"]
    per_point = found["tensorboard_events_s"] / found["points"]
    ours_point = found["ours_events_s"] / found["points"]
    lines = [
        ("log row, TensorBoard's reader per point", per_row * 1e6, per_point * 1e6, per_point / per_row),
        ("log row, pandas.read_json(lines=True)", per_row * 1e6, found["pandas_log_s"] / found["rows"] * 1e6,
         found["pandas_log_s"] / found["ours_log_s"]),
        ("event, TensorBoard's reader", ours_point * 1e6, per_point * 1e6, per_point / ours_point),
    ]  # fmt: skip
    rows = [[name, f"{ours:.2f}", f"{theirs:.2f}", f"{ratio:.1f}x"] for name, ours, theirs, ratio in lines]
    cold = found["diagnose_cold_s"] / found["numpy_cold_s"]
    return "\n".join([
        table(["reading, microseconds each", "ours", "theirs", "faster"], rows),
        f"peak memory for {found['rows']:,} rows: {found['ours_log_peak_MiB']:.0f} MiB "
        f"(pandas {found['pandas_log_peak_MiB']:.0f})",
        f"diagnose of 1,000 rows from a cold start: {cold:.2f} x the time of python -c 'import numpy'",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = measure(given.rows, given.points, given.repeats)
    print(shown(found))
    if given.json:
        given.json.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
