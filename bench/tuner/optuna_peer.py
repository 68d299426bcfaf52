"""Optuna's TPE with its Hyperband pruner on a grid's logs. Runs in an environment of its own: only Optuna is needed.

Reads one JSON on stdin and answers with one on stdout. In: ``form`` (whole or annealed), ``seeds``, ``trials``, the
grid's ``rates``, ``ranks``, ``epochs`` and ``runs``: for each, its cost from start to end, and what a trial sees as
(step, loss, cost so far). Out: for each seed the trials in order, each with its run and how many looks it had.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import optuna


def main() -> None:
    order = json.load(sys.stdin)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = [study_of(order, seed) for seed in range(order["seeds"])]
    json.dump({"version": optuna.__version__, "studies": found}, sys.stdout)


def study_of(order: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """The trials of one study, in the order in which they were run."""
    sampler = optuna.samplers.TPESampler(seed=seed)
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=order["most_looks"])
    # Hyperband assigns trials to brackets by a hash of the study's name, which is drawn by chance where none is given
    name = f"seed {seed}"
    study = optuna.create_study(study_name=name, sampler=sampler, pruner=pruner, direction="minimize")
    trials: list[dict[str, Any]] = []

    def objective(trial: optuna.Trial) -> float:
        names = [str(trial.suggest_categorical("rank", order["ranks"]))]
        # the learning rate is a number with an order, which the sampler may use: an index would say the same
        place = round(trial.suggest_float("log_rate", 0, len(order["rates"]) - 1))
        if order["form"] == "whole":
            names.append(str(trial.suggest_int("epochs", 0, len(order["epochs"]) - 1)))
        key = "/".join([str(place), *names])
        trials.append({"run": key, "looks": 0})
        best = float("inf")
        for step, loss in order["runs"][key]:
            trials[-1]["looks"] += 1
            best = min(best, loss)
            trial.report(loss, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return best

    study.optimize(objective, n_trials=order["trials"], catch=())
    return trials


if __name__ == "__main__":
    main()
