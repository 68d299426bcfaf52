"""Optuna's TPE asked for one trial. Runs in an environment of its own: only Optuna is needed.

Reads one JSON on stdin and answers with one on stdout. In: ``seed``, ``rates`` (lowest, highest), ``choices`` (setting
-> values) and ``trials`` so far, each with its ``values`` and its ``loss``, null where the run failed. Out: a value for
each setting.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

STARTUP_TRIALS = 1
"""The faulty run is one. Optuna's own 10 would make every run of a budget of three a random draw."""


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    json.dump(ask(json.load(sys.stdin)), sys.stdout)


def ask(order: dict[str, Any]) -> dict[str, Any]:
    """What a study of these trials wants to see next."""
    space: dict[str, BaseDistribution] = {"learning_rate": FloatDistribution(*order["rates"], log=True)}
    space.update({name: CategoricalDistribution(values) for name, values in order["choices"].items()})
    sampler = optuna.samplers.TPESampler(seed=order["seed"], n_startup_trials=STARTUP_TRIALS)
    study = optuna.create_study(sampler=sampler, direction="minimize")
    for trial in order["trials"]:
        known = {name: space[name] for name in trial["values"]}
        failed = trial["loss"] is None
        state = optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE
        study.add_trial(
            optuna.trial.create_trial(params=trial["values"], distributions=known, value=trial["loss"], state=state)
        )
    return dict(study.ask(space).params)


if __name__ == "__main__":
    main()
