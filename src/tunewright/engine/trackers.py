"""Where else a run's numbers go: TensorBoard event files, Weights & Biases, Trackio, MLflow.

Each tracker sees the same events as metrics.jsonl, which stays the truth. Packages are imported when asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from tunewright.schema.errors import EnvironmentMissing
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


class Tracker(Protocol):
    """Takes numbers at a step; ``close`` writes out what is left."""

    def log(self, step: int, numbers: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class TensorBoardTracker:
    """Event files in the run folder."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tensorboard imports what its own dependencies deprecate
            from torch.utils.tensorboard.writer import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class WandbTracker:
    """A run of its own, beside those of a pack's other slots; also Trackio, which has the same interface."""

    def __init__(self, folder: Path, recipe: Recipe, *, package: str = "wandb") -> None:
        import importlib

        # by default wandb's second init of a process gives the first run back
        options = {"dir": str(folder), "reinit": "create_new"} if package == "wandb" else {}
        init = importlib.import_module(package).init
        self._run = init(project="tunewright", name=folder.name, config=recipe.model_dump(mode="json"), **options)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        self._run.finish()


class MlflowTracker:
    """An MLflow run under the tracking address and the experiment MLflow is set up with."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        import importlib

        self._mlflow = importlib.import_module("mlflow")
        self._run_id: str = self._mlflow.start_run(run_name=folder.name, nested=True).info.run_id
        self._mlflow.end_run("RUNNING")  # there can be one active run only: this one goes on under its name
        self._mlflow.log_params(recipe.model_dump(mode="json"), run_id=self._run_id)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(numbers), step=step, run_id=self._run_id)

    def close(self) -> None:
        self._mlflow.MlflowClient().set_terminated(self._run_id)


def _trackio(folder: Path, recipe: Recipe) -> Tracker:
    return WandbTracker(folder, recipe, package="trackio")


_MAKERS: dict[str, Callable[[Path, Recipe], Tracker]] = {
    "tensorboard": TensorBoardTracker,
    "wandb": WandbTracker,
    "trackio": _trackio,
    "mlflow": MlflowTracker,
}


def open_trackers(recipe: Recipe, folder: Path) -> tuple[list[Tracker], list[str]]:
    """The trackers a recipe reports to, and a line for each that is left out.

    TensorBoard is on by default, so a missing package only costs its files; the others were asked for by name.
    Raises EnvironmentMissing when one of those is not installed.
    """
    trackers: list[Tracker] = []
    notes: list[str] = []
    for name in recipe.report_to:
        if find_spec(name) is not None:
            trackers.append(_MAKERS[name](folder, recipe))
        elif name == "tensorboard":
            notes.append('no TensorBoard files: pip install "tunewright[tensorboard]" writes them')
        else:
            raise EnvironmentMissing(
                f"report_to {name}: the package is not installed", hint=f'pip install "tunewright[{name}]"'
            )
    return trackers, notes


def numbers_of(event: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of one event under the trackers' names.

    >>> numbers_of({"step": 3, "eval_loss": 1.5, "rows": [4]})
    {'eval/loss': 1.5}
    """
    return {name: float(event[key]) for key, name in NAMES.items() if key in event}
