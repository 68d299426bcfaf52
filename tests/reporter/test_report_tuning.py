"""The part of a tuning's report that shows how rate and length were found, from folders written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from report_blocks import every_block

from tunewright.reporter.document import make_document
from tunewright.reporter.svg import render_svg
from tunewright.reporter.textplot import render_plot
from tunewright.reporter.tree import Bullets, Chart, Paragraph, Table
from tunewright.reporter.tuning_section import chosen_by, tuning_blocks
from tunewright.reporter.view import read_view

RUNS: tuple[tuple[str, str, float, float, float, int, str], ...] = (
    ("run-1", "probe", 5e-4, 1.0, 1.2, 0, "all 10 steps done"),
    ("run-2", "probe", 1e-3, 1.0, 1.0, 0, "all 10 steps done"),
    ("run-3", "probe", 2e-3, 1.0, 9.0, 0, "divergence: the loss rose"),
    ("run-4", "trunk", 1e-3, 2.0, 0.8, 800, "all 20 steps done"),
    ("run-5", "run", 2e-3, 2.0, 0.7, 0, "all 20 steps done"),
)


def tuning(folder: Path, runs: tuple[tuple[Any, ...], ...] = RUNS) -> Path:
    for name, phase, rate, epochs, loss, inherited, because in runs:
        path = folder / name
        path.mkdir(parents=True)
        steps = round(10 * epochs)
        result = {"tokens": {"train": 100 * steps, "eval": 60}, "stopped_because": because, "eval_loss": loss}
        result |= {"tokens_inherited": {"train": inherited, "eval": 20}} if inherited else {}
        (path / "run.json").write_text(json.dumps({"status": "finished", "phase": phase, "result": result}))
        (path / "recipe.yaml").write_text(f"learning_rate: {rate}\nnum_train_epochs: {epochs}\n")
        looks = [(0, 3.0), *([(10, 1.0)] if inherited else []), (steps, loss)]
        events: list[dict[str, float]] = [{"step": at, "epoch": at / 10, "eval_loss": look} for at, look in looks]
        events.insert(-1, {"step": steps, "epoch": epochs, "loss": loss})
        (path / "metrics.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in events))
    about = {"kind": "tune", "runs": [{"name": run[0], "eval_loss": run[4]} for run in runs], "stopped_because": "done"}
    (folder / "tuning.json").write_text(json.dumps({**about, "best": {"run": str(folder / runs[-1][0])}}))
    return folder


def blocks(folder: Path) -> list[Any]:
    view = read_view(folder)
    return list(tuning_blocks(view))  # type: ignore[arg-type]


def test_rates_and_lengths_are_drawn_against_the_loss(tmp_path: Path) -> None:
    rates, lengths = (block for block in blocks(tuning(tmp_path)) if isinstance(block, Chart))
    assert rates.figure.x_log
    assert [list(line.x) for line in rates.figure.panels[0].lines] == [[5e-4, 1e-3]]
    assert rates.figure.x_start < 5e-4 < 1e-3 < rates.figure.x_end
    lines = {line.name: (list(line.x), list(line.y)) for line in lengths.figure.panels[0].lines}
    assert lines == {"rate 0.00100, held": ([1.0, 2.0], [1.0, 0.8]), "whole runs": ([2.0], [0.7])}
    assert "<svg" in render_svg(rates.figure)
    assert "learning rate" in render_plot(rates.figure)


def test_a_trunk_whose_rate_fell_at_its_end_is_called_so(tmp_path: Path) -> None:
    folder = tuning(tmp_path)
    with (folder / "run-4" / "recipe.yaml").open("a") as recipe:
        recipe.write("lr_scheduler_type: wsd\n")
    _, lengths = (block for block in blocks(folder) if isinstance(block, Chart))
    assert [line.name for line in lengths.figure.panels[0].lines] == [
        "rate 0.00100, held, then falling to zero",
        "whole runs",
    ]


def test_siblings_are_drawn_apart_from_the_runs_they_repeat(tmp_path: Path) -> None:
    siblings = [(f"run-{n}", "sibling", 1e-3, 3.0, loss, 1000, "all 30 steps done") for n, loss in ((6, 0.6), (7, 0.5))]
    rates, lengths = (block for block in blocks(tuning(tmp_path, (*RUNS, *siblings))) if isinstance(block, Chart))
    lines = {line.name: (list(line.x), list(line.y)) for line in lengths.figure.panels[0].lines}
    assert lines["rate 0.00100, held"] == ([1.0, 2.0], [1.0, 0.8])
    assert lines["the best again, rows in other orders"] == ([3.0, 3.0], [0.5, 0.6])
    assert [list(line.x) for line in rates.figure.panels[0].lines] == [[5e-4, 1e-3]]


def test_an_ended_run_is_named_with_its_reason_and_not_drawn(tmp_path: Path) -> None:
    found = blocks(tuning(tmp_path))
    (ended,) = (block for block in found if isinstance(block, Bullets))
    assert ended.items == ("run-3 at 0.00200: divergence: the loss rose",)
    assert all(
        9.0 not in line.y for block in found if isinstance(block, Chart) for line in block.figure.panels[0].lines
    )


def test_every_step_is_paid_for_once(tmp_path: Path) -> None:
    found = blocks(tuning(tmp_path))
    cost = next(block for block in found if isinstance(block, Table))
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in cost.rows}
    assert rows["trunk"] == ["1", "1,200", "40"]
    assert rows["probe"] == ["3", "3,000", "180"]
    grid = 8 * 3 * 2.5 * 2.0 * 1000
    spent = 3000 + 1200 + 2000 + 0.5 * (180 + 40 + 60)
    said = next(block.text for block in found if isinstance(block, Paragraph))
    assert f"{100 * spent / grid:.1f} %" in said
    assert "96 runs" in said


def test_a_plain_series_has_no_such_part(tmp_path: Path) -> None:
    plain = tuple((name, "run", *rest) for name, _, *rest in RUNS[-2:])
    assert blocks(tuning(tmp_path, plain)) == []


def test_it_stands_in_the_story(tmp_path: Path) -> None:
    document = make_document(read_view(tuning(tmp_path)))
    charts = [block.figure.title for block in every_block(document) if isinstance(block, Chart)]
    assert "Loss at the end by learning rate, nats per token" in charts


def test_which_rows_chose_and_which_were_sealed_is_said(tmp_path: Path) -> None:
    folder = tuning(tmp_path)
    view = read_view(folder)
    assert "no test rows were kept aside" in chosen_by(view).text  # type: ignore[arg-type]
    about = json.loads((folder / "tuning.json").read_text())
    about["test"] = {"loss": 0.75, "standard_error": 0.02, "rows": 64, "tokens": 900}
    (folder / "tuning.json").write_text(json.dumps(about))
    said = chosen_by(read_view(folder)).text  # type: ignore[arg-type]
    assert "64 sealed test rows" in said
    assert "0.750 ± 0.0200" in said
