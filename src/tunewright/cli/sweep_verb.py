"""The verb that runs a grid: sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tunewright.cli import options as o
from tunewright.cli.given import command_line, request, terminal
from tunewright.cli.out import emit
from tunewright.schema.errors import Exit, UsageError


@o.verb(
    o.optional_data,
    *o.planned,
    o.stage,
    o.method,
    o.task,
    o.replay,
    click.option(
        "--grid",
        "grid",
        multiple=True,
        metavar="KEY=V1,V2",
        help="values to try of a recipe key; given several times, all combinations are run",
    ),
    click.option("--slots", type=int, metavar="N", help="train at most N at once; without it as many as fit"),
    o.switch("--plan", name="plan_only", about="say what would be run, how it is packed and what it takes"),
    o.switch("--resume", name="resume", about="go on with the newest unfinished sweep (of --name)"),
    *o.run,
    example="tunewright sweep rows.jsonl --model Qwen/Qwen3-0.6B --grid learning_rate=1e-4,3e-4,1e-3",
)
def sweep(
    grid: tuple[str, ...],
    slots: int | None,
    plan_only: bool,
    resume: bool,
    runs_dir: Path,
    name: str,
    as_json: bool,
    quiet: bool,
    no_progress: bool,
    dry_run: bool,
    **given: Any,
) -> int:
    """Every combination of some values, trained side by side and ranked by validation loss."""
    from tunewright.app.grid import parse_grid

    asked, values = request(**given), parse_grid(grid)
    if plan_only or dry_run:
        if resume:
            raise UsageError("--plan and --resume: choose one")
        return _show_plan(asked, values, slots, as_json)
    from tunewright.app.sweep import sweep as use_case
    from tunewright.cli.show_sweep import sweep_text

    answer = use_case(
        request=asked,
        grid=values,
        slots=slots,
        resume=resume,
        runs_dir=runs_dir,
        name=name,
        watch=terminal(quiet, no_progress),
        command=command_line(),
    )
    emit(answer, "" if as_json else sweep_text(answer), as_json=as_json)
    return Exit.OK if answer["best"] is not None and answer["cells"][0]["health"] != "sick" else Exit.BAD_ANSWER


def _show_plan(asked: Any, values: Any, slots: int | None, as_json: bool) -> int:
    from tunewright.app.sweep_plan import plan_sweep
    from tunewright.cli.show_sweep import sweep_plan_text

    made = plan_sweep(asked, values, slots=slots)
    emit(made, "" if as_json else sweep_plan_text(made), as_json=as_json)
    return Exit.OK
