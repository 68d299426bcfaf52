"""The verbs that only read files: watch, diagnose, next, report, runs, explain, env. None of them imports torch."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tunewright.cli import options as o
from tunewright.cli.out import emit
from tunewright.schema.errors import Exit, UsageError

FAIL_ON = {"error": {"error"}, "warning": {"error", "warning"}, "never": set[str]()}


@o.verb(
    click.argument("sources", nargs=-1, required=True, metavar="RUN|LOG|DIR..."),
    o.text("--fail-on", "fail_on", "exit 1 at a finding of this severity: error, warning, never", default="error"),
    click.option(
        "--map", "pairs", multiple=True, metavar="METRIC=COLUMN", help="which column is what, e.g. loss=train_nll"
    ),
    o.as_json,
    example="tunewright diagnose runs/train-1 outputs/trainer_state.json",
)
def diagnose(sources: tuple[str, ...], fail_on: str, pairs: tuple[str, ...], as_json: bool) -> int:
    """Say what a training curve means: findings with their evidence, and what to change."""
    from tunewright.app.diagnose import columns_of, survey

    if fail_on not in FAIL_ON:
        raise UsageError(f"--fail-on {fail_on}: expected one of {', '.join(FAIL_ON)}")
    found = survey(sources, columns_of(pairs))
    text = ""
    if not as_json:
        from tunewright.cli.show import diagnose_text
        from tunewright.reporter.words import one_line

        text = "\n\n".join(diagnose_text(report) for report in found.reports)
        for problem in found.unread:
            sys.stderr.write(f"not read: {one_line(problem.message)}\n")
    emit(found, text, as_json=as_json)
    severities = {finding.severity for report in found.reports for finding in report.diagnosis.findings}
    return Exit.BAD_ANSWER if severities & FAIL_ON[fail_on] else Exit.OK


@o.verb(
    click.argument("run", metavar="RUN|LOG"),
    o.switch("--once", name="once", about="one picture, then leave"),
    o.as_json,
    example="tunewright watch runs/train-1",
)
def watch(run: str, once: bool, as_json: bool) -> int:
    """The live curve of a run in the terminal, with findings and the time left; Ctrl-C leaves the run alone."""
    from tunewright.app.follow import follow
    from tunewright.cli import watching
    from tunewright.cli.show import width

    follower = follow(run)
    if once or as_json:
        sight = follower.look()
        emit(sight, "" if as_json else watching.picture(sight, width(), 30), as_json=as_json)
    else:
        watching.watch_until_over(follower)
    return Exit.OK


@o.verb(
    click.argument("run", default="", metavar="[RUN|LOG]"),
    o.text("--policy", "policy", "evidence or guide", default="evidence"),
    o.text("--data", "data", "the data has grown to this file", metavar="NEW"),
    o.text("--table", "table", "runs typed by hand, as CSV", metavar="CSV"),
    o.text("--out", "out", "write the next recipe to this file", metavar="FILE"),
    o.runs_dir,
    o.as_json,
    name="next",
    example="tunewright next --table runs.csv --policy guide",
)
def next_(run: str, policy: str, data: str, table: str, out: str, runs_dir: Path, as_json: bool) -> int:
    """The next recipe: what to change, from what to what, why, and who says so."""
    from tunewright.app.next_recipe import next_recipe
    from tunewright.cli.show import next_text

    answer = next_recipe(run, policy=policy, data=data, table=table, out=out, runs_dir=runs_dir)
    emit(answer, next_text(answer), as_json=as_json)
    return Exit.OK


@o.verb(
    click.argument("source", metavar="RUN|TUNING"),
    click.option("-o", "--out", default="", metavar="FILE", help="file to write; else report.html in the folder"),
    o.text("--format", "form", "html, md or json", default="html"),
    o.as_json,
    example="tunewright report runs/tune-1 -o report.html",
)
def report(source: str, out: str, form: str, as_json: bool) -> int:
    """One self-contained page: the curve, the findings, the runs, the exam, every setting with its reason."""
    from tunewright.app.report import report as use_case

    path = use_case(source, out=out, format=form)
    emit({"report": str(path)}, str(path), as_json=as_json)
    return Exit.OK


@o.verb(click.argument("code", metavar="CODE|SYMPTOM|RULE"), example="tunewright explain overfit")
def explain(code: str) -> int:
    """What a finding or a rule is, how it is computed, what to do, and who says so."""
    from tunewright.app.explain import explain as text_of

    sys.stdout.write(text_of(code).rstrip("\n") + "\n")
    return Exit.OK


@o.verb(o.as_json)
def env(as_json: bool) -> int:
    """This machine and the installed versions, for reports."""
    from tunewright.app.env import env as use_case
    from tunewright.cli.show import env_text

    answer = use_case()
    emit(answer, env_text(answer), as_json=as_json)
    return Exit.OK


@o.verb(o.runs_dir, o.as_json, name="ls")
def runs_ls(runs_dir: Path, as_json: bool) -> int:
    """All runs, oldest first."""
    from tunewright.app.runs import list_runs
    from tunewright.cli.show import runs_text

    answer = list_runs(runs_dir)
    emit({"runs": answer}, runs_text(answer), as_json=as_json)
    return Exit.OK


@o.verb(click.argument("run", metavar="RUN"), o.as_json, name="show")
def runs_show(run: str, as_json: bool) -> int:
    """One run: settings, result, findings."""
    from tunewright.app.runs import show_run
    from tunewright.cli.show import folder_text

    answer = show_run(run)
    emit(answer, "" if as_json else folder_text(run), as_json=as_json)
    return Exit.OK


@o.verb(click.argument("paths", nargs=-1, required=True, metavar="RUN RUN..."), o.as_json, name="compare")
def runs_compare(paths: tuple[str, ...], as_json: bool) -> int:
    """Only what differs between runs, and how they ended."""
    from tunewright.app.runs import compare_runs
    from tunewright.cli.show import compare_text

    if len(paths) < 2:
        raise UsageError("runs compare: expected at least two run folders", hint="tunewright runs ls")
    answer = compare_runs(paths)
    emit(answer, compare_text(answer), as_json=as_json)
    return Exit.OK


@o.verb(o.runs_dir, o.as_json, name="rules")
def runs_rules(runs_dir: Path, as_json: bool) -> int:
    """How often each rule helped, and how often what it predicted came true."""
    from tunewright.app.rules import rules
    from tunewright.cli.show import rules_text

    answer = rules(runs_dir)
    emit(answer, "" if as_json else rules_text(answer), as_json=as_json)
    return Exit.OK


runs = click.Group(
    "runs",
    help="List, show and compare runs, and what came of the rules.",
    commands=[runs_ls, runs_show, runs_compare, runs_rules],
)
VERBS = (watch, diagnose, next_, report, runs, explain, env)
