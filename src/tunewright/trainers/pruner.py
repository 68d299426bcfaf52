"""The doctor as an Optuna pruner: a trial ends when its curve is sick, never because its level is high.

    study = optuna.create_study(pruner=tunewright.TunewrightPruner())

Pruners that compare the losses of unfinished trials throw away what learns slowly at first: a low learning rate before
its decay, a long warm-up. This one asks of each trial's own curve what ``tunewright diagnose`` asks of any log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tunewright.doctor.codes import symptom_of
from tunewright.doctor.diagnose import diagnose
from tunewright.doctor.live import AT_ONCE
from tunewright.schema.curve import EMPTY, Curve, Series
from tunewright.schema.errors import EnvironmentMissing, UsageError
from tunewright.schema.finding import Finding

try:
    from optuna.logging import get_logger
    from optuna.pruners import BasePruner
    from optuna.study import StudyDirection
except ModuleNotFoundError as error:
    raise EnvironmentMissing(
        f"TunewrightPruner needs Optuna ({error})", hint='pip install "tunewright[optuna]"'
    ) from None

KILLS = ("non_finite", "divergence", "worse_than_start", "overfit")
"""What ends a trial: each is about the trial's own curve."""
STILL_GOING = 2**31
"""Planned steps of a trial when nobody says: verdicts that need the end of a run are then never given."""
Reported = Literal["eval_loss", "loss"]


class TunewrightPruner(BasePruner):  # type: ignore[misc]  # Optuna is not there for everybody
    """Prunes a trial whose curve diverged, became non-finite, rose above its start, or overfits beyond its noise.

    reported    : what the objective reports: "eval_loss" (the default) or the training "loss", nats per token
    total_steps : the last step a trial will report; None: not known, then a trial is never judged as ended
    kills       : symptoms or codes that end a trial; some or all of ``KILLS``

    Report ``trial.report(loss, step)`` with the untouched model as step 0: only then "worse than the start" can be
    told; a first report after training has begun should have a step above 0. NaN and infinity may be reported and end
    the trial at once; the other verdicts are estimates and must hold at two reports in a row. With fewer than two
    reports nothing else is pruned. A trial is never compared with another one.

    Why a trial was pruned is logged by Optuna's logger and kept in ``because``, by the trial's number.
    Raises UsageError for another ``reported``, an unknown symptom, or a study that maximises.

    >>> import optuna
    >>> pruner = TunewrightPruner()
    >>> study = optuna.create_study(pruner=pruner)
    >>> trial = study.ask()
    >>> for step, loss in enumerate([2.0, 1.5, float("nan")]):
    ...     trial.report(loss, step)
    >>> trial.should_prune(), pruner.because[0].split(":")[0]
    (True, 'non_finite')
    """

    def __init__(
        self,
        *,
        reported: Reported = "eval_loss",
        total_steps: int | None = None,
        kills: Sequence[str] | str = KILLS,
    ) -> None:
        if reported not in ("eval_loss", "loss"):
            raise UsageError(f"TunewrightPruner(reported={reported!r}): expected eval_loss or loss")
        self._reported, self._total_steps = reported, total_steps or STILL_GOING
        self._kills = _symptoms((kills,) if isinstance(kills, str) else kills)
        self.because: dict[int, str] = {}

    def prune(self, study: Any, trial: Any) -> bool:
        """Whether the trial should end. Optuna calls it from ``trial.should_prune()``."""
        if study.direction != StudyDirection.MINIMIZE:
            raise UsageError("TunewrightPruner reads losses: the study must minimise")
        fatal = self._fatal(trial.intermediate_values)
        if fatal is None:
            return False
        self.because[trial.number] = f"{fatal.symptom}: {fatal.why}"
        get_logger(__name__).info("trial %d is pruned: %s", trial.number, self.because[trial.number])
        return True

    def _fatal(self, values: Mapping[int, float]) -> Finding | None:
        """The first finding that ends the trial: a fact, or an estimate that the reports before the last show too."""
        points = sorted(values.items())
        findings = self._findings(points)
        if not findings or findings[0].symptom in AT_ONCE:
            return next(iter(findings), None)
        before = {finding.symptom for finding in self._findings(points[:-1])}
        return next((finding for finding in findings if finding.symptom in before), None)

    def _findings(self, points: Sequence[tuple[int, float]]) -> list[Finding]:
        series = Series.of(points)
        loss, eval_loss = (EMPTY, series) if self._reported == "eval_loss" else (series, EMPTY)
        curve = Curve("optuna", "", loss, eval_loss, total_steps=self._total_steps)
        return [finding for finding in diagnose(curve).findings if finding.symptom in self._kills]


def _symptoms(names: Sequence[str]) -> frozenset[str]:
    """Symptoms behind names or codes. Raises UsageError for one that ends no trial."""
    found = {name: symptom_of(name) for name in names}
    wrong = [name for name, symptom in found.items() if symptom not in KILLS]
    if wrong:
        raise UsageError(
            f"TunewrightPruner(kills=...): {', '.join(map(repr, wrong))}: expected some of {', '.join(KILLS)}"
        )
    return frozenset(symptom for symptom in found.values() if symptom is not None)
