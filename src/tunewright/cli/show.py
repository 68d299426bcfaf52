"""Answers as text for people: what the report draws is drawn by the report, the rest is put into lines here."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.reporter.lines import hanging
from tunewright.reporter.words import duration, one_line, plural, setting

if TYPE_CHECKING:
    from tunewright.schema.exam import ExamResult
    from tunewright.schema.measured import Measurement
    from tunewright.schema.plan import Plan


SIGNS = {"error": "x", "warning": "!", "info": "-"}
"""Of a finding, by its severity."""


def width() -> int:
    """Columns to write in: the terminal's, at most 110 (long lines are hard to read)."""
    return min(110, shutil.get_terminal_size((100, 24)).columns)


def folder_text(path: str | Path, *lines: str) -> str:
    """The report of a run or tuning folder as text, then some lines of where things are."""
    from tunewright.reporter.text import render_text
    from tunewright.reporter.view import read_view

    return "\n".join([render_text(read_view(Path(path)), width()).rstrip(), "", *lines])


def schema_text() -> str:
    from tunewright.schema.recipe_io import json_schema

    return json.dumps(json_schema(), indent=2) + "\n"


def plan_text(made: Plan, out: str = "") -> str:
    """Every value with its reason and source, then the cost and the warnings."""
    lines = []
    for value in made.values:
        lines.append(f"{value.key}: {one_line(setting(value.value))}")
        lines += hanging("    ", f"{value.why} [{value.source}]", width())
    cost = made.predicted
    time = "time unknown" if cost.seconds is None else f"about {duration(cost.seconds)}"
    summary = (
        f"{cost.steps} steps ({cost.steps_per_epoch} an epoch), {cost.tokens:,} tokens, "
        f"{cost.train_peak_GiB:.2f} GiB training, {cost.eval_peak_GiB:.2f} GiB evaluating, {time}"
    )
    lines += ["", *hanging("cost: ", summary, width())]
    lines += _measured_lines(made.measured) if made.measured else []
    for warning in made.warnings:
        lines += hanging("note: ", warning, width())
    lines.append(f"next: tunewright train {out}" if out else "next: --out recipe.yaml keeps it for tunewright train")
    return "\n".join(lines)


def _measured_lines(found: Measurement) -> list[str]:
    """Points, lines and noise scale of ``plan --measure``."""
    from tunewright.planner.measured import said

    head = f"{found.measured_at} on {found.device}, longest row {found.length:,} tokens"
    lines = hanging("measured: ", head, width())
    for what, side in (("training", found.train), ("evaluating", found.eval)):
        points = ", ".join(f"{p.rows} at once {p.peak_GiB:.3f} GiB, {p.seconds:.3g} s" for p in side.points)
        line = f"total = {side.fixed_GiB:.3f} + rows x {side.per_row_GiB:.5f} GiB" if side.told_apart else "no line"
        lines += hanging(f"  {what}: ", f"{points}: {line}", width())
    for noise in found.noise:
        because = f": {noise.because}" if noise.because else f", from {noise.rows} rows"
        lines += hanging("  noise: ", said(noise) + because, width())
    return lines + [line for note in found.notes for line in hanging("  note: ", note, width())]


def train_text(answer: Mapping[str, Any]) -> str:
    run = answer["run"]
    return folder_text(
        run,
        f"ended    {answer['stopped_because']}",
        f"adapter  {answer['adapter']}",
        f"next     tunewright next {run}",
        f"         tunewright exam {run}",
    )


def tune_text(answer: Mapping[str, Any]) -> str:
    tokens = answer["tokens"]
    cost = f"{tokens['train']:,} tokens trained, {tokens['eval']:,} only forwarded, {duration(answer['seconds'])}"
    folder = Path(answer["best"]["run"]).parent
    return folder_text(
        folder, f"cost     {cost}", f"adapter  {answer['best']['adapter']}", f"report   {answer['report']}"
    )


def exam_text(result: ExamResult, run: str = "") -> str:
    """Base beside tuned for every part and skill, with 95 % intervals; for a ``run`` of ours what to type next."""
    from tunewright.reporter.exam_section import exam_section
    from tunewright.reporter.text import document_text
    from tunewright.reporter.tree import Document, Facts

    section = exam_section(result)
    text = document_text(Document("", "exam", "", "", Facts(()), (section,)), width()).strip()
    verb = "chat" if result.reading == "learned" else "next"
    return f"{text}\n\nnext: tunewright {verb} {shlex.quote(run)}" if run else text


def runs_text(runs: Sequence[Mapping[str, Any]], chosen: bool = False) -> str:
    """The table of ``runs ls``, and below it what is wrong with damaged folders. ``chosen``: conditions were given."""
    from tunewright.reporter.text_tables import runs_table

    if not runs:
        return "no run meets all of these" if chosen else "no runs here yet; start one: tunewright tune demo"
    damaged = [run for run in runs if run["status"] == "damaged"]
    return runs_table(runs, width()) + "".join(f"{one_line(run['name'])}: {one_line(run['why'])}\n" for run in damaged)


def made_from_it(answer: Mapping[str, Any]) -> list[str]:
    """The runs that were made from the one shown, one a line."""
    children = answer.get("lineage", {}).get("children", ())
    return [f"led to   {one_line(child)}" for child in children]


def removal_text(planned: Sequence[Mapping[str, Any]], most: int) -> str:
    """What is about to be removed: folders, sizes, what is inside, and what came from them."""
    lines = []
    for one in planned[:most]:
        inside = f", with {plural(len(one['runs']), 'run')} inside" if one["runs"] else ""
        children = f"; {plural(len(one['children']), 'run')} came from it" if one["children"] else ""
        lines.append(f"{one_line(one['run'])}: {one['bytes'] / 1e6:,.1f} MB{inside}{children}")
    return "\n".join([*lines, *([f"and {len(planned) - most} more"] if len(planned) > most else [])])


def rules_text(answer: Mapping[str, Any]) -> str:
    from tunewright.reporter.text_tables import rules_table

    none = "no prescription was followed here yet: tunewright next RUN --out next.yaml, then tunewright train next.yaml"
    lines = [rules_table(answer["rules"], width()) if answer["rules"] else none]
    return "\n".join([*lines, *(f"not read: {one_line(one['run'])}: {one['why']}" for one in answer["damaged"])])


def compare_text(answer: Mapping[str, Any]) -> str:
    from tunewright.reporter.text_tables import compare

    return compare(answer, width())


def env_text(answer: Mapping[str, Any]) -> str:
    machine = answer["machine"]
    lines = [f"{key} {answer[key]}" for key in ("tunewright", "python", "system")]
    lines.append(f"machine {machine.device}, {machine.memory_GiB:.1f} GiB, {machine.cores} cores")
    return "\n".join(
        [*lines, *(f"{name} {version or 'not installed'}" for name, version in answer["packages"].items())]
    )
