"""The verbs that look before anything is trained: check and plan."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tunewright.cli import options as o
from tunewright.cli.given import request, terminal
from tunewright.cli.out import emit
from tunewright.cli.talk import Terminal
from tunewright.schema.errors import Exit, UsageError

if TYPE_CHECKING:
    from tunewright.app.request import Request


def show_plan(
    asked: Request, as_json: bool, out: str = "", *, runs_dir: Path, measuring: Terminal | None = None
) -> int:
    """Plan, print, write nothing but ``out``. ``measuring``: who is told while dry steps are taken; None: none are."""
    from tunewright.app.plan import plan as make
    from tunewright.app.plan import plan_answer, save_recipe
    from tunewright.cli.show import plan_text
    from tunewright.record.files import new_file

    if out:
        new_file(out, "--out")  # before anything is measured
    made = make(request=asked, measure=measuring is not None, watch=measuring, runs_dir=runs_dir)
    if out:
        save_recipe(made, out)
    emit(plan_answer(made), "" if as_json else plan_text(made, out), as_json=as_json)
    return Exit.OK


@o.verb(
    o.data,
    o.model,
    o.val,
    click.option(
        "--show-mask",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help="print N rows with the trained tokens marked",
    ),
    o.text("--html", "html", "write the rows of --show-mask to this page, in colour", metavar="FILE"),
    o.text("--fix", "fix", "write the rows without faults to this file", metavar="OUT"),
    o.switch("--probe", name="probe", about="load the model and ask it about the rows: labels, template, validation"),
    o.recipe,
    o.settings,
    o.as_json,
    o.quiet,
    o.no_progress,
    example="tunewright check rows.jsonl --model Qwen/Qwen3-0.6B --show-mask 2",
)
def check(
    show_mask: int, html: str, fix: str, probe: bool, as_json: bool, quiet: bool, no_progress: bool, **given: Any
) -> int:
    """Look at the data as the trainer will see it: faults with row numbers, what is trained, what to add."""
    from tunewright.app.check import check as use_case
    from tunewright.cli.masks import check_text, write_masks
    from tunewright.record.files import own_or_new_file
    from tunewright.reporter.html import GENERATOR

    if html and not show_mask:
        raise UsageError("--html shows the rows of --show-mask, and there are none", hint="--show-mask 10 --html FILE")
    page = own_or_new_file(html, "--html", GENERATOR) if html else None  # before anything is read
    speaking = Terminal(quiet=quiet, progress=not no_progress)
    answer = use_case(request=request(**given), show_mask=show_mask, fix=fix, probe=probe, watch=speaking)
    if page is not None:
        write_masks(page, answer["masks"])
    emit(answer, "" if quiet else check_text(answer, coloured=sys.stdout.isatty()), as_json=as_json)
    return Exit.OK if answer["ok"] else Exit.BAD_ANSWER


@o.verb(
    o.optional_data,
    *o.planned,
    o.stage,
    o.method,
    o.task,
    o.vram,
    o.seed,
    o.switch("--measure", name="measure", about="measure memory, speed and gradient noise here first"),
    o.text("--out", "out", "write the recipe to this file", metavar="FILE"),
    o.switch("--schema", name="schema", about="print the JSON Schema of a recipe"),
    o.runs_dir,
    o.as_json,
    o.quiet,
    o.no_progress,
    example="tunewright plan rows.jsonl --model Qwen/Qwen3-0.6B --out recipe.yaml",
)
def plan(
    measure: bool,
    out: str,
    schema: bool,
    runs_dir: Path,
    as_json: bool,
    quiet: bool,
    no_progress: bool,
    **given: Any,
) -> int:
    """The first run with a reason and a source for every value, its steps, memory and time."""
    if schema:
        from tunewright.cli.show import schema_text

        sys.stdout.write(schema_text())
        return Exit.OK
    measuring = terminal(quiet, no_progress) if measure else None
    return show_plan(request(**given), as_json, out, runs_dir=runs_dir, measuring=measuring)
