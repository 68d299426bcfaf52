"""One case: what the doctor found, the curve behind it, the recipe as far as it is known, and what was tried."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tunewright.prescribe.fit import least_gain
from tunewright.prescribe.values import as_set, is_number, show, whole_tenths
from tunewright.schema.curve import EMPTY, Curve, Series
from tunewright.schema.facts import RunSummary
from tunewright.schema.finding import Diagnosis, Finding
from tunewright.schema.probe import ProbeAnswer


@dataclass(frozen=True)
class Case:
    """What a prescription is made from. Nothing here is changed by a rule.

    diagnosis     : findings and the guide's reading of one run
    curve         : its curve; None when only the diagnosis is known (then nothing can be fitted)
    config        : recipe keys and values of that run; empty when unknown, then changes are relative
    rows          : training rows, None if unknown
    history       : past runs of the same data and model
    record        : rule -> loss after / loss before of each run it led to earlier, whatever the data
    probes        : answers of the probes that were run on this run's own rows and model
    usual         : recipe keys and the values such a run is planned with (model, method, rows), and ``rows_a_step``;
                    ``narrowest``: the smaller side of its narrowest layer; empty when unknown
    out_of_memory : the run ended because the device's memory was full
    """

    diagnosis: Diagnosis
    curve: Curve | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    rows: int | None = None
    history: tuple[RunSummary, ...] = ()
    out_of_memory: bool = False
    record: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    usual: Mapping[str, float] = field(default_factory=dict)
    probes: tuple[ProbeAnswer, ...] = ()

    def has(self, *symptoms: str) -> bool:
        return any(self.diagnosis.has(symptom) for symptom in symptoms)

    def first(self, *symptoms: str) -> Finding | None:
        """The highest-ranked finding that is one of ``symptoms``."""
        return next((finding for finding in self.diagnosis.findings if finding.symptom in symptoms), None)

    def value(self, key: str) -> Any:
        """The run's value of a recipe key, None if unknown; a learning rate may come from the logged column, and the
        epochs from the steps of one."""
        known = self.config.get(key)
        if known is None and key == "learning_rate":
            return self._peak_learning_rate()
        if known is None and key == "num_train_epochs" == self.duration_key:
            return self.epochs_of_the_curve
        return known

    def probed(self, probe: str) -> ProbeAnswer | None:
        """The answer of the probe of that name, None when it was not asked."""
        return next((answer for answer in self.probes if answer.probe == probe), None)

    def number(self, key: str) -> float | None:
        """The run's value of ``key`` when it is a finite number, else None."""
        value = self.value(key)
        return float(value) if is_number(value) else None

    def times_usual(self, key: str) -> float | None:
        """The run's value of ``key`` as a multiple of what such a run is planned with; None when either is unknown."""
        value, usual = self.number(key), self.usual.get(key)
        return value / usual if value and usual else None

    def _peak_learning_rate(self) -> float | None:
        # a log that stops inside the warm-up shows a lower peak than the recipe's
        if self.curve is None or self.has("prefix_log"):
            return None
        rates = self.curve.learning_rate.finite().values
        peak = float(rates.max()) if len(rates) else 0.0
        return as_set(peak) if peak > 0 else None

    @property
    def epochs_of_the_curve(self) -> float | None:
        """Epochs that the curve's own steps come to, whatever the recipe says; None where an epoch's are not known."""
        if self.curve is None or not self.curve.steps_per_epoch or self.total_steps <= 0:
            return None
        return whole_tenths(self.total_steps / self.curve.steps_per_epoch)

    @property
    def duration_key(self) -> str:
        """The key that decides how long the run is: a given ``max_steps`` rules over the epochs."""
        return "max_steps" if self.config.get("max_steps") else "num_train_epochs"

    @property
    def warmup_key(self) -> str:
        return "warmup_steps" if self.config.get("warmup_steps") else "warmup_ratio"

    @property
    def knows_warmup(self) -> bool:
        """Whether the warm-up is known, be it none: what lies beside a foreign log may leave it out."""
        return "warmup_steps" in self.config or "warmup_ratio" in self.config

    @property
    def epochs(self) -> float | None:
        """Epochs run: the recipe's, or those the curve spans; None if neither is known."""
        ruling = self.duration_key == "num_train_epochs"
        return self.number("num_train_epochs") if ruling else self.epochs_of_the_curve

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the planned run, or as many as were logged; 0 without a curve."""
        if self.curve is None:
            return self.diagnosis.source.steps
        return self.curve.total_steps or self.curve.last_step

    @property
    def final_loss(self) -> float | None:
        """Training loss at the end, nats per token: the doctor's, else the median of the last tenth.

        None when there is none, or when the logged figure is no training loss of this kind (NaN hidden as 0.0, a
        preference loss, a multiple of the loss): the guides' bands would then judge an artefact.
        """
        if self.has("non_finite", "all_masked", "not_an_nll", "scale_mismatch"):
            return None
        known = self.diagnosis.guide_reading.final_loss
        if known is not None:
            return known if math.isfinite(known) else None
        values = EMPTY.values if self.curve is None else self.curve.loss.finite().values
        return float(np.median(values[-max(1, len(values) // 10) :])) if len(values) else None

    @property
    def evals(self) -> Series:
        """Finite evaluation losses after training began (step 0, the untouched model, left out)."""
        if self.curve is None:
            return EMPTY
        points = self.curve.eval_loss.finite()
        keep = points.steps > 0
        return Series(points.steps[keep], points.values[keep])

    @property
    def has_eval(self) -> bool:
        return len(self.evals) > 0 or self.diagnosis.source.evals > 0

    @property
    def last_eval(self) -> float | None:
        return float(self.evals.values[-1]) if len(self.evals) else None

    @property
    def lowest_eval(self) -> tuple[int, float] | None:
        """(step, loss) of the lowest evaluation after step 0; None without one."""
        if not len(self.evals):
            return None
        where = int(np.argmin(self.evals.values))
        return int(self.evals.steps[where]), float(self.evals.values[where])

    def eval_story(self) -> str:
        """What the evaluation loss did, in one clause with its figures.

        Falling and rising are told by the last evaluation against the lowest one; without any, that is said. "Still
        falling" takes a last fall that is worth a run.
        """
        low, last = self.lowest_eval, self.last_eval
        if low is None or last is None:
            return "the evaluation loss was not logged" if self.has_eval else "no evaluation loss was measured"
        if len(self.evals) < 2:
            return f"the only evaluation loss is {show(last)}"
        if low[1] == last:
            before = float(self.evals.values[-2])
            falling = self.curve is not None and before - last > (least_gain(self.curve) or 0.0)
            how = "still falling" if falling else "lowest"
            return f"the evaluation loss was {how} at the end ({show(before)} -> {show(last)})"
        return f"the evaluation loss was lowest at step {low[0]} ({show(low[1])}) and {show(last)} at the end"
