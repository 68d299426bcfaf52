"""The verbs that train and examine: train, tune, exam."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tunewright.cli import options as o
from tunewright.cli.given import command_line, request, terminal
from tunewright.cli.out import emit
from tunewright.cli.plan_verbs import show_plan
from tunewright.cli.talk import Terminal
from tunewright.schema.errors import Exit, UsageError


def tell_story(folder: str, runs_dir: Path, as_json: bool) -> int:
    """What a tuning decided, and when; reads only."""
    from tunewright.app.tuning_story import explain_tuning
    from tunewright.cli.show_tuning import story_text

    story = explain_tuning(folder, runs_dir=runs_dir)
    emit(story, "" if as_json else story_text(story), as_json=as_json)
    return Exit.OK


@o.verb(
    o.optional_data,
    *o.planned,
    o.stage,
    o.method,
    o.task,
    o.replay,
    o.text("--resume", "resume", "go on with this interrupted run", metavar="RUN"),
    o.text("--trainer", "trainer", "have trl, unsloth, axolotl or llamafactory make the run", metavar="NAME"),
    o.text("--trainer-python", "trainer_python", "the interpreter that trainer lives in", metavar="PATH"),
    o.text("--stop-on", "stop_on", "symptoms that end that trainer's run; without it non_finite", metavar="SYMPTOMS"),
    *o.run,
    example="tunewright train rows.jsonl --model Qwen/Qwen3-0.6B --set num_train_epochs=3",
)
def train(
    resume: str,
    trainer: str,
    trainer_python: str,
    stop_on: str,
    runs_dir: Path,
    name: str,
    as_json: bool,
    quiet: bool,
    no_progress: bool,
    dry_run: bool,
    **given: Any,
) -> int:
    """One run: planned, trained, watched, read."""
    from tunewright.app import train as use_case
    from tunewright.cli.show import train_text

    if not trainer and (trainer_python or stop_on):
        flag = "--trainer-python" if trainer_python else "--stop-on"
        raise UsageError(f"{flag} is for runs that another trainer makes", hint=f"add --trainer trl to {flag}")

    if resume:
        if given["data"]:
            raise UsageError(
                "--resume goes on with a run as it was: leave the data out", hint=f"tunewright train --resume {resume}"
            )
        answer = use_case.resume(resume, watch=terminal(quiet, no_progress))
    else:
        asked = request(**given)
        if dry_run:
            return show_plan(asked, as_json, runs_dir=runs_dir)
        to: dict[str, Any] = {"runs_dir": runs_dir, "name": name, "command": command_line()}
        if trainer:
            answer = _launched(
                trainer, trainer_python, stop_on, request=asked, watch=terminal(quiet, no_progress), **to
            )
        else:
            answer = use_case.train(request=asked, watch=terminal(quiet, no_progress), **to)
    emit(answer, "" if as_json else train_text(answer), as_json=as_json)
    return Exit.OK


def _launched(trainer: str, python: str, stop_on: str, **how: Any) -> dict[str, Any]:
    """The run made by another trainer; ``stop_on`` as typed."""
    from tunewright.app.launch import STOP_ON, launch

    return launch(trainer, python=python, stop_on=stop_on.split(",") if stop_on else STOP_ON, **how)


@o.verb(
    o.data_or_tuning,
    *o.planned,
    o.text("--goal", "goal", "balanced: keep old skills too; eval: evaluation loss alone", default="balanced"),
    o.text("--budget", "budget", "5epochs, 30m, 2Mtokens or 6runs; without it 16 epochs", metavar="N"),
    o.switch("--resume", name="resume", about="go on with the newest unfinished tuning (of --name)"),
    o.text("--domain", "domain", "raw text of the subject, for a stage before the instructions", metavar="FILE"),
    o.switch("--explain", name="explain", about="tell the story of a tuning (the newest, or its folder) again"),
    *o.run,
    example="tunewright tune rows.jsonl --model Qwen/Qwen3-0.6B --budget 30m",
)
def tune(
    goal: str,
    budget: str,
    resume: bool,
    domain: str,
    explain: bool,
    runs_dir: Path,
    name: str,
    as_json: bool,
    quiet: bool,
    no_progress: bool,
    dry_run: bool,
    **given: Any,
) -> int:
    """Run, read, change one thing, run again, until no change would help; then examine the model."""
    if explain:
        return tell_story(given["data"], runs_dir, as_json)
    from tunewright.app.tune import tune as use_case
    from tunewright.cli.show import tune_text

    asked = request(**given)
    if dry_run:
        return show_plan(asked, as_json, runs_dir=runs_dir)
    answer = use_case(
        request=asked,
        goal=goal,
        budget=budget,
        resume=resume,
        domain=domain,
        runs_dir=runs_dir,
        name=name,
        watch=terminal(quiet, no_progress),
        command=command_line(),
    )
    emit(answer, "" if as_json else tune_text(answer), as_json=as_json)
    kept = next(run for run in answer["runs"] if run["run"] == answer["best"]["run"])
    return Exit.BAD_ANSWER if kept["health"] == "sick" else Exit.OK


@o.verb(
    click.argument("run", metavar="RUN|ADAPTER|MODEL"),
    o.text("--suite", "suite", "questions as JSONL; else drafted from the run's data", metavar="FILE"),
    o.text("--draft", "draft", "write the drafted questions to this file", metavar="OUT"),
    o.text("--model", "model", "the adapter's base, where it is not recorded or has moved", metavar="NAME"),
    o.text("--data", "data", "rows to draft questions from, for an adapter folder", metavar="FILE"),
    o.text(
        "--outside",
        "outside",
        "questions to be refused: rows of another domain, or held-out topics",
        metavar="FILE|topics",
    ),
    o.text("--tasks", "tasks", "lm-evaluation-harness tasks as old skills: names or YAML files", metavar="A,B"),
    click.option(
        "--fail-under",
        type=click.FloatRange(0, 1),
        default=0.0,
        metavar="RATE",
        help="exit 1 when a part's rate is below (0 to 1)",
    ),
    o.as_json,
    o.quiet,
    o.no_progress,
    example="tunewright exam runs/train-1 --suite questions.jsonl --fail-under 0.9",
)
def exam(run: str, tasks: str, fail_under: float, as_json: bool, quiet: bool, no_progress: bool, **given: str) -> int:
    """Ask the tuned model and its base: exact questions, new wordings, foreign topics, old skills."""
    from tunewright.app.exam import exam as use_case
    from tunewright.cli.show import exam_text

    named = [task.strip() for task in tasks.split(",") if task.strip()]
    result = use_case(run, tasks=named, watch=Terminal(quiet=quiet, progress=not no_progress), **given)
    ours = run if (Path(run) / "recipe.yaml").is_file() else ""
    emit(result, "" if as_json else exam_text(result, ours), as_json=as_json)
    rates = [score.rate for score in result.parts.values() if score.rate is not None]
    return Exit.BAD_ANSWER if any(rate < fail_under for rate in rates) else Exit.OK
