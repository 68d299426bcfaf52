"""The verbs that only read files: watch, diagnose, next, report, explain, env. None of them imports torch."""

from __future__ import annotations

import sys
from typing import Any

import click

from tunewright.cli import options as o
from tunewright.cli.out import emit
from tunewright.schema.errors import Exit, UsageError

FAIL_ON = {"error": {"error"}, "warning": {"error", "warning"}, "never": set[str]()}


@o.verb(
    click.argument("sources", nargs=-1, required=True, metavar="RUN|LOG|DIR..."),
    o.text("--fail-on", "fail_on", "exit 1 at a finding of this severity: error, warning, never", default="error"),
    o.columns,
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
        from tunewright.cli.show_diagnosis import survey_text
        from tunewright.reporter.words import one_line

        text = survey_text(found.reports, pairs)
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
    o.text(
        "--recipe", "recipe", "the config of another trainer it was made with, to write the change into", metavar="FILE"
    ),
    o.text("--to", "to", "write the next run for trl, unsloth, axolotl or llamafactory", metavar="TOOL"),
    o.switch(
        "--probe", name="probe", about="ask rows and model what the curve cannot show or leaves open, in short trials"
    ),
    o.text("--out", "out", "write the next recipe (the edited config, the run for TOOL) there", metavar="FILE"),
    o.columns,
    o.runs_dir,
    o.as_json,
    o.quiet,
    o.no_progress,
    name="next",
    example="tunewright next --table runs.csv --policy guide",
)
def next_(
    run: str, probe: bool, pairs: tuple[str, ...], as_json: bool, quiet: bool, no_progress: bool, **given: Any
) -> int:
    """The next recipe: what to change, from what to what, why, and who says so."""
    from tunewright.app.diagnose import columns_of
    from tunewright.app.next_recipe import next_recipe
    from tunewright.cli.show_diagnosis import next_command, next_text
    from tunewright.cli.show_export import edit_text, export_text
    from tunewright.cli.talk import Terminal

    speaking = Terminal(quiet=quiet, progress=not no_progress)
    if probe:
        speaking.listen_for_interrupt()
    answer = next_recipe(run, probe=probe, watch=speaking, columns=columns_of(pairs), **given)
    text = next_text(answer)
    text += f"\n{edit_text(answer['edit'])}" if "edit" in answer else ""
    text += f"\n{export_text(answer['exported'])}" if "exported" in answer else ""
    text += f"\n{next_command(run, given['data'], answer, pairs)}"
    emit(answer, text, as_json=as_json)
    return Exit.OK


@o.verb(
    click.argument("source", metavar="RUN|TUNING|LOG"),
    click.option("-o", "--out", default="", metavar="FILE", help="file to write; else report.html in the folder"),
    o.text("--format", "form", "html, md (the model card), json, png or svg (the curve); else by the file's ending"),
    o.switch("--check", name="check", about="check the model card against the records; exit 1 when it falls short"),
    o.columns,
    o.as_json,
    example="tunewright report runs/tune-1 -o report.html",
)
def report(source: str, out: str, form: str, check: bool, pairs: tuple[str, ...], as_json: bool) -> int:
    """One self-contained page: the curve, the findings, the runs, the exam, every setting with its reason."""
    if check:
        return _check_card(source, out, as_json)
    from tunewright.app.diagnose import columns_of
    from tunewright.app.report import write_report
    from tunewright.reporter.words import one_line

    written = write_report(source, out=out, format=form, columns=columns_of(pairs))
    for problem in () if as_json else written.problems:
        sys.stderr.write(f"note: {one_line(problem)}\n")
    problems = {"problems": written.problems} if written.problems else {}
    emit({"report": str(written.path), **problems}, str(written.path), as_json=as_json)
    return Exit.OK


def _check_card(source: str, card: str, as_json: bool) -> int:
    from tunewright.app.model_card import check_card
    from tunewright.reporter.words import plural

    checked = check_card(source, file=card)
    lines = [f"{checked.card}:{one.line}: {one.text}" for one in checked.complaints]
    lines.append(plural(len(lines), "complaint") if lines else f"{checked.card}: ok")
    emit(checked, "\n".join(lines), as_json=as_json)
    return Exit.BAD_ANSWER if checked.complaints else Exit.OK


@o.verb(click.argument("code", metavar="CODE|SYMPTOM|RULE"), o.as_json, example="tunewright explain overfit")
def explain(code: str, as_json: bool) -> int:
    """What a finding or a rule is, how it is computed, what to do, and who says so."""
    from tunewright.app.explain import explain as text_of
    from tunewright.app.explain import explain_parts

    emit(explain_parts(code) if as_json else {}, "" if as_json else text_of(code).rstrip("\n"), as_json=as_json)
    return Exit.OK


@o.verb(o.as_json)
def env(as_json: bool) -> int:
    """This machine and the installed versions, for reports."""
    from tunewright.app.env import env as use_case
    from tunewright.cli.show import env_text

    answer = use_case()
    emit(answer, env_text(answer), as_json=as_json)
    return Exit.OK
