"""A diagnosis, a prescription and the next recipe as text for people."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.cli.show import SIGNS, width
from tunewright.reporter.lines import hanging
from tunewright.reporter.words import one_line, plural, setting

if TYPE_CHECKING:
    from tunewright.app.diagnose import Report
    from tunewright.schema.finding import Abstention, Finding, Mark
    from tunewright.schema.prescription import Change, Prescription


def change_lines(change: Change) -> list[str]:
    """One change: what to what, why, who says so, what is expected of it."""
    if change.after is not None:
        step = f"{'set to' if change.from_unknown else f'{setting(change.before)} ->'} {setting(change.after)}"
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


def survey_text(reports: Sequence[Report], pairs: Sequence[str] = ()) -> str:
    """Every report as :func:`diagnose_text`; of several runs, how each one is comes first, a line a run."""
    texts = [diagnose_text(report, pairs) for report in reports]
    overview = ["\n".join([f"{len(reports)} runs", *map(_overview_line, reports)])] if len(reports) > 1 else []
    return "\n\n".join([*overview, *texts])


def _overview_line(report: Report) -> str:
    diagnosis = report.diagnosis
    said = [finding.symptom for finding in diagnosis.findings]
    said += [f"broke off, {one_line(report.curve.failure)}"] if report.curve.failure else []
    said = said or [diagnosis.leaves_open or "no findings"]
    return f"  {diagnosis.health:<8} {one_line(diagnosis.source.path)}: {', '.join(said)}"


def diagnose_text(report: Report, pairs: Sequence[str] = ()) -> str:
    """Health, findings with evidence, what the log cannot tell, the guides' reading, and the change.

    ``pairs``: the ``--map`` words the log was read with; the next command needs them too.
    """
    diagnosis, source = report.diagnosis, report.diagnosis.source
    but = f", as far as this log tells: {diagnosis.leaves_open}" if diagnosis.leaves_open else ""
    lines = [
        f"{one_line(source.path)} ({source.kind})",
        f"{plural(source.steps, 'step')}, logged every {source.logged_every}, {plural(source.evals, 'evaluation')}",
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
    lines += [f"next: tunewright next {_again(source.path, pairs)}"] if report.prescription.changes else []
    return "\n".join(lines)


def _again(path: str, pairs: Sequence[str]) -> str:
    """A log as it has to be named in another command."""
    return " ".join([shlex.quote(path), *(f"--map {shlex.quote(pair)}" for pair in pairs)])


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
    lines += hanging("expected: ", answer["expects"], width()) if answer.get("expects") else []
    lines += [f"next: tunewright train {answer['written']}"] if answer.get("written") else []
    lines += hanging("note: ", answer["note"], width()) if answer.get("note") else []
    return "\n".join(lines)


def next_command(run: str, data: str, answer: Mapping[str, Any], pairs: Sequence[str] = ()) -> str:
    """What to type after ``next`` as a last line; "" where that is plain, or where a person has to look first."""
    recipe, asked = answer["recipe"] or {}, answer["prescription"]
    edit = answer.get("edit")
    if edit and edit["changed"] and not edit["written"]:
        file = Path(edit["file"])
        new = file.with_name(f"{file.stem}-2{file.suffix}")
        both = f"--recipe {shlex.quote(str(file))} --out {shlex.quote(str(new))}"
        return f"next: tunewright next {_again(run, pairs)} {both}"
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
    again = f"tunewright next {_again(run, pairs)}{grown} --recipe"
    return f"next, to change the config it was made with (YAML or script, in place of FILE): {again} FILE"
