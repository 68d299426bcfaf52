"""A board in a browser window, for the tests that look at what a person would see."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

AXE = Path(__file__).parents[1] / "assets" / "axe" / "axe.min.js"
WAIT_S = 60
"""Long enough for a crowded machine; nothing is timed by it."""


class Served:
    """A board in a process of its own, which can be killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.token = folder, 0, ""
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "tunewright", "board", str(self.folder), "--no-browser", f"--port={self.port}"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        for line in self.process.stderr:
            found = re.search(r":(\d+)/.*#token=(\S+)", line)
            if found:
                self.port, self.token = int(found[1]), found[2]
                return
        raise AssertionError("the board did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


class Page:
    """A browser window with the board in it."""

    def __init__(self, driver: webdriver.Chrome, served: Served) -> None:
        self.driver, self.served = driver, served
        driver.set_script_timeout(WAIT_S)

    def open(self, query: str = "", *, token: bool = False) -> None:
        self.driver.get(f"{self.served.address}{query}{f'#token={self.served.token}' if token else ''}")

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, what: Callable[[], Any], why: str) -> Any:
        """The first true answer of ``what``."""
        return WebDriverWait(self.driver, WAIT_S, poll_frequency=0.1).until(lambda _: what(), why)

    def text(self, selector: str) -> str:
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def wait_for(self, selector: str) -> Any:
        return self.wait(lambda: self.driver.find_elements(By.CSS_SELECTOR, selector), selector)[0]

    def click(self, selector: str) -> None:
        """Click what the selector finds, again when the page has drawn it anew meanwhile."""
        from selenium.common.exceptions import StaleElementReferenceException

        def clicked() -> bool:
            try:
                self.wait_for(selector).click()
            except StaleElementReferenceException:
                return False
            return True

        self.wait(clicked, f"a click on {selector}")

    def wait_for_charts(self) -> None:
        self.wait(lambda: self.run("return document.querySelectorAll('.plot canvas').length > 0"), "charts")

    def keys(self, keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(keys).perform()

    def complaints(self) -> list[str]:
        """What the browser's console holds against the page."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def faults(self) -> list[str]:
        """What axe-core finds wrong, serious or worse."""
        self.driver.execute_script(AXE.read_text())
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run({ resultTypes: ['violations'] }).then((r) => done(r.violations))"
        )
        return [
            f"{one['id']}: {node['target']} {node.get('failureSummary', '')[:300]}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    board = Served(folder)
    try:
        yield board
    finally:
        if board.process.poll() is None:
            os.kill(board.process.pid, signal.SIGKILL)
        board.process.wait()
        if board.process.stderr is not None:
            board.process.stderr.close()
