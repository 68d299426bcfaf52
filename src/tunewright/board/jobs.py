"""Work started from the board: a command of our own as a process of its own, which outlives the board.

What it says goes to a file below the runs folder, so that a board that is started again still shows it.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunewright.record.files import storage_errors, write_whole
from tunewright.record.run import free_name
from tunewright.schema.errors import UsageError
from tunewright.schema.recipe_io import check_keys

JOBS_FOLDER = ".board"
"""Begins with a dot: no run is looked for in it."""
TAIL_BYTES = 8_000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
GOALS = ("balanced", "eval")


@dataclass(frozen=True)
class Order:
    """What to run: the verb, its options, what it works on, and the name of the folder it will make."""

    verb: str
    name: str
    options: tuple[str, ...]
    subject: str

    def arguments(self, runs_dir: Path) -> list[str]:
        """Everything after ``tunewright``. Values are joined to their options by ``=`` and the subject stands behind
        ``--``, so that no value is ever read as an option."""
        return [self.verb, *self.options, f"--runs-dir={runs_dir}", f"--name={self.name}", "--no-progress", "--",
                self.subject]  # fmt: skip


@dataclass
class Jobs:
    """The work this board started. ``processes`` holds what can still be asked to stop."""

    runs_dir: Path
    environment: Mapping[str, str] | None = None
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.runs_dir / JOBS_FOLDER

    def start(self, order: Order) -> str:
        """Start it and return its name. Raises UsageError when the folder cannot be written."""
        log = self.folder / f"{order.name}.log"
        with storage_errors(log):
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(log, "wb") as out:
                self.processes[order.name] = subprocess.Popen(
                    [sys.executable, "-m", "tunewright", *order.arguments(self.runs_dir)],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env=self.environment,
                    start_new_session=True,  # Ctrl-C at the board's terminal must not reach the training
                )
        return order.name

    def state(self, name: str) -> dict[str, Any]:
        """{"name", "running", "exit", "can_stop", "log"}: how a job stands. Raises UsageError for an unknown name."""
        log = self.folder / f"{name}.log"
        if not NAME.fullmatch(name) or not log.is_file():
            raise UsageError("no work of that name was started from the board")
        process = self.processes.get(name)
        code = process.poll() if process else None
        running = process is not None and code is None
        return {"name": name, "running": running, "exit": code, "can_stop": running, "log": tail(log)}

    def stop(self, name: str) -> None:
        """Ask for a clean end, as Ctrl-C would: the step is finished and saved. Raises UsageError."""
        process = self.processes.get(name)
        if process is None:
            raise UsageError("this board did not start it, so it cannot stop it", hint="Ctrl-C where it was started")
        if process.poll() is None:
            os.kill(process.pid, signal.SIGINT)


def tail(log: Path) -> str:
    """The end of what a job said."""
    with open(log, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL_BYTES))
        return file.read().decode("utf-8", "replace")


def tuning_order(runs_dir: Path, asked: Mapping[str, Any]) -> Order:
    """A tuning as the form asks for it: data, model, goal, budget, name, and recipe settings. Raises UsageError."""
    data, model = text(asked, "data"), text(asked, "model")
    if not data:
        raise UsageError("no data file is named", hint="a JSONL, CSV or Parquet file of rows, or: demo")
    if not model and data != "demo":
        raise UsageError("no model is named", hint="a Hub name such as Qwen/Qwen3-0.6B, a folder, or: tiny")
    goal, budget = text(asked, "goal") or GOALS[0], text(asked, "budget")
    if goal not in GOALS:
        raise UsageError(f"goal {goal}: expected one of {', '.join(GOALS)}")
    options = [f"--goal={goal}"]
    options += [f"--{key}={value}" for key, value in (("model", model), ("budget", budget)) if value]
    return Order("tune", name_for(runs_dir, text(asked, "name"), "tune"), (*options, *settings_of(asked)), data)


def settings_of(asked: Mapping[str, Any]) -> list[str]:
    """The recipe keys of the form as ``--set`` options. Raises RecipeError for an unknown key."""
    settings = asked.get("settings") or {}
    if not isinstance(settings, Mapping):
        raise UsageError("settings: expected recipe keys with their values")
    given = {str(key): str(value).strip() for key, value in settings.items() if str(value).strip()}
    check_keys(given)
    return [f"--set={key}={value}" for key, value in given.items()]


def text(asked: Mapping[str, Any], key: str) -> str:
    """One line of the form. Raises UsageError for what no command line can hold."""
    value = str(asked.get(key) or "").strip()
    if len(value) > 4_000 or any(not sign.isprintable() for sign in value):
        raise UsageError(f"{key}: expected one line of text")
    return value


def name_for(runs_dir: Path, wanted: str, stem: str) -> str:
    """The name asked for when it is free, or the next free one. Raises UsageError."""
    if not wanted:
        return free_name(runs_dir, stem)
    if not NAME.fullmatch(wanted):
        raise UsageError(f"name {wanted!r}: expected letters, digits, '.', '_' and '-'")
    if (runs_dir / wanted).exists():
        raise UsageError(f"{wanted}: a run of that name exists", hint="leave the name empty for the next free one")
    return wanted


def next_order(runs_dir: Path, recipe_yaml: str) -> Order:
    """A run of a recipe that was prescribed; the recipe is kept beside the job's log."""
    name = name_for(runs_dir, "", "train")
    recipe = runs_dir / JOBS_FOLDER / f"{name}.yaml"
    with storage_errors(recipe):
        recipe.parent.mkdir(parents=True, exist_ok=True)
    write_whole(recipe, recipe_yaml)
    return Order("train", name, (), str(recipe))


def shown(order: Order, runs_dir: Path) -> str:
    """The command as one would type it."""
    return shlex.join(["tunewright", *order.arguments(runs_dir)])
