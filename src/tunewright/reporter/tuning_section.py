"""How a tuning found its rate and its length: both against the loss, who was ended and why, and what it cost.

Drawn from the run folders: phase and tokens from run.json, rate and epochs from the recipe, losses from the curve.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tunewright.reporter import load
from tunewright.reporter.figure import Figure, Line, Panel
from tunewright.reporter.run_view import RunView, TuningRun, TuningView
from tunewright.reporter.tree import Block, Bullets, Cell, Chart, Heading, Paragraph, table
from tunewright.reporter.words import figure, one_line, plural

LAST = "run"
"""Phase of the runs that are no probe."""
SIBLING = "sibling"
"""Phase of the runs that repeat the best one's last part with the rows in other orders."""
GRID_RATES, GRID_RANKS, GRID_LENGTHS = 8, 3, (0.25, 0.5, 0.75, 1.0)
"""The full grid that a tuning's tokens are set against: the usual axes of a sweep by hand."""
FORWARD_WEIGHT = 0.5
"""Cost of a token that was only forwarded, in trained ones."""


@dataclass(frozen=True)
class Tried:
    """One run as a point: ``loss`` at its end; NaN when it was ended early. Tokens are its own.

    looks  : (epochs, loss) of its evaluations after the start, of its trunk's too
    decays : whether its rate fell to zero at its end
    """

    name: str
    phase: str
    rate: float
    epochs: float
    loss: float
    train_tokens: int
    eval_tokens: int
    ended: str
    looks: tuple[tuple[float, float], ...] = ()
    decays: bool = False


def tuning_blocks(view: TuningView) -> list[Block]:
    """Two charts, the runs that were ended, and the cost; nothing for a tuning that tried no rates."""
    tried = [one for one in map(_tried, view.runs) if one is not None]
    if not any(one.phase not in ("", LAST) for one in tried):
        return []
    blocks: list[Block] = [Heading("How rate and length were found")]
    rates = _rates_chart(tried)
    lengths = _lengths_chart(tried)
    blocks += [chart for chart in (rates, lengths) if chart is not None]
    ended = [one for one in tried if one.ended]
    if ended:
        lines = tuple(f"{one.name} at {figure(one.rate)}: {one_line(one.ended, 300)}" for one in ended)
        blocks += [Heading("Ended before their time"), Bullets(lines)]
    return [*blocks, *_cost_blocks(tried, view.best)]


def chosen_by(view: TuningView) -> Paragraph:
    """What is kept, which rows it was chosen by, and what the sealed test rows said afterwards."""
    said = _chosen_by(view)
    if not view.averaged or view.best_run is None:
        return said
    names = one_line(", ".join(view.averaged), 200)
    mean = (
        f"The weights of {names} were averaged: the mean has a validation loss of {figure(view.kept_loss)}, "
        f"{one_line(view.best, 60)} alone {figure(view.best_run.eval_loss)}."
    )
    return Paragraph(f"{mean} {said.text}", said.tone)


def _chosen_by(view: TuningView) -> Paragraph:
    test = load.mapping(view.about.get("test"))
    loss, error, rows = (load.number(test.get(key)) for key in ("loss", "standard_error", "rows"))
    if loss is None or rows is None:
        return Paragraph("The run was chosen by its validation loss; no test rows were kept aside.", "quiet")
    spread = "" if error is None or not math.isfinite(error) else f" ± {figure(error)}"
    said = f"On {rows:,.0f} sealed test rows, looked at once afterwards, its loss is {figure(loss)}{spread}"
    return Paragraph(f"The run was chosen by its validation loss. {said} nats per token.")


def _tried(run: TuningRun) -> Tried | None:
    view = run.view
    if view is None:
        return None
    rate, epochs = (load.number(view.recipe.get(key)) for key in ("learning_rate", "num_train_epochs"))
    if rate is None or epochs is None:
        return None
    spent, before = (load.mapping(view.result.get(key)) for key in ("tokens", "tokens_inherited"))
    own = {key: (load.count(spent.get(key)) or 0) - (load.count(before.get(key)) or 0) for key in ("train", "eval")}
    because = load.text(view.result.get("stopped_because"))
    early = "" if because.startswith("all ") else because
    return Tried(
        run.name,
        load.text(view.about.get("phase")),
        rate,
        epochs,
        math.nan if early else _last_loss(view),
        own["train"],
        own["eval"],
        early,
        _looks(view),
        view.recipe.get("lr_scheduler_type", "constant") != "constant",
    )


def _looks(view: RunView) -> tuple[tuple[float, float], ...]:
    curve = view.curve
    if curve is None or not curve.steps_per_epoch:
        return ()
    looks = curve.eval_loss.finite()
    points = zip((looks.steps / curve.steps_per_epoch).tolist(), looks.values.tolist(), strict=True)
    return tuple((epochs, loss) for epochs, loss in points if epochs > 0)


def _last_loss(view: RunView) -> float:
    measured = view.curve.eval_loss.finite() if view.curve else None
    return float(measured.values[-1]) if measured is not None and len(measured) else math.nan


