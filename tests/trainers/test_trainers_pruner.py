"""The doctor as a pruner of a real Optuna study: sick curves end, slow ones go on."""

from __future__ import annotations

import math
from collections.abc import Callable

import optuna
import pytest

import tunewright
from tunewright.schema.errors import UsageError

optuna.logging.set_verbosity(optuna.logging.ERROR)
STEPS = 40
CURVES: dict[str, Callable[[int], float]] = {
    "good": lambda step: 0.8 + 1.2 * math.exp(-step / 8),
    "slow": lambda step: 2.0 - 0.01 * step,
    "high": lambda step: 9.0 - 0.02 * step,
    "broken": lambda step: 1.5 if step < 20 else math.nan,
    "worse": lambda step: 2.0 if step == 0 else 3.5 - 0.005 * step,
    "overfit": lambda step: 0.8 + 0.002 * (step - 12) ** 2,
}


def search(reported: str = "eval_loss", **given: object) -> tuple[optuna.Study, tunewright.TunewrightPruner]:
    """One trial for each curve, in their order."""
    pruner = tunewright.TunewrightPruner(reported=reported, **given)
    study = optuna.create_study(pruner=pruner, sampler=optuna.samplers.GridSampler({"curve": list(CURVES)}, seed=0))

    def objective(trial: optuna.Trial) -> float:
        curve = CURVES[trial.suggest_categorical("curve", list(CURVES))]
        for step in range(STEPS):
            trial.report(curve(step), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return curve(STEPS - 1)

    study.optimize(objective)
    return study, pruner


def states(study: optuna.Study) -> dict[str, tuple[str, int]]:
    """Curve -> how its trial ended, and at which step."""
    return {trial.params["curve"]: (trial.state.name, trial.last_step) for trial in study.trials}


def test_sick_trials_are_pruned_with_their_reason_and_healthy_ones_are_not() -> None:
    study, pruner = search()
    ended = states(study)
    for healthy in ("good", "slow", "high"):
        assert ended[healthy] == ("COMPLETE", STEPS - 1)
    assert ended["broken"] == ("PRUNED", 20)
    assert ended["worse"][0] == ended["overfit"][0] == "PRUNED"
    assert 13 < ended["overfit"][1] < STEPS - 1
    reasons = {
        trial.params["curve"]: pruner.because[trial.number].split(":")[0]
        for trial in study.trials[:]
        if trial.number in pruner.because
    }
    assert reasons == {"broken": "non_finite", "worse": "worse_than_start", "overfit": "overfit"}
    assert study.best_trial.params["curve"] == "good"


def test_a_high_level_is_no_reason_though_other_trials_are_far_lower() -> None:
    study = optuna.create_study(pruner=tunewright.TunewrightPruner())
    for level in (0.1, 50.0):
        trial = study.ask()
        for step in range(STEPS):
            trial.report(level * (1 - 0.01 * step), step)
            assert not trial.should_prune()
        study.tell(trial, level)


def test_training_losses_that_diverge_are_pruned() -> None:
    pruner = tunewright.TunewrightPruner(reported="loss")
    trial = optuna.create_study(pruner=pruner).ask()
    for step in range(1, 200):
        trial.report(2.0 - 0.01 * step if step < 80 else 1.2 + 0.1 * (step - 80), step)
        if trial.should_prune():
            break
    assert pruner.because[0].startswith("divergence")
    assert 80 < step < 140


def test_an_estimate_needs_two_reports_and_a_single_report_prunes_nothing() -> None:
    pruner = tunewright.TunewrightPruner()
    trial = optuna.create_study(pruner=pruner).ask()
    assert not trial.should_prune()
    for step, (loss, pruned) in enumerate([(2.0, False), (3.5, False), (3.5, True)]):
        trial.report(loss, step)
        assert trial.should_prune() is pruned


def test_only_the_named_symptoms_end_a_trial() -> None:
    ended = states(search(kills="non_finite")[0])
    assert {name for name, (state, _) in ended.items() if state == "PRUNED"} == {"broken"}


@pytest.mark.parametrize("given", [{"reported": "accuracy"}, {"kills": ("plateau",)}, {"kills": "nonsense"}])
def test_what_it_cannot_read_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        tunewright.TunewrightPruner(**given)


def test_a_study_that_maximises_is_refused() -> None:
    trial = optuna.create_study(direction="maximize", pruner=tunewright.TunewrightPruner()).ask()
    trial.report(1.0, 0)
    with pytest.raises(UsageError, match="minimise"):
        trial.should_prune()
