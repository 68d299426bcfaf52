"""A view as a document: which sections a run's and a tuning's report have, and in which order."""

from __future__ import annotations

from tunewright.doctor.thresholds import FORGETTING_NATS
from tunewright.reporter import load
from tunewright.reporter.curve_figure import overlay_figure
from tunewright.reporter.curve_section import change_text, curve_blocks, forgetting_cell, health_cell, next_blocks
from tunewright.reporter.data_section import data_section
from tunewright.reporter.exam_section import exam_section
from tunewright.reporter.figure import Figure
from tunewright.reporter.origin_section import notes_section, origin_section
from tunewright.reporter.run_sections import cost_facts, record_section, settings_section, use_section
from tunewright.reporter.run_view import RunView, TuningRun, TuningView, View
from tunewright.reporter.sweep_section import sweep_blocks
from tunewright.reporter.tree import (
    Block,
    Bullets,
    Cell,
    Chart,
    Document,
    Facts,
    Fold,
    Heading,
    Paragraph,
    Section,
    Table,
    table,
)
from tunewright.reporter.tuning_section import chosen_by, tuning_blocks
from tunewright.reporter.verdicts import headline_facts, run_verdict, tuning_verdict
from tunewright.reporter.words import duration, figure, moment, one_line, plural, safe, sentence, setting
from tunewright.schema.prescription import Range

MOST_CURVES = 40
"""Runs of one tuning whose full curve is drawn; the tables have all of them. Keeps the page below 2 MB."""
POINTS_OF_ALL = 12_000
"""Points of training loss drawn in the whole page, shared by its curves."""


def make_document(view: View) -> Document:
    """The report of a run or of a tuning."""
    return _tuning_document(view) if isinstance(view, TuningView) else _run_document(view)


def _run_document(view: RunView) -> Document:
    verdict, tone = run_verdict(view)
    facts = headline_facts(view.eval_loss, view.base_eval_loss, view.exam, view.forgetting)
    facts.append(("Time", duration(load.number(view.result.get("seconds")))))
    curve = Section("curve", "The curve and what it means", (*curve_blocks(view), *next_blocks(view)), brief=True)
    adapter = str(view.result.get("adapter") or f"{view.path}/best")
    told = [section for section in (origin_section(view), notes_section(view)) if section is not None]
    ours = (data_section(view), use_section(view, adapter)) if not view.is_log else ()
    return Document(
        title=one_line(view.name, 100),
        kind="run",
        verdict=verdict,
        tone=tone,
        facts=Facts(tuple(facts), big=True),
        sections=(
            curve,
            *told,
            *(() if view.is_log else (exam_section(view.exam),)),
            settings_section(view),
            *ours,
            record_section(view),
        ),
    )


def _tuning_document(view: TuningView) -> Document:
    verdict, tone = tuning_verdict(view)
    best = view.best_run
    base = (
        view.base_eval_loss
        if view.base_eval_loss is not None or not best or not best.view
        else best.view.base_eval_loss
    )
    facts = headline_facts(view.kept_loss, base, view.exam, view.kept_forgetting)
    facts.append(("Time", duration(load.number(view.about.get("seconds")))))
    sections = [_story(view), _curves(view), exam_section(view.exam)]
    if best and best.view:
        adapter = str(load.mapping(view.about.get("best")).get("adapter") or f"{best.view.path}/best")
        sections += [settings_section(best.view), data_section(best.view), use_section(best.view, adapter)]
    return Document(
        title=one_line(view.name, 100),
        kind="tuning",
        verdict=verdict,
        tone=tone,
        facts=Facts(tuple(facts), big=True),
        sections=(*sections, _tuning_record(view)),
    )


def _story(view: TuningView) -> Section:
    """What each run showed, what was changed and why, and why it ended."""
    blocks: list[Block] = [Paragraph(one_line(problem), "warn") for problem in view.problems]
    swept = view.about.get("kind") == "sweep"
    blocks += sweep_blocks(view) if swept else [runs_table(view), *tuning_blocks(view)]
    overlay = series_figure(view) if len(view.runs) > 1 else None
    if overlay is not None:
        blocks.append(Chart(overlay, _overlay_table(view)))
    if view.about.get("stopped_because"):
        blocks.append(Paragraph(f"It ended because: {safe(view.about['stopped_because']).rstrip('.')}."))
        blocks += [] if swept else [chosen_by(view)]
    if view.decisions:
        lines = tuple(f"{moment(at)}: {safe(text)}" if at is not None else safe(text) for at, text in view.decisions)
        blocks.append(Fold(f"Every decision as it was made ({len(lines)})", (Bullets(lines, ordered=True),)))
    return Section("story", "What was tried, and why", tuple(blocks), brief=True)


