"""A growing curve: read when there is news, at a bounded cost, each finding told once."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_curves import FAULTY, HEALTHY, fall, make

from tunewright.doctor.diagnose import diagnose
from tunewright.doctor.live import FEWEST_NEW_POINTS, Growing, LiveCurve, event_of
from tunewright.schema.curve import Curve


def events_of(curve: Curve) -> list[dict]:
    """A finished curve as the events its run would have logged."""
    events = [
        {"step": int(step), "loss": float(loss), "epoch": float(step) / 100, "learning_rate": 1e-4}
        for step, loss in zip(curve.loss.steps, curve.loss.values, strict=True)
    ]
    evals = zip(curve.eval_loss.steps, curve.eval_loss.values, strict=True)
    events += [{"step": int(step), "eval_loss": float(loss)} for step, loss in evals]
    return sorted(events, key=lambda event: event["step"])


def read_along(curve: Curve) -> tuple[LiveCurve, list[tuple[int, str]], int]:
    """(the live curve at the end, (step, symptom) of every finding told, number of readings)."""
    live, told, readings = LiveCurve("test", total_steps=curve.total_steps), [], 0
    for event in events_of(curve):
        live.add(event)
        if live.due:
            readings += 1
            told += [(event["step"], f.symptom) for f in live.news(live.confirmed(live.read()))]
    return live, told, readings


def test_the_live_curve_is_the_curve():
    curve = HEALTHY["one_epoch"](0, 1)
    live, _, _ = read_along(curve)
    for name in ("loss", "eval_loss"):
        mine, other = getattr(live.curve(), name), getattr(curve, name)
        assert mine.steps.tolist() == other.steps.tolist()
        assert mine.values.tolist() == other.values.tolist()
    assert live.curve().steps_per_epoch == pytest.approx(100)


@pytest.mark.parametrize("kind", HEALTHY)
def test_a_healthy_run_hears_nothing(kind):
    for seed in range(6):
        assert read_along(HEALTHY[kind](seed, 1))[1] == []


@pytest.mark.parametrize("kind", ["blown_up", "diverged", "overfitted", "nan_at_150", "frozen", "swinging"])
def test_a_fault_is_told_once_and_before_the_end(kind):
    make_curve, symptom = FAULTY[kind]
    _, told, _ = read_along(make_curve(0, 1))
    named = [name for _, name in told]
    assert symptom in named or diagnose(make_curve(0, 1)).findings[0].symptom in named
    assert len(named) == len(set(named))


def test_a_nan_is_told_at_its_step():
    _, told, _ = read_along(FAULTY["nan_at_150"][0](0, 1))
    assert told[0] == (150, "non_finite")


def test_readings_without_evaluations_thin_out():
    curve = make(fall(1.6, 1.2, 400, 4000)[1:], {}, 0)
    _, _, readings = read_along(curve)
    assert 24 <= readings <= 30  # one for 40 points at first, for an eighth of the log later


def test_an_estimate_counts_at_the_second_reading_and_a_fact_at_the_first():
    live = LiveCurve("test", total_steps=300)
    for event in events_of(FAULTY["overfitted"][0](0, 1)):
        live.add(event)
    diagnosis = live.read()
    assert diagnosis.has("overfit")
    assert live.confirmed(diagnosis) == []
    assert [f.symptom for f in live.confirmed(live.read())][:1] == ["overfit"]
    live.add({"step": 301, "loss": float("nan")})
    assert live.due
    assert [f.symptom for f in live.confirmed(live.read())][:1] == ["non_finite"]


def test_another_spike_is_another_piece_of_news():
    line = fall(1.6, 1.2)
    train = line[1:].copy()
    train[[120, 220]] *= 4
    told = [name for _, name in read_along(make(train, {}, 0))[1]]
    assert told == ["spike", "spike"]


def test_a_resume_forgets_what_came_after_it():
    live = LiveCurve("test")
    for step in range(1, 101):
        live.add({"step": step, "loss": 1.0, "rows": [step]})
    live.read()
    live.add({"resumed_at": 50})
    live.add({"step": 51, "loss": 2.0})
    curve = live.curve()
    assert curve.last_step == 51
    assert max(curve.batch_rows) == 50
    assert not live.due
    for step in range(52, 52 + FEWEST_NEW_POINTS):
        live.add({"step": step, "loss": 1.0})
    assert live.due


def test_a_series_takes_points_again():
    points = Growing()
    for step, value in ((1, 1.0), (2, 2.0), (3, 3.0), (2, 5.0)):
        points.add(step, value)
    assert (points.series().steps.tolist(), points.series().values.tolist()) == ([1, 2], [1.0, 5.0])


@pytest.mark.parametrize(
    ("row", "event"),
    [
        ({"train_runtime": 3.0, "train_loss": 1.0, "step": 9}, {}),
        ({"epoch": 1.0, "eval_loss": "0.5", "step": 9}, {"eval_loss": 0.5, "epoch": 1.0, "step": 9}),
        ({"accuracy": 1.0}, {}),
    ],
)
def test_rows_of_any_tool_become_events(row, event):
    assert event_of(row) == event


def test_an_infinite_loss_written_as_text_is_infinite():
    assert event_of({"loss": "Infinity", "step": 1})["loss"] == np.inf
