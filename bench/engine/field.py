"""Who takes part, and the processes they run in: started when first asked, kept until the end."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from bench.engine.contestant import Contestant
from bench.engine.orders import Layout
from bench.peers import python_of


@dataclass(frozen=True)
class Entry:
    """One line of the table: a driver, the environment it needs ("" for our own), and how it lays out batches."""

    name: str
    driver: str
    environment: str = ""
    layout: Layout = "padded"


OURS = Entry("ours", "ours")
TRL = Entry("TRL", "trl_sft", "trl")
PEERS = (
    TRL,
    Entry("TRL, padding-free", "trl_sft", "trl", "padding_free"),
    Entry("TRL, packed", "trl_sft", "trl", "packed"),
    Entry("PEFT + Trainer", "peft_trainer"),
    Entry("LLaMA-Factory", "llama_factory", "llamafactory"),
)


class Field:
    """The contestants' processes; a context that ends them all."""

    def __init__(self, environments: Path, logs: Path, threads: int) -> None:
        self.environments, self.logs, self.threads = environments, logs, threads
        self._running: dict[str, Contestant] = {}

    def process(self, entry: Entry) -> Contestant:
        """The process of an entry; entries of one driver share it."""
        if entry.driver not in self._running:
            self._running[entry.driver] = self.fresh(entry)
        return self._running[entry.driver]

    def fresh(self, entry: Entry) -> Contestant:
        """A process of its own, for the caller to end."""
        python = python_of(entry.environment, self.environments) if entry.environment else Path(sys.executable)
        started = Contestant(entry.driver, python, threads=self.threads, log=self.logs / f"{entry.driver}.log")
        assert started.threads == self.threads, f"{entry.driver} runs {started.threads} threads"
        return started

    def __enter__(self) -> Field:
        return self

    def __exit__(self, *_: object) -> None:
        for contestant in self._running.values():
            contestant.close()
