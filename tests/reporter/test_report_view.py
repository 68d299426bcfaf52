"""Reading folders: what is missing or damaged is said, and the rest is shown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.reporter import typed
from tunewright.reporter.card import render_card
from tunewright.reporter.html import render_html
from tunewright.reporter.text import render_text
from tunewright.reporter.verdicts import exam_verdict
from tunewright.reporter.view import RunView, TuningView, read_view, view_of_curve
from tunewright.schema import jsonio
from tunewright.schema.curve import Curve, Series
from tunewright.schema.errors import UsageError

FILES = ("run.json", "recipe.yaml", "plan.json", "metrics.jsonl", "findings.json", "exam.json", "prediction.json")


def read_run(path: Path) -> RunView:
    view = read_view(path)
    assert isinstance(view, RunView)
    return view


def test_a_whole_run_is_read_without_a_word_of_trouble(make_run: Callable[..., Path]) -> None:
    view = read_run(make_run(with_exam=True, result={"eval_loss": 0.3, "best_step": 60}))
    assert view.problems == ()
    assert (view.status, view.health, view.eval_loss, view.best_step) == ("finished", "healthy", 0.3, 60)
    assert view.base_eval_loss == pytest.approx(2.914)  # from the curve's step 0, since the result does not say
    assert view.exam is not None
    assert view.exam.parts["variation"].passed == 92
    assert view.values[0].key == "model"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1, 2]", b"\xff\xfe\x00", b"null\n", b'{"runs": 3, "values": 1, "parts": []}']
)
def test_a_damaged_file_is_said_and_the_rest_is_shown(make_run: Callable[..., Path], name: str, content: bytes) -> None:
    path = make_run(with_exam=True)
    (path / name).write_bytes(content)
    view = read_run(path)
    for shown in (render_html(view), render_text(view), render_card(view)):
        assert "run-x" in shown
    jsonio.document(view)
    if content == b"{":
        said = name if name != "metrics.jsonl" else "curve"
        assert any(said in problem for problem in view.problems)
        assert "run-x" in render_html(view)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_never_stops_the_report(make_run: Callable[..., Path], name: str) -> None:
    path = make_run(with_exam=True)
    (path / name).unlink()
    view = read_run(path)
    page = render_html(view)
    if name in ("run.json", "recipe.yaml", "metrics.jsonl"):
        assert f"{name} is missing." in page


def test_a_folder_that_is_neither_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a run nor a tuning"):
        read_view(tmp_path)


def test_a_tuning_is_read_with_its_runs(tuning: Path) -> None:
    view = read_view(tuning)
    assert isinstance(view, TuningView)
    assert view.problems == ()
    assert [run.name for run in view.runs] == [f"run-{n}" for n in range(1, 6)]
    assert view.best_run is view.runs[3]
    assert view.runs[1].changes[0].after == 5e-3
    assert len(view.decisions) == 5


def test_a_moved_tuning_finds_its_runs_and_names_the_lost_ones(tuning: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(tuning, moved)
    shutil.rmtree(moved / "run-2")
    view = read_view(moved)
    assert isinstance(view, TuningView)
    assert [run.view is not None for run in view.runs] == [True, False, True, True, True]
    assert view.problems == ("The folder of run-2 is missing; only what tuning.json says of it is shown.",)
    assert "run-2" in render_html(view)


def test_a_run_named_like_a_way_out_of_the_folder_is_not_followed(
    tmp_path: Path, make_run: Callable[..., Path]
) -> None:
    make_run("outside")
    inside = tmp_path / "tune"
    inside.mkdir()
    runs = [{"name": name, "run": "/etc"} for name in ("..", "../outside", "", "/etc")]
    (inside / "tuning.json").write_text(json.dumps({"runs": runs}))
    view = read_view(inside)
    assert isinstance(view, TuningView)
    assert [run.view for run in view.runs] == [None] * 4


def test_an_unfinished_tuning_says_so(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").write_text(json.dumps({"runs": [{"name": "run-1", "eval_loss": None}], "best": None}))
    assert "none has been chosen yet" in render_text(read_view(tmp_path))


def test_points_logged_again_after_a_resume_are_kept_apart(make_run: Callable[..., Path]) -> None:
    first = [{"step": step, "loss": 3.0 - step / 10} for step in range(1, 21)]
    again = [{"step": step, "loss": 2.0 - step / 50} for step in range(16, 31)]
    view = read_run(make_run(metrics=[*first, {"resumed_at": 15}, *again]))
    assert view.resumed == (15,)
    assert view.replaced.steps.tolist() == [16, 17, 18, 19, 20]
    assert view.replaced.at(16) == pytest.approx(1.4)
    assert view.curve is not None
    assert view.curve.loss.at(16) == pytest.approx(2.0 - 16 / 50)
    assert "before the resume, replaced" in render_html(view)


def test_a_run_without_validation_is_not_given_one(make_run: Callable[..., Path]) -> None:
    view = read_run(make_run(metrics=[{"step": step, "loss": 2.0} for step in range(1, 9)]))
    assert view.eval_loss is None
    assert "no validation loss was measured" in render_text(view)


def test_a_failed_run_opens_with_its_error(make_run: Callable[..., Path]) -> None:
    view = read_run(make_run(status="failed", error="loss is NaN at step 12"))
    assert render_text(view, width=200).splitlines()[1] == "run-x failed: loss is NaN at step 12"


def test_a_log_of_another_tool_has_a_report_too() -> None:
    curve = Curve("csv", "/logs/loss.csv", Series.of([(1, 2.0), (2, 1.0)]), eval_loss=Series.of([(2, 1.5)]))
    assert "loss.csv reached a validation loss of 1.50" in render_text(view_of_curve(curve), width=200)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)
KEYS = (
    "findings",
    "checklist",
    "abstained",
    "guide_reading",
    "prescription",
    "parts",
    "skills",
    "answers",
    "changes",
    "steps",
)


@given(
    st.dictionaries(
        st.sampled_from(KEYS),
        st.one_of(
            JSON,
            st.lists(
                st.dictionaries(
                    st.sampled_from(
                        ("steps", "rows", "why", "causes", "n", "rate", "part", "expected", "predicted", "from", "to")
                    ),
                    JSON,
                ),
                max_size=2,
            ),
        ),
    )
)
@settings(deadline=None)  # fmt: skip
def test_no_json_can_break_the_readers(raw: dict[str, object]) -> None:
    typed.as_diagnosis(raw)
    typed.as_exam(raw)
    typed.as_prescription(raw.get("prescription"))
    typed.as_changes(raw.get("changes"))


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        ("learned", "learned the new material (92 % of the questions right, 3 % before)"),
        ("forgot", "lost old skills (96 % of their questions right, 98 % before)"),
    ],
)
def test_an_exam_is_told_with_the_figures_that_it_is_read_from(reading: str, said: str) -> None:
    def scores(new: float, old: float) -> dict[str, dict[str, float]]:
        about = {"n": 100, "passed": 1, "low": 0.0, "high": 1.0}
        return {"variation": {**about, "rate": new}, "general": {**about, "rate": old}}

    exam = typed.as_exam({"parts": scores(0.92, 0.96), "base_parts": scores(0.03, 0.98), "reading": reading})
    assert said in exam_verdict(exam)
