"""The verb that writes a run down for another trainer: export."""

from __future__ import annotations

from typing import Any

import click

from tunewright.cli import options as o
from tunewright.cli.out import emit
from tunewright.schema.errors import Exit, UsageError


@o.verb(
    click.argument("source", metavar="RUN|RECIPE"),
    o.text("--to", "to", "trl, unsloth, axolotl or llamafactory", metavar="TOOL"),
    click.option("-o", "--out", default="", metavar="DIR", help="folder to write; must not be there yet"),
    o.settings,
    o.as_json,
    example="tunewright export runs/train-1 --to axolotl -o for-axolotl",
)
def export(source: str, to: str, out: str, settings: tuple[str, ...], as_json: bool) -> int:
    """A run or a recipe as a folder that another trainer runs as it is, with the reasons as comments."""
    from tunewright.app.export import export as use_case
    from tunewright.schema.recipe_io import parse_settings

    if not to or not out:
        missing = "--to TOOL" if not to else "-o DIR"
        raise UsageError(f"{missing} is missing", hint=f"tunewright export {source} --to axolotl -o for-axolotl")
    answer = use_case(source, to=to, out=out, settings=parse_settings(settings))
    emit(answer, "" if as_json else _text(answer), as_json=as_json)
    return Exit.OK


def _text(answer: dict[str, Any]) -> str:
    from tunewright.reporter.words import one_line

    rows = answer["rows"]
    lines = [
        f"{answer['folder']}: {', '.join(answer['files'])}",
        f"{rows['train']} training rows ({answer['supervised_tokens']} tokens trained on), "
        f"{rows['val']} validation rows, {answer['steps']} steps",
    ]
    lines += [
        one_line(f"cannot be said to {answer['tool']}: {one['key']} = {one['value']}: {one['effect']}")
        for one in answer["cannot"]
    ]
    return "\n".join(lines)
