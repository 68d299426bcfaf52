"""What a report knows about a run or a tuning; read from its folder by :mod:`tunewright.reporter.view`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.reporter import load
from tunewright.schema.curve import EMPTY, Curve, Series
from tunewright.schema.exam import ExamResult
from tunewright.schema.finding import Diagnosis
from tunewright.schema.prescription import Change, Prescription, Range


@dataclass(frozen=True)
class Reasoned:
    """One planned value with its reason, as plan.json has it."""

    key: str
    value: Any
    why: str
    source: str


@dataclass(frozen=True)
class RunView:
    """One run. ``about`` is run.json, ``result`` the ``train`` JSON in it; empty where nothing is known.

    resumed, replaced : steps from which the run went on after a stop, and the training losses it had logged
                        beyond them before (on record twice, both are shown)
    problems          : what was missing or damaged, one sentence each
    """

    path: str
    name: str
    status: str
    about: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    recipe_yaml: str = ""
    values: tuple[Reasoned, ...] = ()
    predicted: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    prediction: Mapping[str, Any] = field(default_factory=dict)
    curve: Curve | None = None
    resumed: tuple[int, ...] = ()
    replaced: Series = EMPTY
    diagnosis: Diagnosis | None = None
    prescription: Prescription | None = None
    exam: ExamResult | None = None
    adapter_base: str = ""
    has_best: bool = False
    problems: tuple[str, ...] = ()

    @property
    def best_step(self) -> int | None:
        """Step of the kept checkpoint: as recorded, else that of the lowest validation loss; None without any."""
        recorded = load.count(self.result.get("best_step"))
        if recorded is not None:
            return recorded
        measured = self.curve.eval_loss.finite() if self.curve else EMPTY
        return int(measured.steps[np.argmin(measured.values)]) if len(measured) else None

    @property
    def eval_loss(self) -> float | None:
        """Validation loss of the best checkpoint: as recorded, else the lowest on the curve; None when unknown."""
        recorded = load.number(self.result.get("eval_loss"))
        if recorded is not None:
            return recorded
        measured = self.curve.eval_loss.finite() if self.curve else EMPTY
        return float(measured.values.min()) if len(measured) else None

    @property
    def base_eval_loss(self) -> float | None:
        recorded = load.number(self.result.get("base_eval_loss"))
        return recorded if recorded is not None or self.curve is None else self.curve.base_eval_loss

    @property
    def forgetting(self) -> float | None:
        """Rise of the loss on general text in nats per token, as recorded by the run or by its exam."""
        recorded = load.number(self.result.get("forgetting"))
        if recorded is None and self.exam is not None:
            return self.exam.forgetting.get("nats_per_token")
        return recorded

    @property
    def health(self) -> str:
        return self.diagnosis.health if self.diagnosis else str(self.result.get("health") or "unknown")

    @property
    def model(self) -> str:
        return str(self.about.get("model") or self.recipe.get("model") or "")

    @property
    def data(self) -> Any:
        return self.about.get("data") or self.recipe.get("data") or ""

    def __json__(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "recipe_yaml"}
        figures = {
            name: getattr(self, name) for name in ("eval_loss", "base_eval_loss", "best_step", "forgetting", "health")
        }
        return {"kind": "run", **fields, **figures}


@dataclass(frozen=True)
class TuningRun:
    """One run of a tuning with what led to it. ``view`` is None when its folder is gone."""

    name: str
    changes: tuple[Change, ...]
    why: str
    eval_loss: float | None
    forgetting: float | None
    health: str
    predicted: Range | None
    verdict: str
    findings: tuple[str, ...]
    view: RunView | None


@dataclass(frozen=True)
class TuningView:
    """A series of runs. ``best`` is the name of the kept run, empty when none was chosen yet."""

    path: str
    name: str
    about: Mapping[str, Any]
    runs: tuple[TuningRun, ...]
    best: str
    exam: ExamResult | None
    decisions: tuple[tuple[float | None, str], ...]
    problems: tuple[str, ...] = ()

    @property
    def best_run(self) -> TuningRun | None:
        return next((run for run in self.runs if run.name == self.best), None)

    @property
    def base_eval_loss(self) -> float | None:
        return load.number(self.about.get("base_eval_loss"))

    def __json__(self) -> dict[str, Any]:
        return {"kind": "tuning", **{name: getattr(self, name) for name in self.__dataclass_fields__}}


View = RunView | TuningView


def view_of_curve(
    curve: Curve, diagnosis: Diagnosis | None = None, prescription: Prescription | None = None
) -> RunView:
    """The view of a log of another tool, of which only the curve is known."""
    return RunView(
        path=curve.path,
        name=Path(curve.path).name,
        status="read from a log",
        recipe=curve.config,
        curve=curve,
        diagnosis=diagnosis,
        prescription=prescription,
    )
