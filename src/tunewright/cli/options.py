"""The options of the command line, each described once; the verbs pick theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Verb = TypeVar("Verb", bound=Callable[..., int])
Decorator = Callable[[Any], Any]


def text(flag: str, name: str, about: str, *, default: str = "", metavar: str = "TEXT") -> Decorator:
    """An option that takes a word or a file name; the empty string means: not given."""
    return click.option(flag, name, default=default, metavar=metavar, help=about)


def switch(*flags: str, name: str, about: str) -> Decorator:
    return click.option(*flags, name, is_flag=True, help=about)


data = click.argument("data", metavar="DATA")
data_or_tuning = click.argument("data", metavar="[DATA|TUNING]", default="")
optional_data = click.argument("data", metavar="[DATA|RECIPE]", default="")
model = text("--model", "model", "a Hub name, a folder, or a bundled model", metavar="NAME")
val = text("--val", "val", "validation file; else rows are held out", metavar="FILE")
test = text("--test", "test", "sealed test file, looked at once, at the end", metavar="FILE")
preset = text("--preset", "preset", "start from a named preset, e.g. guide-small", metavar="NAME")
recipe = text("--recipe", "recipe", "a recipe or part of one, as YAML", metavar="FILE")
settings = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="any recipe key; may be given several times"
)
stage = text("--stage", "stage", "sft or pt")
method = text("--method", "method", "lora, qlora or full")
task = text("--task", "task", "simple, regular or complex: the guide's rank and alpha")
vram = click.option("--vram", "vram_GiB", type=float, metavar="GB", help="plan for a GPU of so many GB")
seed = click.option("--seed", type=int, help="seed of data order, split and adapter")
replay = text("--replay", "replay", "mix in general rows: a file, or general", metavar="DATA")
report_to = text("--report-to", "report_to", "tensorboard, wandb, trackio, mlflow or none; comma-separated")
runs_dir = click.option(
    "--runs-dir", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="where runs are kept"
)
name = text("--name", "name", "name of the run folder")
columns = click.option(
    "--map", "pairs", multiple=True, metavar="METRIC=COLUMN", help="which column is what, e.g. loss=train_nll"
)
as_json = switch("--json", name="as_json", about="print exactly one JSON document")
quiet = switch("--quiet", "-q", name="quiet", about="say only what failed")
no_progress = switch("--no-progress", name="no_progress", about="no live line")
dry_run = switch("--dry-run", name="dry_run", about="plan and check, write nothing")

planned = (model, val, test, preset, recipe, settings)
"""What decides a plan, for every verb that makes one."""
run = (runs_dir, name, seed, report_to, as_json, quiet, no_progress, dry_run)
"""Where a run goes and how it speaks, for every verb that runs."""


def verb(*decorators: Decorator, example: str = "", name: str | None = None) -> Callable[[Verb], click.Command]:
    """A command with these arguments and options, in this order; its help ends with an example to copy."""

    def make(function: Verb) -> click.Command:
        decorated: Any = function
        for decorator in reversed(decorators):
            decorated = decorator(decorated)
        return click.command(name, epilog=f"\b\nExample:\n  {example}" if example else None)(decorated)

    return make
