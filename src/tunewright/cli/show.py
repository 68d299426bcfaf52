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
    from tunewright.app.diagnose import Report
    from tunewright.schema.exam import ExamResult
    from tunewright.schema.finding import Abstention, Finding, Mark
    from tunewright.schema.measured import Measurement
    from tunewright.schema.plan import Plan
    from tunewright.schema.prescription import Change, Prescription

SIGNS = {"error": "x", "warning": "!", "info": "-"}


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


def change_lines(change: Change) -> list[str]:
    """One change: what to what, why, who says so, what is expected of it."""
    if change.after is not None:
        step = f"{setting(change.before)} -> {setting(change.after)}"
    else:
        step = "by hand" if change.factor is None else f"x {change.factor:.3g}"
    lines = [f"  {change.key}: {step}"]
    lines += hanging("      ", f"{change.why} [{change.rule}; {change.source}]", width())
    if change.predicted:
        expected = change.predicted
        lines.append(f"      expected loss {expected.middle:.4f} ({expected.low:.4f} to {expected.high:.4f})")
    return lines


def prescription_text(prescription: Prescription) -> str:
    if prescription.keep:
        return "\n".join(hanging("keep: ", prescription.why.removeprefix("Keep: "), width()))
    lines = ["change:" if prescription.changes else "\n".join(hanging("advice: ", prescription.why, width()))]
    for change in prescription.changes:
        lines += change_lines(change)
    for voice in prescription.disagreements:
        lines += hanging("  against it: ", voice, width())
    return "\n".join(lines)


def diagnose_text(report: Report) -> str:
    """Health, findings with evidence, what the log cannot tell, the guides' reading, and the change."""
    diagnosis, source = report.diagnosis, report.diagnosis.source
    but = f", as far as this log tells: {diagnosis.leaves_open}" if diagnosis.leaves_open else ""
    lines = [
        f"{one_line(source.path)} ({source.kind})",
        f"{source.steps} steps, logged every {source.logged_every}, {source.evals} evaluations",
        *hanging("health: ", f"{diagnosis.health}{but}", width()),
    ]
    lines += [line for note in report.curve.notes for line in hanging("note: ", one_line(note, 1000), width())]
    lines += [line for finding in diagnosis.findings for line in _finding_lines(finding)]
    lines += _row_lines(report)
    lines += [line for item in diagnosis.abstained for line in _abstention_lines(item)]
    guide = diagnosis.guide_reading
    if guide.final_loss is not None:
        reading = f"{guide.interpretation} | {guide.target} | {guide.tree_advice}"
        lines += hanging(f"the guide on {guide.final_loss:.3f}: ", reading, width())
    lines.append("marks of an ideal curve:")
    lines += [_mark_line(mark) for mark in diagnosis.checklist]
    lines.append(prescription_text(report.prescription))
    lines += [f"next: tunewright next {shlex.quote(source.path)}"] if report.prescription.changes else []
    return "\n".join(lines)


def _finding_lines(finding: Finding) -> list[str]:
    head = f"{SIGNS[finding.severity]} {finding.code} {finding.symptom}, steps {finding.steps[0]}-{finding.steps[1]}: "
    rows = f" (rows {', '.join(map(str, finding.rows[:12]))})" if finding.rows else ""
    return hanging("  ", head + one_line(finding.why, 1000) + rows, width())


def _row_lines(report: Report) -> list[str]:
    """The text of the rows that findings name."""
    return [
        line
        for number, text in report.row_texts.items()
        for line in hanging(f"      row {number}: ", one_line(text), width())
    ]


def _abstention_lines(item: Abstention) -> list[str]:
    change = item.minimal_detectable_change
    smallest = "" if change is None else f" (smallest change it could show: {100 * change:.1f} %)"
    return hanging("  ", f"? {item.symptom}, not enough evidence: {item.because}{smallest}", width())


def _mark_line(mark: Mark) -> str:
    sign = {True: "yes", False: "no ", None: " ? "}[mark.ok]
    value = "not measured" if mark.value is None else format(mark.value, ".3g")
    return f"  {sign}  {mark.mark}: {value}"


def next_text(answer: Mapping[str, Any]) -> str:
    lines = []
    for verdict in answer.get("verdicts", ()):
        lines += hanging(f"{verdict['run']}: ", verdict["verdict"], width())
        lines += hanging("       ", f"steps: {verdict['steps']}", width())
    for one in answer.get("probes", ()):
        lines += hanging("probe: ", f"{one.question} {one.answer}", width())
    if answer.get("probes"):
        lines.append(f"explained by: {(answer['explained_by'] or 'none of the probes').replace('_', ' ')}")
    lines.append(prescription_text(answer["prescription"]))
    for option in answer["options"]:
        mark = "recommended" if option.recommended else "possible"
        lines += hanging(f"{mark}: {option.name}: ", option.arithmetic, width())
    lines += [f"next: tunewright train {answer['written']}"] if answer.get("written") else []
    lines += hanging("note: ", answer["note"], width()) if answer.get("note") else []
    return "\n".join(lines)


def next_command(run: str, data: str, answer: Mapping[str, Any]) -> str:
    """What to type after ``next`` as a last line; "" where that is plain, or where a person has to look first."""
    recipe, asked = answer["recipe"] or {}, answer["prescription"]
    edit = answer.get("edit")
    if edit and edit["changed"] and not edit["written"]:
        file = Path(edit["file"])
        new = file.with_name(f"{file.stem}-2{file.suffix}")
        both = f"--recipe {shlex.quote(str(file))} --out {shlex.quote(str(new))}"
        return f"next: tunewright next {shlex.quote(run)} {both}"
    if not run or edit or "written" in answer or "exported" in answer:
        return ""
    whole = "model" in recipe and "data" in recipe
    if asked.keep:
        return f"next: tunewright exam {shlex.quote(run)}" if whole else ""
    if all(change.after is None and change.factor is None for change in asked.changes):
        return ""
    grown = f" --data {shlex.quote(data)}" if data else ""
    if whole:
        return f"next: tunewright next {shlex.quote(run)}{grown} --out next.yaml"
    return f"next, to change the config it was made with: tunewright next {shlex.quote(run)}{grown} --recipe train.yaml"


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
