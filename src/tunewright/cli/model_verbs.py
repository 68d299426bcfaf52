"""The verbs for models at hand: merge a tuned one, talk to it, compare bases before tuning any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tunewright.cli import options as o
from tunewright.cli.out import emit
from tunewright.cli.talk import Terminal
from tunewright.schema.errors import Exit, UsageError

base_model = o.text("--model", "model", "the adapter's base, where it is not recorded or has moved", metavar="NAME")


@o.verb(
    click.argument("run", metavar="RUN|ADAPTER"),
    click.option("-o", "--out", default="", metavar="DIR", help="folder to write; must not be there yet"),
    base_model,
    click.option(
        "--precision",
        type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
        default="auto",
        help="number format of the weights; auto: as the base is stored",
    ),
    o.as_json,
    o.quiet,
    o.no_progress,
    example="tunewright merge runs/train-1 -o merged",
)
def merge(run: str, out: str, model: str, precision: Any, as_json: bool, quiet: bool, no_progress: bool) -> int:
    """Base and adapter as one folder that transformers loads as it is; read back before it is kept."""
    from tunewright.app.merge import merge as use_case

    if not out:
        raise UsageError("-o DIR is missing", hint=f"tunewright merge {run} -o merged")
    watch = Terminal(quiet=quiet, progress=not no_progress)
    answer = use_case(run, out=out, model=model, precision=precision, watch=watch)
    emit(answer, "" if as_json else _merged_text(answer), as_json=as_json)
    return Exit.OK


def _merged_text(answer: dict[str, Any]) -> str:
    from tunewright.reporter.words import figure, one_line

    lines = [
        f"merged  {one_line(answer['folder'])}",
        f"base    {one_line(answer['model'])}",
        f"adapter {one_line(answer['adapter'])}",
        f"weights {answer['parameters']:,} in {answer['precision']}",
        f"checked read back: {figure(answer['kl'])} nats per token from base and adapter "
        f"(the base alone: {figure(answer['adapter_kl'])}), largest difference of a log-probability "
        f"{figure(answer['largest_difference'])}",
    ]
    if answer["dequantised"]:
        lines.append("note    the base was taken back from 4 bits: those are the weights the adapter was trained on")
    lines.append(f"next    tunewright chat {one_line(answer['folder'])}")
    return "\n".join(lines)


@o.verb(
    click.argument("run", metavar="RUN|ADAPTER|MODEL"),
    base_model,
    o.switch("--base-only", name="base_only", about="ask the base alone"),
    o.switch("--tuned-only", name="tuned_only", about="ask the tuned model alone"),
    o.text("--system", "system", "a system turn to begin with"),
    click.option(
        "--max-tokens",
        type=click.IntRange(min=1),
        default=512,
        show_default=True,
        metavar="N",
        help="tokens of one answer at most",
    ),
    o.as_json,
    o.quiet,
    example="tunewright chat runs/train-1\n  echo 'Who are you?' | tunewright chat runs/train-1 --json",
)
def chat(
    run: str,
    model: str,
    base_only: bool,
    tuned_only: bool,
    system: str,
    max_tokens: int,
    as_json: bool,
    quiet: bool,
) -> int:
    """Talk to the base and the tuned model side by side; from a pipe, each line is a question."""
    from tunewright.app.chat import chat as use_case
    from tunewright.cli.conversation import converse

    if base_only and tuned_only:
        raise UsageError("--base-only and --tuned-only leave no model to ask", hint="leave one of them out")
    only = "base" if base_only else "tuned" if tuned_only else ""
    watch = Terminal(quiet=quiet, progress=False)
    talk = use_case(run, model=model, only=only, system=system, longest=max_tokens, watch=watch)
    converse(talk, as_json=as_json)
    emit(talk, "", as_json=as_json)
    return Exit.OK


@o.verb(
    o.data,
    o.text("--models", "models", "two or more bases, comma-separated: Hub names or folders", metavar="A,B"),
    o.val,
    o.text("--suite", "suite", "questions as JSONL; else drafted from the rows", metavar="FILE"),
    o.switch("--tune", name="tune", about="a short tuning of each on equal tokens first"),
    o.settings,
    o.runs_dir,
    o.seed,
    o.as_json,
    o.quiet,
    o.no_progress,
    example="tunewright bakeoff rows.jsonl --models Qwen/Qwen3-0.6B,HuggingFaceTB/SmolLM2-360M-Instruct",
)
def bakeoff(
    data: str,
    models: str,
    val: str,
    suite: str,
    tune: bool,
    settings: tuple[str, ...],
    runs_dir: Path,
    seed: int | None,
    as_json: bool,
    quiet: bool,
    no_progress: bool,
) -> int:
    """Which base to tune: bits per byte of your answers and your exam, with memory and speed beside."""
    from tunewright.app.bakeoff import bakeoff as use_case
    from tunewright.cli.given import request, terminal
    from tunewright.cli.show_bakeoff import bakeoff_text

    answer = use_case(
        models=models.split(","),
        suite=suite,
        tune=tune,
        request=request(settings, data=data, val=val, seed=seed),
        runs_dir=runs_dir,
        # Without a tuning there is nothing to save: Ctrl-C ends it at once.
        watch=terminal(quiet, no_progress) if tune else Terminal(quiet=quiet, progress=not no_progress),
    )
    emit(answer, "" if as_json else bakeoff_text(answer), as_json=as_json)
    return Exit.OK
