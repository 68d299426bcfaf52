"""tune: plan, run, read, change, run again, examine, write down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from tunewright.app.prepare import Prepared, prepare
from tunewright.app.request import Request
from tunewright.app.series import open_series, resume_command, unfinished_series
from tunewright.app.tuning_at_work import TuningAtWork
from tunewright.app.tuning_domain import plan_domain
from tunewright.app.watch import Silent, Watch
from tunewright.planner.sources import GIVEN
from tunewright.record.run import Run
from tunewright.schema.errors import Interrupted, UsageError
from tunewright.tuner.budget import Budget, default_budget, parse_budget
from tunewright.tuner.scouting import PLANNED_SHARE
from tunewright.tuner.step import Goal

MOST_RANK = 64
GOALS: tuple[Goal, ...] = get_args(Goal)


def tune(
    data: str = "",
    *,
    request: Request | None = None,
    goal: str = "balanced",
    budget: str = "",
    resume: bool = False,
    domain: str = "",
    runs_dir: str | Path = "runs",
    name: str = "",
    watch: Watch | None = None,
    command: str = "",
    **settings: Any,
) -> dict[str, Any]:
    """A series of runs toward the sweet spot, the exam of the best one, and the report. Returns the ``tune`` JSON.

    ``domain``: raw text of the subject, for a stage before the instructions where its volume or its gain asks for one.

    ``tw.tune("rows.jsonl", model="Qwen/Qwen3-0.6B", budget="30m")``
    """
    if goal not in GOALS:
        raise UsageError(f"--goal {goal}: expected one of {', '.join(GOALS)}")
    runs_dir, request = Path(runs_dir), request or Request(data=data, settings=settings)
    if resume:
        _refuse_without_command(request.data, runs_dir, name)
    # what a tuning starts from does not change while it goes on: later runs, its own too, are not learned from
    before = float(unfinished_series(runs_dir, "tune", name).read().get("started", 0.0)) if resume else None
    prepared = prepare(request, runs_dir=runs_dir, before=before)
    if not prepared.val.rows:
        raise UsageError("a tuning needs validation rows: give --val FILE or a val_size above 0")
    allowed = _budget(prepared, budget)
    prepared = _within(prepared, allowed, goal, request, runs_dir, before)
    text = plan_domain(domain, prepared) if domain else None
    folder = open_series(runs_dir, "tune", name=name, resume=resume, command=command)
    try:
        kept: Goal = "eval" if goal == "eval" else "balanced"
        return TuningAtWork(folder, prepared, kept, allowed, watch or Silent(), text).go()
    except Interrupted as error:
        folder.update(status="interrupted")
        raise Interrupted(error.message, hint=resume_command(command, "tunewright tune ...")) from None


def _refuse_without_command(data: str, runs_dir: Path, name: str) -> None:
    """A tuning is planned anew when it goes on, from what it was begun with: that is in the command, which is kept."""
    itself = bool(data) and (Path(data) / "tuning.json").is_file()
    if data and not itself:
        return
    folder = Run(Path(data).absolute()) if itself else unfinished_series(runs_dir, "tune", name)
    began = str(folder.read().get("command") or "")
    raise UsageError(
        f"{folder.path}: a tuning goes on with the command that began it, data and settings given again",
        hint=resume_command(began, "tunewright tune DATA ..."),
    )


def _budget(prepared: Prepared, text: str) -> Budget:
    """What the user allows, or the default for data of this size."""
    if text:
        allowed = parse_budget(text, prepared.train.tokens)
        if min(allowed.tokens, allowed.seconds, allowed.runs) <= 0:
            raise UsageError(f"--budget {text}: nothing may be spent, so nothing can be trained", hint="--budget 1runs")
        return allowed
    return default_budget(len(prepared.train.rows), prepared.train.tokens)


def _within(
    prepared: Prepared, allowed: Budget, goal: str, request: Request, runs_dir: Path, before: float | None
) -> Prepared:
    """The plan as a tuning needs it: what the planner chose for a single run, changed where several will be made.

    Epochs: of a run of at most half of the budget, with the batch that suits that length; the other half finds out
    which run it should be. Rank, for the loss alone: twice the planned one; it costs no token, low ranks lose up to
    2 % and draw the best learning rate down, and alpha is fixed, so the rate stays. What the user set stays too.
    """
    planned = {value.key: value for value in prepared.plan.values}
    wanted: dict[str, tuple[Any, str]] = {}
    epochs = max(1.0, round(PLANNED_SHARE * allowed.tokens / max(1, prepared.train.tokens), 1))
    if prepared.recipe.max_steps is None and epochs < prepared.recipe.num_train_epochs:
        wanted["num_train_epochs"] = (epochs, f"{epochs:g}: half of the budget ({allowed.said})")
    narrowest = prepared.model.narrowest or 0
    rank = min(MOST_RANK, 2 * prepared.recipe.lora_rank)
    if goal == "eval" and prepared.recipe.lora_rank < rank <= narrowest:
        wanted["lora_rank"] = (rank, f"{rank}: twice the planned rank, as a tuning compares at no extra token")
    wanted = {key: found for key, found in wanted.items() if planned[key].source != GIVEN}
    if not wanted:
        return prepared
    changed = {key: value for key, (value, _) in wanted.items()}
    made = prepare(replace(request, settings={**request.settings, **changed}), runs_dir=runs_dir, before=before)
    said = {
        key: replace(planned[key], value=value, why=f"{why}. {planned[key].why}")
        for key, (value, why) in wanted.items()
    }
    values = tuple(said.get(value.key, value) for value in made.plan.values)
    return replace(made, plan=replace(made.plan, values=values))
