"""A run's curve with its findings, what the guides say of it, and what to change next."""

from __future__ import annotations

import math

import numpy as np

from tunewright.curve.smooth import smooth
from tunewright.reporter.curve_figure import curve_figure, half_life_steps
from tunewright.reporter.figure import Figure
from tunewright.reporter.run_view import RunView
from tunewright.reporter.tree import Block, Cell, Chart, Facts, Fold, Paragraph, Table, Tone, table
from tunewright.reporter.verdicts import HEALTH_TONE, SEVERITY_TONE
from tunewright.reporter.words import figure, one_line, safe, sentence, setting, signed, steps
from tunewright.schema.curve import Curve, Series
from tunewright.schema.finding import Diagnosis, Finding
from tunewright.schema.prescription import Change

MOST_CHART_ROWS = 60


def run_figure(view: RunView, curve: Curve, most_points: int = 1_200) -> Figure:
    """The chart of a run's view."""
    return curve_figure(
        curve,
        view.diagnosis.findings if view.diagnosis else (),
        title=f"Training curve of {one_line(view.name, 80)}",
        best_step=view.best_step,
        resumed=view.resumed,
        most_points=most_points,
    )


def curve_blocks(view: RunView, most_points: int = 1_200) -> list[Block]:
    """The curve with its findings; what is missing is said."""
    blocks: list[Block] = [Paragraph(one_line(problem), "warn") for problem in view.problems]
    if view.curve is None:
        blocks.append(Paragraph("There is no curve to show: this run has not logged a loss."))
    else:
        blocks.append(Chart(run_figure(view, view.curve, most_points), curve_table(view.curve)))
    diagnosis = view.diagnosis
    if diagnosis is None:
        return [*blocks, Paragraph("The curve has not been read by the doctor yet (tunewright diagnose).")]
    return [*blocks, *finding_blocks(diagnosis)]


def curve_table(curve: Curve) -> Table:
    """The numbers behind the chart: at every evaluation, or evenly picked steps when there are too many or none."""
    half_life = half_life_steps(curve)
    training = smooth(curve.loss, half_life) if half_life else curve.loss
    at_steps = curve.eval_loss.steps if len(curve.eval_loss) else curve.loss.steps
    picked = _evenly(at_steps.tolist(), MOST_CHART_ROWS)
    rows: list[tuple[Cell | str, ...]] = [
        (
            f"{step:,}",
            _latest(training, step),
            _exact(curve.eval_loss, step),
            _exact(curve.general_loss, step),
            _latest_rate(curve.learning_rate, step),
        )
        for step in picked
    ]
    notes = [f"Training loss is smoothed with a half-life of {half_life:,.0f} steps."] if half_life else []
    if len(picked) < len(at_steps):
        notes.append(f"{len(picked)} of {len(at_steps):,} points are listed.")
    notes += [f"{name}: not finite at {where}." for name, where in not_finite(curve)]
    columns = "step #|training loss #|validation loss #|general text #|learning rate #"
    return table("Losses and learning rate by step", columns, rows, note=" ".join(notes))


def not_finite(curve: Curve) -> list[tuple[str, str]]:
    """Each series that has values which are not finite, and the stretches of steps where."""
    named = {"Training loss": curve.loss, "Validation loss": curve.eval_loss, "General text": curve.general_loss}
    return [(name, _stretches(series)) for name, series in named.items() if not np.all(np.isfinite(series.values))]


def _stretches(series: Series) -> str:
    bad = np.flatnonzero(~np.isfinite(series.values))
    groups = np.split(bad, np.flatnonzero(np.diff(bad) > 1) + 1)
    said = [steps(int(series.steps[group[0]]), int(series.steps[group[-1]])) for group in groups]
    more = f" and {len(said) - 20:,} more stretches" if len(said) > 20 else ""
    return ", ".join(said[:20]) + more


def _evenly(values: list[int], most: int) -> list[int]:
    if len(values) <= most:
        return values
    return [values[round(index * (len(values) - 1) / (most - 1))] for index in range(most)]


def _exact(series: Series, step: int) -> str:
    value = series.at(step)
    return "" if value is None else figure(value)


def _latest(series: Series, step: int) -> str:
    """The value at ``step``, or the last one before it."""
    place = int(np.searchsorted(series.steps, step, side="right")) - 1
    return figure(float(series.values[place])) if place >= 0 else ""


def _latest_rate(series: Series, step: int) -> str:
    place = int(np.searchsorted(series.steps, step, side="right")) - 1
    return setting(float(series.values[place])) if place >= 0 else ""


