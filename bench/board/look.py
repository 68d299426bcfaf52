"""How long a page takes until a person sees something, in a real Chromium."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from selenium import webdriver

WAIT_S = 120.0


def opened(driver: webdriver.Chrome, address: str, ready: str) -> dict[str, float | None]:
    """Seconds from the start of the navigation to the first paint, and to the first moment ``ready`` is true.

    ``ready`` is a JavaScript expression, asked in the page at every animation frame, so that nothing is lost to the
    time between two questions from outside. None where it did not come within WAIT_S.
    """
    driver.get("about:blank")
    watch = (
        "window.seen = null; (function look() { let is = false; try { is = (" + ready + "); } catch { }"
        " if (is) window.seen = performance.now(); else requestAnimationFrame(look); })();"
    )
    script = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": watch})
    driver.get(address)
    seen = until(lambda: driver.execute_script("return window.seen"))
    painted = driver.execute_script(
        "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
    )
    driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    return {"first_paint_s": seconds(painted), "ready_s": seconds(seen)}


def seconds(ms: Any) -> float | None:
    return None if ms is None else round(float(ms) / 1000, 3)


def until(what: Any, wait_s: float = WAIT_S) -> Any:
    """The first answer that is not None or False; None when time is up."""
    ends = time.monotonic() + wait_s
    while time.monotonic() < ends:
        found = what()
        if found is not None and found is not False:
            return found
        time.sleep(0.02)
    return None


def memory_MiB(pid: int) -> float:
    """Resident memory of a process and its children, from /proc."""
    total = _resident_kB(pid)
    for child in _children(pid):
        total += memory_MiB(child) * 1024
    return total / 1024


def cpu_s(pid: int) -> float:
    """Processor time a process has used so far, its own threads included: the load of the machine is not in it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_kB(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0.0)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
