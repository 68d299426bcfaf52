"""The board on the bench's runs: the list, one curve, a new point, memory."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from selenium import webdriver

from bench.board.look import cpu_s, memory_MiB, opened, until
from bench.board.runs import event_line, losses
from tunewright.record.index import INDEX_FILE

LIST = "document.querySelectorAll('table.runs tbody tr').length >= {runs}"
CURVE = "document.querySelector('[data-panel=loss] canvas')"


@contextmanager
def board(root: Path) -> Iterator[tuple[str, int]]:
    """A board of its own; gives its address and process id."""
    command = [sys.executable, "-m", "tunewright", "board", str(root), "--no-browser", "--port=0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        found = next(filter(None, (re.search(r"(http://\S+:\d+/)", line) for line in process.stderr)))
        yield found[1], process.pid
    finally:
        process.kill()
        process.wait()


def measure(driver: webdriver.Chrome, root: Path, runs: int, points: int) -> dict[str, Any]:
    """Every figure, each from a server that was just started."""
    answer: dict[str, Any] = {}
    for name, keep_index in (("list, no index yet", False), ("list", True)):
        if not keep_index:
            (root / INDEX_FILE).unlink(missing_ok=True)
        with board(root) as (address, pid):
            answer[name] = costed(pid, partial(opened, driver, address, LIST.format(runs=runs)))
            answer[f"{name}, MiB"] = memory_MiB(pid)
    with board(root) as (address, pid):
        answer["one curve"] = costed(pid, partial(opened, driver, f"{address}?run=run-000", f"!!{CURVE}"))
        ten = "&".join(f"run=run-{number:03d}" for number in range(10))
        legend = "document.querySelectorAll('[data-panel=eval] .legend li')"
        compared = f"{legend}.length == 10 && !!document.querySelector('canvas')"
        answer["ten compared"] = costed(pid, partial(opened, driver, f"{address}?page=compare&{ten}", compared))
        answer["new point_s"] = new_points(driver, address, root, points)
        answer["after ten runs, MiB"] = memory_MiB(pid)
    return answer


def costed(pid: int, look: Callable[[], dict[str, float | None]]) -> dict[str, float | None]:
    """A look at a page, with the processor time the server took for it."""
    before = cpu_s(pid)
    return {**look(), "server_cpu_s": round(cpu_s(pid) - before, 2)}


def _says(driver: webdriver.Chrome, text: str) -> bool:
    return text in driver.execute_script("return document.querySelector('.pulse').textContent")


def new_points(driver: webdriver.Chrome, address: str, root: Path, points: int, times: int = 7) -> dict[str, float]:
    """Seconds from the end of a write of one line to its step on the screen, in a run that has all its points."""
    folder = root / "run-live"
    folder.mkdir(exist_ok=True)
    (folder / "recipe.yaml").write_text("model: acme/model\ndata: rows.jsonl\n")
    lines = [event_line(step, points, loss) for step, loss in enumerate(losses(0, points).tolist(), start=1)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    state = {"status": "running", "heartbeat": time.time() + 3_600, "model": "acme/model", "data": "rows.jsonl"}
    (folder / "run.json").write_text(json.dumps(state))
    opened(
        driver, f"{address}?run=run-live", f"!!{CURVE} && document.querySelector('.pulse').textContent.includes('live')"
    )
    time.sleep(3)
    took = []
    for step in range(points + 1, points + 1 + times):
        with open(folder / "metrics.jsonl", "a") as file:
            file.write(event_line(step, points, 0.3) + "\n")
        began = time.monotonic()
        shown = f"{step:,}"
        until(partial(_says, driver, shown))
        took.append(time.monotonic() - began)
        time.sleep(0.7)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    return {"median": round(statistics.median(took), 3), "worst": round(max(took), 3)}