def series_figure(view: TuningView) -> Figure | None:
    """The validation losses of every run on one axis; None when none was measured."""
    curves = [(run.name, run.view.curve) for run in view.runs if run.view and run.view.curve]
    return overlay_figure(curves, view.best)


def runs_table(view: TuningView) -> Table:
    """One row per run: what was changed and why, and what came of it; the kept run is set off."""
    rows = [_run_row(run, run.name == view.best) for run in view.runs]
    best = next((index for index, run in enumerate(view.runs) if run.name == view.best), None)
    columns = "run|changed|validation loss #|forgetting #|curve"
    note = "Losses in nats per token; forgetting is the rise of the loss on general text since the start."
    return table("The runs in order", columns, rows, strong_row=best, note=note)


def _run_row(run: TuningRun, is_best: bool) -> tuple[Cell | str, ...]:
    changed = "\n".join(change_text(change) for change in run.changes)
    reason = sentence(run.why) or " ".join(sentence(change.why) for change in run.changes)
    found = ", ".join(one_line(name.replace("_", " "), 60) for name in run.findings)
    health = health_cell(run.health)
    return (
        Cell(one_line(run.name, 60), note="kept" if is_best else ""),
        Cell(changed or "the planned first run", note=reason if changed or "first run" not in reason else ""),
        Cell(figure(run.eval_loss), note=kept_promise(run.predicted, run.eval_loss)),
        forgetting_cell(run.forgetting, FORGETTING_NATS.value),
        Cell(health.text, note=one_line(run.verdict, 300) or found, tone=health.tone),
    )


def kept_promise(predicted: Range | None, came: float | None) -> str:
    """What a change was expected to give, and whether that came true.

    >>> kept_promise(Range(0.3, 0.28, 0.32), 0.31)
    'expected 0.280–0.320: met'
    """
    if predicted is None:
        return ""
    span = (
        figure(predicted.middle)
        if predicted.low == predicted.high
        else f"{figure(predicted.low)}–{figure(predicted.high)}"
    )
    if came is None:
        return f"expected {span}"
    if predicted.low == predicted.high:
        return f"expected {span}"
    how = "met" if predicted.low <= came <= predicted.high else "better" if came < predicted.low else "missed"
    return f"expected {span}: {how}"


def _overlay_table(view: TuningView) -> Table:
    rows: list[tuple[Cell | str, ...]] = []
    for run in view.runs:
        curve = run.view.curve if run.view else None
        measured = curve.eval_loss.finite() if curve else None
        first = figure(float(measured.values[0])) if measured is not None and len(measured) else ""
        last = figure(float(measured.values[-1])) if measured is not None and len(measured) else ""
        lowest = figure(float(measured.values.min())) if measured is not None and len(measured) else ""
        step = run.view.best_step if run.view else None
        rows.append((one_line(run.name, 60), first, lowest, f"{step:,}" if step is not None else "", last))
    columns = "run|first #|lowest #|best step #|last #"
    return table("Validation loss of every run, nats per token", columns, rows)


def _curves(view: TuningView) -> Section:
    """Every run's curve with its findings, the kept one first."""
    runs = sorted((run for run in view.runs if run.view), key=lambda run: run.name != view.best)
    most_points = max(150, min(1_200, POINTS_OF_ALL // max(1, len(runs))))
    blocks: list[Block] = []
    for index, run in enumerate(runs[:MOST_CURVES]):
        if run.view is None:
            continue
        inside = tuple(curve_blocks(run.view, most_points))
        name = f"{one_line(run.name, 60)}{', the run that was kept' if run.name == view.best else ''}"
        if index:
            blocks.append(Fold(f"{name}: {one_line(run.health)}, validation loss {figure(run.eval_loss)}", inside))
        else:
            blocks += [Heading(name), *inside, *([Heading("The other runs")] if len(runs) > 1 else [])]
    if len(runs) > MOST_CURVES:
        blocks.append(
            Paragraph(f"The curves of {plural(len(runs) - MOST_CURVES, 'more run')} are in their own reports.")
        )
    return Section("curves", "The curves and what they mean", tuple(blocks))


def _tuning_record(view: TuningView) -> Section:
    best = view.best_run
    run_about = best.view.about if best and best.view else {}
    items = [
        ("Model", one_line(view.about.get("model") or "")),
        ("Data", setting(view.about.get("data") or "")),
        ("Goal", one_line(view.about.get("goal") or "")),
        ("Started", moment(view.about.get("started"))),
        *cost_facts(view.about),
        ("Versions", setting(run_about.get("versions")) if run_about.get("versions") else ""),
        ("Folder", one_line(view.path)),
    ]
    blocks: list[Block] = [Facts(tuple(item for item in items if item[1]))]
    if best and best.view:
        blocks.append(Fold(f"The record of {one_line(best.name, 60)}", record_section(best.view).blocks))
    return Section("record", "The record", tuple(blocks))