def _rates_chart(tried: Sequence[Tried]) -> Chart | None:
    """Learning rate against loss: a line for every length that more than one rate was run for."""
    groups = _groups([one for one in tried if one.phase not in (LAST, SIBLING)], lambda one: one.epochs)
    shown = {f"{figure(epochs)} epochs": group for epochs, group in groups.items() if len(group) > 1}
    title = "Loss at the end by learning rate, nats per token"
    return _chart(title, "learning rate", shown, lambda one: one.rate, x_log=True)


def _lengths_chart(tried: Sequence[Tried]) -> Chart | None:
    """Epochs against loss: for every rate that was held the looks of its longest run, siblings and last runs apart.

    A look at a held rate is the loss of the mean of the weights so far: what a run that ended there would have kept.
    """
    short = [one for one in tried if one.phase not in (LAST, SIBLING)]
    apart = {"the best again, rows in other orders": SIBLING, "whole runs": LAST}
    longest = {one.rate: one for one in sorted(short, key=lambda one: (one.rate, one.looks[-1:]))}
    shown = {_called(one): _at_its_looks(one) for one in longest.values() if len(one.looks) > 1}
    for name, phase in apart.items():
        ends = [one for one in tried if one.phase == phase]
        shown |= {name: ends} if ends else {}
    return _chart("Loss by length, nats per token", "epochs", shown, lambda one: one.epochs)


def _called(run: Tried) -> str:
    return f"rate {figure(run.rate)}, held{', then falling to zero' if run.decays else ''}"


def _at_its_looks(run: Tried) -> list[Tried]:
    return [replace(run, epochs=epochs, loss=loss) for epochs, loss in run.looks]


def _groups(tried: Sequence[Tried], key: Callable[[Tried], float]) -> dict[float, list[Tried]]:
    groups: dict[float, list[Tried]] = {}
    for one in sorted(tried, key=key):
        if math.isfinite(one.loss):
            groups.setdefault(round(key(one), 9), []).append(one)
    return groups


def _chart(
    title: str, axis: str, groups: dict[str, list[Tried]], x: Callable[[Tried], float], *, x_log: bool = False
) -> Chart | None:
    if not groups:
        return None
    lines = []
    for number, (name, group) in enumerate(groups.items()):
        points = sorted((x(one), one.loss) for one in group if math.isfinite(one.loss))
        at = np.array([point[0] for point in points])
        losses = np.array([point[1] for point in points])
        lines.append(Line(name, f"run{number}" if number < 12 else "run-other", at, losses, len(points), dots=True))
    rows: list[tuple[Cell | str, ...]] = [
        (one_line(one.name, 60), figure(one.rate), figure(one.epochs), figure(one.loss))
        for group in groups.values()
        for one in group
    ]
    described = "; ".join(f"{name}: {', '.join(_point(one, x) for one in group)}" for name, group in groups.items())
    drawn = Figure(title, f"{described}.", axis, (Panel(title, tuple(lines), height_px=220),), x_log=x_log)
    return Chart(drawn, table(title, "run|rate #|epochs #|loss #", rows))


def _point(one: Tried, x: Callable[[Tried], float]) -> str:
    return f"{figure(one.loss)} at {figure(x(one))}"


def _cost_blocks(tried: Sequence[Tried], best: str) -> list[Block]:
    """Tokens by phase, and beside a full grid up to the length that was kept."""
    rows: list[tuple[Cell | str, ...]] = []
    for phase in dict.fromkeys(one.phase for one in tried):
        part = [one for one in tried if one.phase == phase]
        train, forwarded = sum(one.train_tokens for one in part), sum(one.eval_tokens for one in part)
        rows.append((phase or LAST, figure(len(part)), figure(train), figure(forwarded)))
    note = "Trained: through forward and backward, each step counted once, in the run that made it."
    blocks: list[Block] = [table("What it cost, in tokens", "phase|runs #|trained #|forwarded #", rows, note=note)]
    kept = next((one for one in tried if one.name == best), None)
    alone = [one for one in tried if one.phase in ("probe", LAST) and not one.ended and one.epochs > 0]
    if kept is None or not alone:
        return blocks
    per_epoch = alone[0].train_tokens / alone[0].epochs
    grid = GRID_RATES * GRID_RANKS * sum(GRID_LENGTHS) * kept.epochs * per_epoch
    cost = sum(one.train_tokens + FORWARD_WEIGHT * one.eval_tokens for one in tried)
    cells = GRID_RATES * GRID_RANKS * len(GRID_LENGTHS)
    said = (
        f"A grid of {GRID_RATES} rates, {GRID_RANKS} ranks and a quarter, half, three quarters and all of "
        f"{figure(kept.epochs)} epochs ({plural(cells, 'run')}) would train on {figure(round(grid))} tokens; "
        f"this tuning took {100 * cost / grid:.1f} % of that, forwarded tokens at half weight."
    )
    return [*blocks, Paragraph(said)]
