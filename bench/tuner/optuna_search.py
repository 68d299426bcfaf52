"""Optuna's part of the table: its trials from its own environment, their cost counted here."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any, Literal

from bench.peers import ENVIRONMENTS, python_of
from bench.tuner.cells import Cell, Schedule
from bench.tuner.peers import Peer
from bench.tuner.search import Grid, Search, finite

Form = Literal["whole", "annealed"]
PINS = Path(__file__).with_name("optuna.txt")
TRIALS = 50
"""Enough for half of a grid's cost."""
VERY_BAD = 1e3
"""What a run whose numbers broke reports."""


class Studies:
    """Studies of one grid under one schedule, of many seeds, made at once."""

    def __init__(self, grid: Grid, schedule: Schedule, form: Form, seeds: int, environments: Path = ENVIRONMENTS):
        self.grid, self.schedule, self.form = grid, schedule, form
        self._runs = self._whole() if form == "whole" else self._annealed()
        order = {
            **{"form": form, "seeds": seeds, "trials": TRIALS},
            **{"rates": list(grid.rates), "ranks": list(grid.ranks), "epochs": list(grid.epochs)},
            "most_looks": max(looks[-1][0] for looks in self._runs.values()),
            "runs": self._runs,
        }
        answer = subprocess.run(
            [python_of("optuna", environments, pins=PINS, torch=False), Path(__file__).with_name("optuna_peer.py")],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            check=True,
        )
        found: dict[str, Any] = json.loads(answer.stdout)
        self.version, self.studies = str(found["version"]), found["studies"]

    def peer(self) -> Peer:
        """The search of one study; the seed says which."""

        def peer(search: Search, rng: random.Random) -> None:
            for trial in self.studies[rng.randrange(len(self.studies))]:
                self._follow(search, trial)

        return peer

    def _follow(self, search: Search, trial: dict[str, Any]) -> None:
        looks = self._runs[trial["run"]]
        rate, rank, *rest = trial["run"].split("/")
        config = self.grid.rates[int(rate)], int(rank)
        if self.form == "annealed":
            for _, count in zip(range(trial["looks"]), self.grid.epochs, strict=False):
                search.annealed(*config, count)
            if trial["looks"] < len(looks):
                search.drop_trunk(*config)
            return
        cell = Cell(self.schedule, self.grid.epochs[int(rest[0])], *config)
        if trial["looks"] == len(looks):
            search.run(cell)
        else:
            search.run(cell, looks[trial["looks"] - 1][0])
            search.drop([cell])

    def _whole(self) -> dict[str, list[tuple[int, float]]]:
        """Every look of every run under its own schedule."""
        found = {}
        for cell in self.grid.cells(self.schedule):
            place = self.grid.rates.index(cell.rate), cell.rank, list(self.grid.epochs).index(cell.epochs)
            looks = self.grid.logs[cell].looks[1:]
            found["/".join(map(str, place))] = [(look.step, min(VERY_BAD, finite(look.eval))) for look in looks]
        return found

    def _annealed(self) -> dict[str, list[tuple[int, float]]]:
        """The annealed loss of each length, from one trunk."""
        found = {}
        for place, rate in enumerate(self.grid.rates):
            for rank in self.grid.ranks:
                logs = [self.grid.logs[Cell("wsd", count, rate, rank)] for count in self.grid.epochs]
                found[f"{place}/{rank}"] = [
                    (number, VERY_BAD if log.broken else min(VERY_BAD, finite(log.best.eval)))
                    for number, log in enumerate(logs, start=1)
                ]
        return found
