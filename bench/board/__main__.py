"""How soon a person sees something: the board, TensorBoard and Trackio on the same 100 runs of 50,000 points.

    python -m bench.board [--runs 100] [--points 50000] [--peer-runs 100] [--no-peers] [--json FILE]

Each server is started for its figure and each page is opened in a real Chromium. Seconds are of the wall clock, so the
load of the machine is printed with them. The runs are made once, under bench/.work/board (about 700 MB for ours).
"""

from __future__ import annotations

import argparse
import json
import os
from importlib import metadata
from pathlib import Path
from typing import Any

from tools.chromium import browser

from bench.board import ours, peers
from bench.board.runs import write_runs
from bench.records import machine
from bench.table import table

WORK = Path(__file__).resolve().parents[1] / ".work" / "board"
RESULT = Path(__file__).resolve().parents[1] / "results" / "board" / "board.json"


def main() -> None:
    asked = _arguments()
    root = write_runs(WORK / f"runs-{asked.runs}x{asked.points}", asked.runs, asked.points)
    found: dict[str, Any] = {"machine": machine(), "runs": asked.runs, "points": asked.points}
    found["versions"] = {name: metadata.version(name) for name in ("tunewright", "starlette", "uvicorn", "selenium")}
    found["load before"] = os.getloadavg()[0]
    with browser() as driver:
        found["versions"]["chromium"] = driver.capabilities["browserVersion"]
        found["board"] = ours.measure(driver, root, asked.runs, asked.points)
        if asked.peers:
            found["peers"] = peers.measure(driver, WORK, asked.peer_runs, asked.points)
    found["load after"] = os.getloadavg()[0]
    print(report(found))
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(found, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.board", description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--points", type=int, default=50_000)
    parser.add_argument("--peer-runs", type=int, default=100, help="writing their files takes minutes")
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    parser.add_argument("--json", type=Path, default=RESULT)
    return parser.parse_args()


def report(found: dict[str, Any]) -> str:
    """The figures as tables of text."""
    board = found["board"]
    pages = {name: one for name, one in board.items() if isinstance(one, dict) and "ready_s" in one}
    others = {name: one for name, one in found.get("peers", {}).items() if isinstance(one, dict)}
    rows = [
        [name, *(_s(one.get(key)) for key in ("first_paint_s", "ready_s", "server_cpu_s"))]
        for name, one in {**pages, **others}.items()
    ]
    memory = [[name.removesuffix(", MiB"), f"{one:.0f}"] for name, one in board.items() if name.endswith("MiB")]
    memory += [[name, f"{one['MiB']:.0f}"] for name, one in others.items()]
    said = [f"{name}: {one}" for name, one in found.get("peers", {}).items() if name not in others]
    point = board["new point_s"]
    return "\n\n".join([
        f"{found['runs']} runs x {found['points']:,} points; "
        f"load of the machine {found['load before']:.1f} to {found['load after']:.1f}",
        table(["page", "first paint, s", "seen, s", "of them server's processor, s"], rows),
        f"a new point on the screen: median {point['median']} s, worst {point['worst']} s",
        table(["server", "memory, MiB"], memory),
        *said,
    ])  # fmt: skip


def _s(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
