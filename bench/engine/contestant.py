"""A contestant as this side sees it: a process that loads its libraries once and trains what it is told to."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.engine.orders import Order, Report
from bench.peers import ROOT


@dataclass(frozen=True)
class Answer:
    """Reports of one command, and the most memory the process has taken since its libraries were loaded."""

    reports: list[Report]
    peak_bytes: int


class Contestant:
    """One driver process. Everything it or its libraries print goes to ``log``.

    Every contestant gets the same number of threads, which sleep while they wait: what a library would choose for
    itself differs, and a spinning thread would disturb whoever is measured next.
    """

    def __init__(self, driver: str, python: Path, *, threads: int, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.driver, self.log = driver, log
        read_end, write_end = os.pipe()
        with open(log, "w", encoding="utf-8") as file:
            self._process = subprocess.Popen(
                [python, "-m", f"bench.engine.drivers.{driver}", str(write_end)],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                text=True,
                cwd=ROOT,
                env={**os.environ, **_environment(threads)},
                pass_fds=[write_end],
            )
        os.close(write_end)  # so that the end of the process ends the answers
        self._answers = os.fdopen(read_end, encoding="utf-8")
        ready = self._read()
        self.versions: dict[str, str] = ready["versions"]
        self.threads: int = ready["threads"]

    def train(self, order: Order) -> Answer:
        """Train one adapter. Raises RuntimeError with the log's name when the process ends instead."""
        return self._ask({"order": dataclasses.asdict(order)})

    def train_pack(self, orders: Sequence[Order], slots: int) -> Answer:
        """Train all orders, ``slots`` at a time."""
        return self._ask({"orders": [dataclasses.asdict(order) for order in orders], "slots": slots})

    def _ask(self, command: dict[str, Any]) -> Answer:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        return Answer([Report(**report) for report in answer["reports"]], answer["peak_bytes"])

    def _read(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            raise RuntimeError(f"{self.driver} ended with status {self._process.wait()}: see {self.log}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Let the process end, and wait until it has."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._answers.close()

    def __enter__(self) -> Contestant:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _environment(threads: int) -> dict[str, str]:
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "DISABLE_VERSION_CHECK": "1",
    }
