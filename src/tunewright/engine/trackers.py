"""Where else a run's numbers go: TensorBoard event files, Weights & Biases, Trackio, MLflow.

Each tracker sees the same events as metrics.jsonl, which stays the truth. Packages are imported when asked for.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from tunewright.record.run import Run
from tunewright.schema.errors import EnvironmentMissing
from tunewright.schema.finding import Finding
from tunewright.schema.recipe import Recipe

NAMES = {
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    "grad_norm": "train/grad_norm",
    "epoch": "train/epoch",
    "tokens": "train/tokens",
    "eval_loss": "eval/loss",
    "general_loss": "eval/general_loss",
}
"""Metrics under the names Trainer's own reports use, so that boards made for those show ours."""


IDENTITIES_FILE = "trackers.json"
"""Under which names the trackers know the run, so that it is the same one when it goes on or is told more later."""
_LEVELS = {"error": "ERROR", "warning": "WARN"}
"""Findings worth an alert where a tracker sends alerts, at its level."""


@dataclass(frozen=True)
class Told:
    """What is known of a run once its curve was read: ``figures`` such as exam/variation, at its last ``step``."""

    step: int
    health: str
    findings: tuple[Finding, ...]
    figures: Mapping[str, float]

    @property
    def lines(self) -> list[str]:
        """Each finding as one line."""
        return [
            f"{one.severity}: {one.code} {one.symptom}, steps {one.steps[0]} to {one.steps[1]}: {one.why}"
            for one in self.findings
        ]


class Tracker(Protocol):
    """Takes numbers at a step, and at the end what they mean; ``close`` writes out what is left.

    ``identity``: what the tracker calls the run; "" when it needs no name to find it again.
    """

    identity: str

    def log(self, step: int, numbers: Mapping[str, float]) -> None: ...

    def tell(self, told: Told) -> None: ...

    def close(self) -> None: ...


class TensorBoardTracker:
    """Event files in the run folder."""

    def __init__(self, folder: Path, recipe: Recipe, identity: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tensorboard imports what its own dependencies deprecate
            from torch.utils.tensorboard.writer import SummaryWriter

        self.identity = ""
        self._writer = SummaryWriter(str(folder))

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def tell(self, told: Told) -> None:
        if told.findings:
            findings = "".join(f"- {line}\n" for line in told.lines)
            self._writer.add_text("findings", f"health: {told.health}\n\n{findings}", told.step)
        self.log(told.step, told.figures)

    def close(self) -> None:
        self._writer.close()


class WandbTracker:
    """A run of its own, beside those of a pack's other slots."""

    package, known_by = "wandb", "id"

    def __init__(self, folder: Path, recipe: Recipe, identity: str) -> None:
        self._package = importlib.import_module(self.package)
        place, config = self._place(folder, identity), recipe.model_dump(mode="json")
        with redirect_stdout(sys.stderr):  # trackio prints, and stdout is for data
            self._run = self._package.init(project="tunewright", config=config, **place)
        self.identity = str(getattr(self._run, self.known_by))

    def _place(self, folder: Path, identity: str) -> dict[str, str]:
        # by default wandb's second init of a process gives the first run back
        place = {"name": folder.name, "dir": str(folder), "reinit": "create_new"}
        return {**place, "id": identity, "resume": "allow"} if identity else place

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def tell(self, told: Told) -> None:
        if told.figures:
            self.log(told.step, told.figures)
        if hasattr(self._run, "summary"):
            findings = {"findings": told.lines} if told.findings else {}
            self._run.summary.update({"health": told.health, **findings, **told.figures})
        with redirect_stdout(sys.stderr):
            for one in told.findings:
                if one.severity in _LEVELS:
                    level = self._package.AlertLevel[_LEVELS[one.severity]]
                    self._run.alert(title=f"{one.code} {one.symptom}", text=one.why, level=level)

    def close(self) -> None:
        with redirect_stdout(sys.stderr):
            self._run.finish()


class TrackioTracker(WandbTracker):
    """The same interface as W&B's; a run is known by its name."""

    package, known_by = "trackio", "name"

    def _place(self, folder: Path, identity: str) -> dict[str, str]:
        return {"name": identity, "resume": "allow"} if identity else {"name": folder.name}

    def close(self) -> None:
        super().close()
        held = getattr(self._package, "context_vars", None)
        if held is not None and held.current_run.get() is self._run:
            held.current_run.set(None)  # it would be finished once more at exit, and that printed to stdout


class MlflowTracker:
    """An MLflow run under the tracking address and the experiment MLflow is set up with."""

    def __init__(self, folder: Path, recipe: Recipe, identity: str) -> None:
        self._mlflow = importlib.import_module("mlflow")
        self.identity = identity
        if not identity:
            self.identity = str(self._mlflow.start_run(run_name=folder.name, nested=True).info.run_id)
            self._mlflow.end_run("RUNNING")  # there can be one active run only: this one goes on under its name
            self._mlflow.log_params(recipe.model_dump(mode="json"), run_id=self.identity)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(numbers), step=step, run_id=self.identity)

    def tell(self, told: Told) -> None:
        client = self._mlflow.MlflowClient()
        client.set_tag(self.identity, "health", told.health)
        if told.findings:
            client.log_text(self.identity, "\n".join(told.lines), "findings.txt")
        if told.figures:
            self.log(told.step, told.figures)

    def close(self) -> None:
        self._mlflow.MlflowClient().set_terminated(self.identity)


_MAKERS: dict[str, Callable[[Path, Recipe, str], Tracker]] = {
    "tensorboard": TensorBoardTracker,
    "wandb": WandbTracker,
    "trackio": TrackioTracker,
    "mlflow": MlflowTracker,
}


def open_trackers(recipe: Recipe, folder: Path) -> tuple[list[Tracker], list[str]]:
    """The trackers a recipe reports to, and a line for each that is left out.

    A run they know already, from before a stop or an exam, is gone on with. TensorBoard is on by default, so a missing
    package only costs its files; the others were asked for by name. Raises EnvironmentMissing when one of those is not
    installed.
    """
    trackers: list[Tracker] = []
    notes: list[str] = []
    run = Run(folder)
    known = run.read(IDENTITIES_FILE)
    found: dict[str, str] = {}
    for name in recipe.report_to:
        if find_spec(name) is not None:
            trackers.append(_MAKERS[name](folder, recipe, str(known.get(name, ""))))
            found |= {name: trackers[-1].identity} if trackers[-1].identity else {}
        elif name == "tensorboard":
            notes.append('no TensorBoard files: pip install "tunewright[tensorboard]" writes them')
        else:
            raise EnvironmentMissing(
                f"report_to {name}: the package is not installed", hint=f'pip install "tunewright[{name}]"'
            )
    if found and found != known:
        run.write(IDENTITIES_FILE, {**known, **found})
    return trackers, notes


def tell_trackers(recipe: Recipe, folder: Path, told: Told) -> None:
    """Send what a run's curve and its exam mean to the trackers that have a place for it; nothing without any."""
    if not (told.findings or told.figures):
        return
    for tracker in open_trackers(recipe, folder)[0]:
        tracker.tell(told)
        tracker.close()


def numbers_of(event: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of one event under the trackers' names.

    >>> numbers_of({"step": 3, "eval_loss": 1.5, "rows": [4]})
    {'eval/loss': 1.5}
    """
    return {name: float(event[key]) for key, name in NAMES.items() if key in event}
