"""The verb that writes a run down for another trainer: export."""

from __future__ import annotations

import click

from tunewright.cli import options as o
from tunewright.cli.out import emit
from tunewright.schema.errors import Exit, UsageError


@o.verb(
    click.argument("source", metavar="RUN|RECIPE"),
    o.text("--to", "to", "trl, unsloth, axolotl or llamafactory", metavar="TOOL"),
    click.option("-o", "--out", default="", metavar="DIR", help="folder to write; must not be there yet"),
    o.switch("--verify", name="verify", about="start the tool on it and compare tokens, labels and the first loss"),
    o.text("--python", "python", "the interpreter the tool to verify with lives in", metavar="PATH"),
    o.settings,
    o.as_json,
    example="tunewright export runs/train-1 --to axolotl -o for-axolotl",
)
def export(source: str, to: str, out: str, verify: bool, python: str, settings: tuple[str, ...], as_json: bool) -> int:
    """A run or a recipe as a folder that another trainer runs as it is, with the reasons as comments."""
    from tunewright.app.export import export as use_case
    from tunewright.cli.show_export import export_text
    from tunewright.schema.recipe_io import parse_settings

    if not to or not out:
        missing = "--to TOOL" if not to else "-o DIR"
        raise UsageError(f"{missing} is missing", hint=f"tunewright export {source} --to axolotl -o for-axolotl")
    if python and not verify:
        raise UsageError("--python names the interpreter to verify with", hint="add --verify")
    answer = use_case(source, to=to, out=out, settings=parse_settings(settings), verify=verify, python=python)
    emit(answer, "" if as_json else export_text(answer), as_json=as_json)
    return Exit.OK if answer.get("verified", {}).get("same", True) else Exit.BAD_ANSWER
