"""The verbs around the record: runs ls, show, compare, note, tag, rm and rules. None of them imports torch."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tunewright.cli import options as o
from tunewright.cli.out import emit
from tunewright.schema.errors import Exit, UsageError

MOST_NAMED = 20
"""Folders that a question names before it counts the rest."""


@o.verb(
    o.runs_dir,
    click.option(
        "--filter",
        "filters",
        multiple=True,
        metavar="COND",
        help="only runs with, e.g., health=sick, eval_loss<1.2, model~qwen, tag=x; several: all must hold",
    ),
    o.text("--sort", "sort", "order by this key, -KEY: the largest first; else oldest first", metavar="KEY"),
    o.as_json,
    name="ls",
    example="tunewright runs ls --filter health=healthy --filter 'eval_loss<1.2' --sort eval_loss",
)
def runs_ls(runs_dir: Path, filters: tuple[str, ...], sort: str, as_json: bool) -> int:
    """All runs, oldest first, or those that meet some conditions."""
    from tunewright.app.runs import list_runs
    from tunewright.cli.show import runs_text

    answer = list_runs(runs_dir, filters=filters, sort=sort)
    emit({"runs": answer}, "" if as_json else runs_text(answer, bool(filters)), as_json=as_json)
    return Exit.OK


@o.verb(click.argument("run", metavar="RUN"), o.as_json, name="show", example="tunewright runs show runs/train-1")
def runs_show(run: str, as_json: bool) -> int:
    """One run: its curve, figures, findings, where it came from and what came from it."""
    from tunewright.app.runs import show_run
    from tunewright.cli.show import folder_text, made_from_it

    answer = show_run(run)
    emit(answer, "" if as_json else folder_text(run, *made_from_it(answer)), as_json=as_json)
    return Exit.OK


@o.verb(
    click.argument("paths", nargs=-1, required=True, metavar="RUN|LOG..."),
    o.as_json,
    name="compare",
    example="tunewright runs compare runs/train-1 runs/train-2",
)
def runs_compare(paths: tuple[str, ...], as_json: bool) -> int:
    """Only what differs between runs, how they ended, and whether that is more than noise."""
    from tunewright.app.runs import compare_runs
    from tunewright.cli.show import compare_text

    if len(paths) < 2:
        raise UsageError("runs compare: expected at least two runs or logs", hint="tunewright runs ls")
    answer = compare_runs(paths)
    emit(answer, "" if as_json else compare_text(answer), as_json=as_json)
    return Exit.OK


@o.verb(
    click.argument("run", metavar="RUN"),
    click.argument("text", metavar="TEXT"),
    o.as_json,
    name="note",
    example="tunewright runs note runs/train-1 'labels were mended after this one'",
)
def runs_note(run: str, text: str, as_json: bool) -> int:
    """Keep a note with a run; the report and the board show it."""
    from tunewright.app.runs import mark_run
    from tunewright.reporter.words import plural

    answer = mark_run(run, note=text)
    emit(answer, f"{answer['run']}: {plural(len(answer['notes']), 'note')}", as_json=as_json)
    return Exit.OK


@o.verb(
    click.argument("run", metavar="RUN"),
    click.argument("tags", nargs=-1, metavar="[TAG...]"),
    click.option("--remove", "removed", multiple=True, metavar="TAG", help="take this tag off; may be repeated"),
    o.as_json,
    name="tag",
    example="tunewright runs tag runs/train-1 baseline",
)
def runs_tag(run: str, tags: tuple[str, ...], removed: tuple[str, ...], as_json: bool) -> int:
    """Put tags on a run or take them off; `runs ls --filter tag=TAG` finds it."""
    from tunewright.app.runs import mark_run

    answer = mark_run(run, tags=tags, untag=removed)
    emit(answer, f"{answer['run']}: {', '.join(answer['tags']) or 'no tags'}", as_json=as_json)
    return Exit.OK


@o.verb(
    click.argument("paths", nargs=-1, required=True, metavar="RUN..."),
    o.switch("--yes", "-y", name="yes", about="do not ask"),
    o.as_json,
    name="rm",
    example="tunewright runs rm runs/train-3 --yes",
)
def runs_rm(paths: tuple[str, ...], yes: bool, as_json: bool) -> int:
    """Remove runs for good, after asking. What is no run, or still running, is refused."""
    from tunewright.app.runs import removal, remove_runs
    from tunewright.cli.show import removal_text

    planned = removal(paths)
    if not yes:
        _ask_before_removal(removal_text(planned, MOST_NAMED))
    answer = remove_runs(paths)
    emit(answer, "\n".join(f"removed {one['run']}" for one in answer["removed"]), as_json=as_json)
    return Exit.OK


def _ask_before_removal(what: str) -> None:
    """Ask on the terminal; where there is none, say which flag answers. Raises UsageError unless the answer is yes."""
    if not sys.stdin.isatty():
        raise UsageError("runs rm: there is no terminal to ask on; nothing was removed", hint="add --yes to remove")
    sys.stderr.write(what + "\n")
    if not click.confirm("remove for good?", err=True):
        raise UsageError("runs rm: nothing was removed")


@o.verb(o.runs_dir, o.as_json, name="rules", example="tunewright runs rules")
def runs_rules(runs_dir: Path, as_json: bool) -> int:
    """How often each rule helped, and how often what it predicted came true."""
    from tunewright.app.rules import rules
    from tunewright.cli.show import rules_text

    answer = rules(runs_dir)
    emit(answer, "" if as_json else rules_text(answer), as_json=as_json)
    return Exit.OK


runs = click.Group(
    "runs",
    help="List, show, compare, mark and remove runs, and what came of the rules.",
    commands=[runs_ls, runs_show, runs_compare, runs_note, runs_tag, runs_rm, runs_rules],
)
