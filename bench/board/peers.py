"""TensorBoard and Trackio on the same curves, each in its own files, started as its manual says.

Only what both have is compared: the page's first paint, the first curve on it, and the server's memory. Neither is
asked for a new point on the screen: TensorBoard's page asks its server every 30 seconds at the soonest, and its server
reads the files every 5 seconds, by default; Trackio's page polls every second.
"""

from __future__ import annotations

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver

from bench.board.look import memory_MiB, opened, until
from bench.peers import ENVIRONMENTS, python_of

PINS = Path(__file__).parent / "trackers.txt"
WRITE_EVENTS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from bench.board.runs import losses
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
for number in range(int(sys.argv[3])):
    folder = Path(sys.argv[2]) / f"run-{number:03d}"
    if (folder / "done").exists():
        continue
    writer = EventFileWriter(str(folder))
    for step, loss in enumerate(losses(number, int(sys.argv[4])).tolist(), start=1):
        value = Summary.Value(tag="loss", simple_value=loss)
        writer.add_event(Event(wall_time=1.7e9 + step, step=step, summary=Summary(value=[value])))
    writer.close()
    (folder / "done").write_text("")
"""
WRITE_TRACKIO = """
import sys
sys.path.insert(0, sys.argv[1])
from bench.board.runs import losses
from trackio.sqlite_storage import SQLiteStorage
have = set(SQLiteStorage.get_runs("bench")) if SQLiteStorage.get_projects() else set()
for number in range(int(sys.argv[3])):
    name = f"run-{number:03d}"
    if name in have:
        continue
    rows = [{"loss": loss} for loss in losses(number, int(sys.argv[4])).tolist()]
    SQLiteStorage.bulk_log("bench", name, rows, steps=list(range(1, len(rows) + 1)))
"""

SHOW_TRACKIO = """
import trackio
trackio.show("bench", open_browser=False, block_thread=True, host="127.0.0.1", server_port=7906)
"""


def measure(driver: webdriver.Chrome, work: Path, runs: int, points: int) -> dict[str, Any]:
    """The figures of both; a peer that does not install or start says so instead."""
    try:
        python = python_of("trackers", ENVIRONMENTS, pins=PINS, torch=False)
    except subprocess.CalledProcessError as error:
        return {"TensorBoard, Trackio": f"did not install: {error}"}
    return {
        f"TensorBoard, {runs} runs": tensorboard(driver, python, work / "tensorboard", runs, points),
        f"Trackio, {runs} runs": trackio(driver, python, work / "trackio", runs, points),
    }


def write(python: Path, script: str, folder: Path, runs: int, points: int, environment: Mapping[str, str]) -> float:
    began = time.monotonic()
    root = str(Path(__file__).resolve().parents[2])
    subprocess.run([python, "-c", script, root, folder, str(runs), str(points)], check=True, env=dict(environment))
    return round(time.monotonic() - began, 1)


@contextmanager
def served(command: list[Any], environment: Mapping[str, str], address: str) -> Iterator[tuple[int, float | None]]:
    """A peer's server; gives its process id and the seconds until it answered."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(environment))
    try:
        up = until(lambda: answers(address))
        yield process.pid, round(time.monotonic() - began, 1) if up else None
    finally:
        process.kill()
        process.wait()


def answers(address: str) -> bool | None:
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return None


def tensorboard(driver: webdriver.Chrome, python: Path, folder: Path, runs: int, points: int) -> dict[str, Any]:
    wrote_s = write(python, WRITE_EVENTS, folder, runs, points, os.environ)
    address = "http://127.0.0.1:6106/"
    command = [python, "-m", "tensorboard.main", "--logdir", folder, "--port", "6106", "--host", "127.0.0.1"]
    drawn = "!!document.querySelector('line-chart .series-view canvas, line-chart .series-view path')"
    with served(command, os.environ, address) as (pid, up_s):
        found = opened(driver, f"{address}#timeseries", drawn)
        time.sleep(20)  # it goes on reading behind the page
        return {"server up_s": up_s, **found, "MiB": memory_MiB(pid), "written in_s": wrote_s}


def trackio(driver: webdriver.Chrome, python: Path, folder: Path, runs: int, points: int) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "TRACKIO_DIR": str(folder)}
    wrote_s = write(python, WRITE_TRACKIO, folder, runs, points, environment)
    command = [python, "-c", SHOW_TRACKIO]
    address = "http://127.0.0.1:7906/"
    drawn = "!!document.querySelector('canvas, .vega-embed svg path, svg .mark-line path')"
    with served(command, environment, address) as (pid, up_s):
        found = opened(driver, f"{address}?project=bench", drawn)
        return {"server up_s": up_s, **found, "MiB": memory_MiB(pid), "written in_s": wrote_s}
