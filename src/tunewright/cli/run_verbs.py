"""The verbs that plan, train and examine: check, plan, train, tune, exam."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Any

import typer

from tunewright.cli import options as o
from tunewright.cli.out import emit
from tunewright.cli.talk import Terminal
from tunewright.schema.errors import Exit, UsageError


def register(app: typer.Typer) -> None:
    app.command(epilog="tunewright check rows.jsonl --model Qwen/Qwen3-0.6B --show-mask 2")(check)
    app.command(epilog="tunewright plan rows.jsonl --model Qwen/Qwen3-0.6B --out recipe.yaml")(plan)
    app.command(epilog="tunewright train rows.jsonl --model Qwen/Qwen3-0.6B --set num_train_epochs=3")(train)
    app.command(epilog="tunewright tune rows.jsonl --model Qwen/Qwen3-0.6B --budget 30m")(tune)
    app.command(epilog="tunewright exam runs/train-1 --suite questions.jsonl --fail-under 0.9")(exam)


def command_line() -> str:
    return "tunewright " + shlex.join(sys.argv[1:])


def request(**given: Any) -> Any:
    from tunewright.app.request import Request
    from tunewright.schema.recipe_io import parse_settings

    settings = parse_settings(given.pop("settings", None) or ())
    return Request(settings=settings, **given)


def check(
    data: o.Data,
    model: o.Model = "",
    val: o.Validation = "",
    show_mask: Annotated[int, typer.Option(help="print so many rows with the trained tokens marked")] = 0,
    fix: Annotated[str, typer.Option(help="write the rows without faults to this file", show_default=False)] = "",
    recipe: o.RecipeFile = "",
    settings: o.Settings = [],  # noqa: B006 - typer needs the plain default
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> int:
    """Look at the data as the trainer will see it: faults with row numbers, what is trained, what to add."""
    from tunewright.app.check import check as run_check
    from tunewright.cli.show import check_text

    asked = request(data=data, model=model, val=val, recipe=recipe, settings=settings)
    answer = run_check(request=asked, show_mask=show_mask, fix=fix)
    emit(answer, "" if quiet else check_text(answer), as_json=as_json)
    return Exit.OK if answer["ok"] else Exit.BAD_ANSWER


def plan(
    data: Annotated[str, typer.Argument(help="a file, a folder, hub:NAME, or demo", show_default=False)] = "",
    model: o.Model = "",
    val: o.Validation = "",
    test: o.Test = "",
    preset: o.Preset = "",
    recipe: o.RecipeFile = "",
    settings: o.Settings = [],  # noqa: B006
    stage: o.StageOption = "",
    method: o.MethodOption = "",
    task: o.Task = "",
    vram: o.Vram = 0.0,
    seed: o.Seed = -1,
    out: Annotated[str, typer.Option(help="write the recipe to this file", show_default=False)] = "",
    schema: Annotated[bool, typer.Option(help="print the JSON Schema of a recipe")] = False,
    as_json: o.Json = False,
) -> int:
    """The first run with a reason and a source for every value, its steps, memory and time."""
    from tunewright.app.plan import plan as make
    from tunewright.app.plan import plan_answer, save_recipe
    from tunewright.cli.show import plan_text, schema_text

    if schema:
        sys.stdout.write(schema_text())
        return Exit.OK
    asked = request(
        data=data, model=model, val=val, test=test, preset=preset, recipe=recipe, settings=settings,
        stage=stage, method=method, task=task, vram_GiB=vram or None, seed=None if seed < 0 else seed,
    )  # fmt: skip
    made = make(request=asked)
    if out:
        save_recipe(made, out)
    emit(plan_answer(made), plan_text(made, out), as_json=as_json)
    return Exit.OK


def train(
    data: o.DataOrRecipe = "",
    model: o.Model = "",
    val: o.Validation = "",
    test: o.Test = "",
    preset: o.Preset = "",
    recipe: o.RecipeFile = "",
    settings: o.Settings = [],  # noqa: B006
    stage: o.StageOption = "",
    method: o.MethodOption = "",
    task: o.Task = "",
    replay: o.ReplayData = "",
    resume: Annotated[str, typer.Option(help="go on with this interrupted run", show_default=False)] = "",
    runs_dir: o.RunsDir = o.RUNS,
    name: o.Name = "",
    seed: o.Seed = -1,
    report_to: o.ReportTo = "",
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    no_progress: o.NoProgress = False,
    dry_run: o.DryRun = False,
) -> int:
    """One run: planned, trained, watched, read."""
    from tunewright.app import train as use_case
    from tunewright.app.plan import plan_answer
    from tunewright.cli.show import plan_text, train_text

    terminal = Terminal(quiet=quiet, progress=not no_progress)
    if resume:
        if data:
            raise UsageError(
                "--resume goes on with a run as it was: leave the data out", hint=f"tunewright train --resume {resume}"
            )
        terminal.listen_for_interrupt()
        answer = use_case.resume(resume, watch=terminal)
    else:
        asked = request(
            data=data or "", model=model, val=val, test=test, preset=preset, recipe=recipe, settings=settings,
            stage=stage, method=method, task=task, replay=replay, report_to=report_to,
            seed=None if seed < 0 else seed,
        )  # fmt: skip
        if dry_run:
            from tunewright.app.plan import plan as make

            made = make(request=asked)
            emit(plan_answer(made), plan_text(made), as_json=as_json)
            return Exit.OK
        terminal.listen_for_interrupt()
        answer = use_case.train(request=asked, runs_dir=runs_dir, name=name, watch=terminal, command=command_line())
    emit(answer, train_text(answer), as_json=as_json)
    return Exit.OK


def tune(
    data: o.Data,
    model: o.Model = "",
    val: o.Validation = "",
    test: o.Test = "",
    preset: o.Preset = "",
    recipe: o.RecipeFile = "",
    settings: o.Settings = [],  # noqa: B006
    goal: Annotated[str, typer.Option(help="balanced: keep old skills too; eval: evaluation loss alone")] = "balanced",
    budget: Annotated[str, typer.Option(help="5epochs, 30m, 2Mtokens or 6runs", show_default="16 epochs")] = "",
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with the newest unfinished tuning of this name")
    ] = False,
    runs_dir: o.RunsDir = o.RUNS,
    name: o.Name = "",
    seed: o.Seed = -1,
    report_to: o.ReportTo = "",
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    no_progress: o.NoProgress = False,
    dry_run: o.DryRun = False,
) -> int:
    """Run, read, change one thing, run again, until no change would help; then examine the model."""
    from tunewright.app.plan import plan as make
    from tunewright.app.plan import plan_answer
    from tunewright.app.tune import tune as use_case
    from tunewright.cli.show import plan_text, tune_text

    asked = request(
        data=data, model=model, val=val, test=test, preset=preset, recipe=recipe, settings=settings,
        report_to=report_to, seed=None if seed < 0 else seed,
    )  # fmt: skip
    if dry_run:
        made = make(request=asked)
        emit(plan_answer(made), plan_text(made), as_json=as_json)
        return Exit.OK
    terminal = Terminal(quiet=quiet, progress=not no_progress)
    terminal.listen_for_interrupt()
    answer = use_case(
        request=asked, goal=goal, budget=budget, resume=resume, runs_dir=runs_dir, name=name,
        watch=terminal, command=command_line(),
    )  # fmt: skip
    emit(answer, tune_text(answer), as_json=as_json)
    sick = any(run["health"] == "sick" for run in answer["runs"] if run["run"] == answer["best"]["run"])
    return Exit.BAD_ANSWER if sick else Exit.OK


def exam(
    run: Annotated[str, typer.Argument(help="a run folder, or a model folder or name", show_default=False)],
    suite: Annotated[str, typer.Option(help="questions as JSONL; else drafted from the run's data")] = "",
    draft: Annotated[str, typer.Option(help="write the drafted questions to this file", show_default=False)] = "",
    fail_under: Annotated[float, typer.Option(help="exit 1 when a part's rate is below this (0 to 1)")] = 0.0,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    no_progress: o.NoProgress = False,
) -> int:
    """Ask the tuned model and its base: exact questions, new wordings, foreign topics, old skills."""
    from tunewright.app.exam import exam as use_case
    from tunewright.cli.show import exam_text

    terminal = Terminal(quiet=quiet, progress=not no_progress)
    result = use_case(run, suite=suite, draft=draft, watch=terminal)
    emit(result, exam_text(result), as_json=as_json)
    rates = [score.rate for score in result.parts.values() if score.rate is not None]
    return Exit.BAD_ANSWER if any(rate < fail_under for rate in rates) else Exit.OK
