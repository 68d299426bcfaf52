"""The verbs that only read files: diagnose, next, report, runs, explain, env. None of them imports torch."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tunewright.cli import options as o
from tunewright.cli.out import emit
from tunewright.schema.errors import Exit, UsageError

FAIL_ON = ("error", "warning", "never")


def register(app: typer.Typer) -> None:
    app.command(epilog="tunewright diagnose runs/train-1 outputs/trainer_state.json")(diagnose)
    app.command("next", epilog="tunewright next --table runs.csv --policy guide")(next_)
    app.command(epilog="tunewright report runs/tune-1 -o report.html")(report)
    app.command(epilog="tunewright explain overfit")(explain)
    app.command()(env)
    runs = typer.Typer(help="List, show and compare runs.", rich_markup_mode=None)
    runs.command("ls")(runs_ls)
    runs.command("show")(runs_show)
    runs.command("compare")(runs_compare)
    app.add_typer(runs, name="runs")


def diagnose(
    sources: Annotated[list[str], typer.Argument(help="run folders, logs, or folders to search", show_default=False)],
    fail_on: Annotated[str, typer.Option(help="exit 1 at a finding of this severity: error, warning, never")] = "error",
    as_json: o.Json = False,
) -> int:
    """Say what a training curve means: findings with their evidence, and what to change."""
    from tunewright.app.diagnose import diagnose as use_case
    from tunewright.cli.show import diagnose_text

    if fail_on not in FAIL_ON:
        raise UsageError(f"--fail-on {fail_on}: expected one of {', '.join(FAIL_ON)}")
    reports = use_case(sources)
    answer = reports[0] if len(reports) == 1 else {"reports": reports}
    emit(answer, "\n\n".join(diagnose_text(report) for report in reports), as_json=as_json)
    found = {finding.severity for report in reports for finding in report.diagnosis.findings}
    bad = {"error": {"error"}, "warning": {"error", "warning"}, "never": set()}[fail_on]
    return Exit.BAD_ANSWER if found & bad else Exit.OK


def next_(
    run: Annotated[str, typer.Argument(help="a run folder or a log", show_default=False)] = "",
    policy: Annotated[str, typer.Option(help="evidence or guide")] = "evidence",
    data: Annotated[str, typer.Option(help="the data has grown to this file", show_default=False)] = "",
    table: Annotated[str, typer.Option(help="runs typed by hand, as CSV", show_default=False)] = "",
    out: Annotated[str, typer.Option(help="write the next recipe to this file", show_default=False)] = "",
    as_json: o.Json = False,
) -> int:
    """The next recipe: what to change, from what to what, why, and who says so."""
    from tunewright.app.next_recipe import next_recipe
    from tunewright.cli.show import next_text

    answer = next_recipe(run, policy=policy, data=data, table=table, out=out)
    emit(answer, next_text(answer), as_json=as_json)
    return Exit.OK


def report(
    source: Annotated[str, typer.Argument(help="a run or tuning folder", show_default=False)],
    out: Annotated[str, typer.Option("-o", "--out", help="file to write; else report.html in the folder")] = "",
    format: Annotated[str, typer.Option(help="html, md or json")] = "html",
    as_json: o.Json = False,
) -> int:
    """One self-contained page: the curve, the findings, the runs, the exam, every setting with its reason."""
    from tunewright.app.report import report as use_case

    path = use_case(source, out=out, format=format)
    emit({"report": str(path)}, str(path), as_json=as_json)
    return Exit.OK


def explain(code: Annotated[str, typer.Argument(help="a code or symptom, e.g. overfit", show_default=False)]) -> int:
    """What a finding is, how it is computed, what else looks like it, what to do, and who says so."""
    from tunewright.doctor.explain import explain as text_of

    sys.stdout.write(text_of(code).rstrip("\n") + "\n")
    return Exit.OK


def env(as_json: o.Json = False) -> int:
    """This machine and the installed versions, for reports."""
    from tunewright.app.env import env as use_case
    from tunewright.cli.show import env_text

    answer = use_case()
    emit(answer, env_text(answer), as_json=as_json)
    return Exit.OK


def runs_ls(runs_dir: o.RunsDir = o.RUNS, as_json: o.Json = False) -> int:
    """All runs, oldest first."""
    from tunewright.app.runs import list_runs
    from tunewright.cli.show import runs_text

    answer = list_runs(runs_dir)
    emit({"runs": answer}, runs_text(answer), as_json=as_json)
    return Exit.OK


def runs_show(run: Annotated[str, typer.Argument(help="a run folder")], as_json: o.Json = False) -> int:
    """One run: settings, result, findings."""
    from tunewright.app.runs import show_run
    from tunewright.cli.show import folder_text

    answer = show_run(run)
    emit(answer, "" if as_json else folder_text(run), as_json=as_json)
    return Exit.OK


def runs_compare(
    runs: Annotated[list[str], typer.Argument(help="two or more run folders")], as_json: o.Json = False
) -> int:
    """Only what differs between runs, and how they ended."""
    from tunewright.app.runs import compare_runs
    from tunewright.cli.show import compare_text

    if len(runs) < 2:
        raise UsageError(
            "runs compare: expected at least two run folders",
            hint="tunewright runs ls",
        )
    answer = compare_runs(runs)
    emit(answer, compare_text(answer), as_json=as_json)
    return Exit.OK
