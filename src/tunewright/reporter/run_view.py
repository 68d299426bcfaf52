"""What a report knows about a run or a tuning; read from its folder by :mod:`tunewright.reporter.view`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from functools import cached_property
from pathlib import Path
from typing import Any

from tunewright.reporter import load
from tunewright.reporter.figures import Figures, figures_of
from tunewright.schema.curve import EMPTY, Curve, Series
from tunewright.schema.exam import ExamResult
from tunewright.schema.finding import Diagnosis
from tunewright.schema.plan import PlannedValue
from tunewright.schema.prescription import Change, Prescription, Range

LOG_STATUS = "read from a log"


@dataclass(frozen=True)
class RunView:
    """One run. ``about`` is run.json, ``result`` the ``train`` JSON in it; empty where nothing is known.

    resumed  : steps from which the run went on after a stop
    check    : what the check of its data found, as check.json has it
    problems : what was missing or damaged, one sentence each
    """

    path: str
    name: str
    status: str
    about: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    recipe_yaml: str = ""
    values: tuple[PlannedValue, ...] = ()
    predicted: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    prediction: Mapping[str, Any] = field(default_factory=dict)
    check: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[tuple[float | None, str], ...] = ()
    tags: tuple[str, ...] = ()
    curve: Curve | None = None
    resumed: tuple[int, ...] = ()
    diagnosis: Diagnosis | None = None
    prescription: Prescription | None = None
    exam: ExamResult | None = None
    adapter_base: str = ""
    has_best: bool = False
    problems: tuple[str, ...] = ()

    @property
    def is_log(self) -> bool:
        """Whether this is a log of another tool, of which only the curve is known."""
        return self.status == LOG_STATUS

    @cached_property
    def figures(self) -> Figures:
        """The numbers every face shows."""
        return figures_of(
            self.result,
            self.curve,
            health=self.diagnosis.health if self.diagnosis else "",
            exam_forgetting=self.exam.forgetting.get("nats_per_token") if self.exam else None,
        )

    @property
    def best_step(self) -> int | None:
        return self.figures.best_step

    @property
    def eval_loss(self) -> float | None:
        return self.figures.eval_loss

    @property
    def base_eval_loss(self) -> float | None:
        return self.figures.base_eval_loss

    @property
    def forgetting(self) -> float | None:
        return self.figures.forgetting

    @property
    def health(self) -> str:
        return self.figures.health

    @property
    def replaced(self) -> Series:
        """Training losses of branches the run left when it was resumed: both are on record, both are shown."""
        return self.curve.replaced if self.curve is not None else EMPTY

    @property
    def model(self) -> str:
        return str(self.about.get("model") or self.recipe.get("model") or "")

    @property
    def data(self) -> Any:
        return self.about.get("data") or self.recipe.get("data") or ""

    def __json__(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "recipe_yaml"}
        shown = {field.name: getattr(self.figures, field.name) for field in dataclass_fields(Figures)}
        return {"kind": "run", **fields, **shown}


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

    @property
    def averaged(self) -> tuple[str, ...]:
        """The runs whose weights were averaged in what is kept, the best first; empty when it is one run's own."""
        return load.texts(self._mean.get("names"))

    @property
    def kept_loss(self) -> float | None:
        """Validation loss of what is kept: of the mean, or of the best run."""
        return self._kept("eval_loss")

    @property
    def kept_forgetting(self) -> float | None:
        return self._kept("forgetting")

    @property
    def _mean(self) -> Mapping[str, Any]:
        return load.mapping(load.mapping(self.about.get("best")).get("blend"))

    def _kept(self, key: str) -> float | None:
        of_best: float | None = getattr(self.best_run, key, None)
        return load.number(self._mean.get(key)) if self.averaged else of_best

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
        status=LOG_STATUS,
        recipe=curve.config,
        curve=curve,
        diagnosis=diagnosis,
        prescription=prescription,
    )