def finding_blocks(diagnosis: Diagnosis) -> list[Block]:
    """Findings with evidence, the guides' checklist and reading, and what could not be decided."""
    blocks: list[Block] = [_findings(diagnosis.findings)]
    if diagnosis.checklist:
        blocks.append(_checklist(diagnosis))
    guide = diagnosis.guide_reading
    if guide.interpretation or guide.target:
        items = [
            ("Final training loss", figure(guide.final_loss)),
            ("Read by the guide's table of losses", safe(guide.interpretation)),
            ("Read by its table of targets", safe(guide.target)),
            ("Its decision tree advises", safe(guide.tree_advice)),
        ]
        reading = Facts(tuple((name, value) for name, value in items if value))
        say = "The guide reads the training loss alone; the findings above go by evidence and may differ."
        blocks.append(Fold("How the guide would read the final loss", (reading, Paragraph(say, "quiet"))))
    if diagnosis.abstained:
        rows: list[tuple[Cell | str, ...]] = [
            (one_line(a.symptom), one_line(a.because), _detectable(a.minimal_detectable_change))
            for a in diagnosis.abstained
        ]
        open_questions = table("What this log cannot answer", "question|why|smallest change it could show #", rows)
        blocks.append(Fold(f"What this log cannot answer ({len(rows)})", (open_questions,)))
    return blocks


def _detectable(change: float | None) -> str:
    return f"{100 * change:.0f} %" if change is not None and math.isfinite(change) else ""


def _findings(findings: tuple[Finding, ...]) -> Block:
    if not findings:
        return Paragraph("No finding: nothing in this curve calls for a change.", "good")
    rows: list[tuple[Cell | str, ...]] = []
    for finding in findings:
        causes = f"Likely causes: {'; '.join(one_line(cause) for cause in finding.causes)}." if finding.causes else ""
        data_rows = f"Data rows: {', '.join(f'{row:,}' for row in finding.rows[:20])}." if finding.rows else ""
        rows.append(
            (
                Cell(finding.severity, tone=SEVERITY_TONE[finding.severity]),
                Cell(one_line(finding.symptom.replace("_", " ")), note=one_line(finding.code)),
                steps(*finding.steps),
                Cell(sentence(finding.why), note=" ".join(part for part in (causes, data_rows) if part)),
            )
        )
    return table("Findings, causes before consequences", "severity|finding|steps|evidence", rows)


def _checklist(diagnosis: Diagnosis) -> Block:
    words: dict[bool | None, tuple[str, Tone]] = {
        True: ("yes", "good"),
        False: ("no", ""),
        None: ("not measurable", "quiet"),
    }
    rows: list[tuple[Cell | str, ...]] = []
    for mark in diagnosis.checklist:
        said, tone = words[mark.ok]
        rows.append((one_line(mark.mark), figure(mark.value) if mark.value is not None else "", Cell(said, tone=tone)))
    return Fold("The marks of an ideal curve", (table("The marks of an ideal curve", "mark|measured #|met", rows),))


def next_blocks(view: RunView) -> list[Block]:
    """What to change for the next run, as the prescription kept with the findings says."""
    advice = view.prescription
    if advice is None:
        return []
    if advice.keep or not advice.changes:
        return [Paragraph(f"Next: keep these settings. {sentence(advice.why)}".strip(), "good")]
    told = {change.why.casefold().rstrip(".") for change in advice.changes}
    repeated = any(why and why in advice.why.casefold() for why in told)  # the table below gives the reason
    asked = "; ".join(change_text(change) for change in advice.changes)
    said = f"Next: {asked}." if repeated or not advice.why else f"Next: {safe(advice.why)}"
    return [Paragraph(said), changes_table(advice.changes)]


def changes_table(changes: tuple[Change, ...]) -> Table:
    """Changes as before and after, each with its reason and source."""
    rows: list[tuple[Cell | str, ...]] = [
        (change_text(change), Cell(sentence(change.why), note=safe(change.source))) for change in changes
    ]
    return table("Changes for the next run", "change|why", rows)


def change_text(change: Change) -> str:
    """One change as "key before → after", as a factor when the recipe is not known, or as a step for a person."""
    if change.after is None and change.factor is not None:
        return f"{one_line(change.key)} × {figure(change.factor)}"
    if change.after is None and change.rule:  # a rule's step; what is on record as changed may have become nothing
        return f"a look at {one_line(change.key)}"
    if change.rule and change.from_unknown:
        return f"{one_line(change.key)} set to {setting(change.after)}"
    return f"{one_line(change.key)} {setting(change.before)} → {setting(change.after)}"


def forgetting_cell(value: float | None, limit: float) -> Cell:
    """A rise of the loss on general text, as a warning when it is above ``limit`` nats per token."""
    if value is None:
        return Cell("")
    return Cell(signed(value), tone="warn" if value > limit else "")


def health_cell(health: str) -> Cell:
    return Cell(one_line(health, 20), tone=HEALTH_TONE.get(health, "quiet"))
