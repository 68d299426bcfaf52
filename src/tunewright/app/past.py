"""The runs that ended below a folder, as plans and prescriptions learn from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunewright.app.runs import settings_of
from tunewright.prescribe.promise import same_evaluation
from tunewright.record.run import Run, find_runs
from tunewright.schema import jsonio
from tunewright.schema.errors import DataError, RecipeError
from tunewright.schema.facts import PastRun, RunSummary


def past_runs(runs_dir: Path, model: str, *, before: float | None = None) -> tuple[PastRun, ...]:
    """Runs of ``model`` below ``runs_dir`` that ended with a result or out of memory, oldest first.

    ``before``: a time in seconds; later runs are left out, so that a series that goes on is planned as it was begun.
    Damaged and foreign folders are passed over: ``runs ls`` names them.
    """
    return _past_of(_named(runs_dir), model, before)


def tried_before(run: Run, runs_dir: Path) -> tuple[RunSummary, ...]:
    """What else was run on this run's data and model, below ``runs_dir`` and beside the run, evaluated alike."""
    about, config = run.read(), settings_of(run)
    sha256, model = about.get("data_sha256"), about.get("model")
    if not sha256 or not model:
        return ()
    beside = {mark.parent: mark.parent.name for mark in sorted(run.path.absolute().parent.glob("*/run.json"))}
    places = {**beside, **_named(runs_dir)}
    places.pop(run.path.absolute(), None)
    # the same rows may lie under another name now
    alike = [
        replace(one.summary, config={**one.summary.config, "data": config.get("data")})
        for one in _past_of(places, model, None)
        if one.data_sha256 == sha256
    ]
    return tuple(one for one in alike if same_evaluation(one.config, config))


def _named(runs_dir: Path) -> dict[Path, str]:
    """Every run folder below ``runs_dir`` with the name it is told by."""
    top = runs_dir.absolute()
    return {run.path: run.path.relative_to(top).as_posix() for run in find_runs(top)} if top.is_dir() else {}


def _past_of(places: Mapping[Path, str], model: str, before: float | None) -> tuple[PastRun, ...]:
    found = (_past(Run(path), name, model, before) for path, name in places.items())
    return tuple(one for one in found if one is not None)


def _past(run: Run, name: str, model: str, before: float | None) -> PastRun | None:
    try:
        about = run.read()
        if about.get("model") != model or not about.get("data_sha256") or not _ended(about):
            return None
        if before is not None and float(about.get("ended") or before) >= before:
            return None
        return PastRun(
            summary=_summary(run, name, about),
            data_sha256=str(about["data_sha256"]),
            rows=int(about.get("rows", {}).get("train") or 0),
            tokens_per_row=about.get("tokens_per_row"),
        )
    except (DataError, RecipeError, TypeError, ValueError, KeyError, AttributeError):
        return None


def _ended(about: dict[str, Any]) -> bool:
    """Whether the run says something about its recipe: one that failed on a full disk does not."""
    return about.get("status") == "finished" or about.get("error_code") == "out_of_memory"


def _summary(run: Run, name: str, about: dict[str, Any]) -> RunSummary:
    result, plan = about.get("result", {}), run.read("plan.json")
    per_epoch = plan.get("predicted", {}).get("steps_per_epoch")
    best_step = result.get("best_step")
    failed = about.get("status") != "finished"
    return RunSummary(
        name=name,
        config=_config(run, plan),
        eval_loss=float("nan") if failed else jsonio.number_or_none(result.get("eval_loss")),
        base_eval_loss=jsonio.number_or_none(result.get("base_eval_loss")),
        best_epoch=best_step / per_epoch if best_step is not None and per_epoch else None,
        forgetting=jsonio.number_or_none(result.get("forgetting")),
        health="sick" if failed else str(result.get("health") or "unknown"),
    )


def _config(run: Run, plan: dict[str, Any]) -> dict[str, Any]:
    """The recipe, from plan.json where it is whole: reading YAML takes a hundred times as long."""
    values = {one["key"]: one["value"] for one in plan.get("values", ())}
    return values or settings_of(run)
