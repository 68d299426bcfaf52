"""A tuning whose runs are averaged: the mean is an adapter like any other, and everything speaks of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tunewright as tw
from tunewright.app.exam import exam
from tunewright.app.merge import merge
from tunewright.app.prepare import prepare
from tunewright.app.request import Request
from tunewright.app.tuned import find_tuned, load_source_base
from tunewright.app.tuning_story import explain_tuning
from tunewright.app.worn import tuned_weights
from tunewright.data.sources import demo_files
from tunewright.engine.evaluate import mean_loss, row_losses
from tunewright.record.run import Run

ROWS, BUDGET = 80, "30epochs"


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Eighty of the demo's questions on the bundled model: too few for one run alone to do well."""
    folder = tmp_path_factory.mktemp("blend")
    lines = demo_files()["train"].read_text().splitlines()[:ROWS]
    rows = [{key: json.loads(line)[key] for key in ("instruction", "completion")} for line in lines]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tw.tune(str(folder / "rows.jsonl"), model="tiny", goal="eval", budget=BUDGET, runs_dir=folder / "runs")


def measured(run: Run, adapter: Path) -> float:
    """Loss of an adapter on the run's validation rows, measured from nothing."""
    source, prepared = find_tuned(run.path), prepare(Request(data=str(run.path / "recipe.yaml")))
    with tuned_weights(adapter, prepared.recipe, load_source_base(source)) as tuned:
        return mean_loss(*row_losses(tuned, prepared.val.rows, 16))


@pytest.mark.slow
def test_the_mean_of_runs_is_kept_where_it_is_better(tuned: dict[str, Any]) -> None:
    best = tuned["best"]
    run, names = Run(Path(best["run"])), best["blend"]["names"]
    alone = min(one["eval_loss"] for one in tuned["runs"])
    assert names[0] == run.name
    assert len(names) > 1
    assert best["eval_loss"] < 0.995 * alone
    assert best["adapter"] == str(run.blend) == str(run.kept) == str(find_tuned(run.path).folder)
    assert run.best.is_dir()  # the run's own adapter stays, so that its recipe still makes what lies there
    assert measured(run, run.kept) == pytest.approx(best["eval_loss"], rel=1e-4)
    assert measured(run, run.best) == pytest.approx(alone, rel=1e-4)
    story = " ".join(line["text"] for line in explain_tuning(run.path.parent)["decisions"])
    assert f"the mean of the weights of {', '.join(names)}" in story


@pytest.mark.slow
def test_exam_merge_report_and_card_are_of_the_mean(tuned: dict[str, Any], tmp_path: Path) -> None:
    best = tuned["best"]
    run = Run(Path(best["run"]))
    again = exam(run.path)
    assert again.parts["exact"].passed == tuned["exam"]["parts"]["exact"]["passed"]
    page = Path(tuned["report"]).read_text()
    assert f"kept in {run.name}/blend" in page
    assert str(run.blend) in page
    assert (run.blend / "README.md").is_file()
    assert merge(run.path, out=tmp_path / "merged")["adapter"] == str(run.blend)
