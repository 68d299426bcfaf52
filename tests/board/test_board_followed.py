"""A log read as it grows says what a reader of the whole file says, whatever happened between two looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board_runs import learning, line, write_run

from tunewright.board.charts import Axis, charts_json, charts_of, cursor_of, news
from tunewright.board.followed import Followed, Seen
from tunewright.curve.read import read_curves
from tunewright.curve.smooth import smooth
from tunewright.reporter.curve_figure import half_life_steps
from tunewright.schema.curve import Curve, Series
from tunewright.schema.errors import UsageError

METRICS = [field.name for field in fields(Curve) if field.type == "Series"]


def same(one: Curve | None, other: Curve) -> bool:
    assert one is not None
    pairs = [(getattr(one, name), getattr(other, name)) for name in METRICS]
    return all(
        np.array_equal(a.steps, b.steps) and np.array_equal(a.values, b.values, equal_nan=True) for a, b in pairs
    )


def test_a_log_taken_in_pieces_is_the_curve_of_the_whole_file(tmp_path: Path) -> None:
    events = learning(400, lost=(7, 8, 300))
    events[150:150] = [{"resumed_at": 90}, *[{"step": step, "loss": 1.0, "tokens": step} for step in range(91, 120)]]
    folder = write_run(tmp_path / "run", [])
    followed = Followed(folder)
    text = "".join(map(line, events)).encode()
    for start in range(0, len(text), 997):  # cuts through the middle of lines
        with open(folder / "metrics.jsonl", "ab") as file:
            file.write(text[start : start + 997])
        followed.look()
    assert same(followed.look().curve, read_curves(folder)[0])
    assert followed.look().resumed == (90,)
    assert followed.look().rows == len(events)


def test_a_look_without_news_gives_the_same_object(tmp_path: Path) -> None:
    followed = Followed(write_run(tmp_path / "run", learning(50)))
    assert followed.look() is followed.look()


def test_a_log_that_was_begun_again_is_read_anew(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", learning(200))
    followed = Followed(folder)
    followed.look()
    write_run(folder, learning(30))
    assert same(followed.look().curve, read_curves(folder)[0])


def test_half_a_line_waits_and_a_broken_one_is_told(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", learning(50))
    followed = Followed(folder)
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"step": 51, "lo')
    seen = followed.look()
    assert (seen.curve and seen.curve.last_step, seen.broken) == (50, 0)
    with open(folder / "metrics.jsonl", "a") as file:  # a kill left it, and the run went on
        file.write('\n{"step": 52, "loss": 1.0}\n')
    seen = followed.look()
    assert (seen.curve and seen.curve.last_step, seen.broken) == (52, 1)
    assert "1 broken line" in seen.problem


def test_a_damaged_file_beside_the_log_takes_nothing_from_the_log(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", learning(50))
    (folder / "run.json").write_text('{"status": "fini')
    seen = Followed(folder).look()
    assert seen.curve is not None
    assert seen.curve.last_step == 50
    assert "run.json" in seen.problem


@pytest.mark.parametrize("make", ["folder", "nothing", "binary"])
def test_what_cannot_be_a_log_is_said(tmp_path: Path, make: str) -> None:
    folder = write_run(tmp_path / "run", [])
    log = folder / "metrics.jsonl"
    log.unlink()
    if make == "folder":
        log.mkdir()
    elif make == "binary":
        log.write_bytes(bytes(range(256)) * 40)
    seen = Followed(folder).look()
    assert seen.curve is None
    assert seen.problem


def test_speed_is_tokens_over_the_time_since_the_event_before(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = [
        {"step": 0, "eval_loss": 2.0, "tokens": 0, "seconds": 10.0},
        {"step": 1, "loss": 2.0, "tokens": 100, "seconds": 12.0},
        {"step": 1, "eval_loss": 1.9, "seconds": 20.0},
        {"step": 2, "loss": 1.8, "tokens": 250, "seconds": 21.0},
    ]
    seen = Followed(write_run(tmp_path / "run", events)).look()
    assert seen.speed.values.tolist() == [50.0, 150.0]


def test_minutes_go_on_where_a_resumed_run_began_its_clock_again(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = [
        {"step": 1, "loss": 2.0, "tokens": 100, "seconds": 60.0},
        {"resumed_at": 1},
        {"step": 2, "loss": 1.9, "tokens": 200, "seconds": 30.0},
    ]
    seen = Followed(write_run(tmp_path / "run", events)).look()
    assert Axis("time", seen).places_of([1, 2]) == [1.0, 1.5]


@pytest.fixture
def seen(make_run: Callable[..., Path]) -> Seen:
    return Followed(make_run("train-9", learning(3_000, spikes=(5, 777, 1500, 1501, 2999), lost=(40, 41)))).look()


def test_the_raw_line_is_what_was_logged_and_the_bold_one_its_causal_average(seen: Seen) -> None:
    assert seen.curve is not None
    tracks = {track.key: track for chart in charts_of(seen) for track in chart.tracks}
    assert tracks["loss"].series is seen.curve.loss
    half_life = half_life_steps(seen.curve)
    part = Series(seen.curve.loss.steps[:900], seen.curve.loss.values[:900])
    assert np.array_equal(tracks["smooth"].series.values[:900], smooth(part, half_life).values, equal_nan=True)
    assert f"half-life {half_life:,.0f} steps" in tracks["smooth"].name
    unsmoothed = {track.key for chart in charts_of(seen, smoothing=False) for track in chart.tracks}
    assert "smooth" not in unsmoothed


@pytest.mark.parametrize("x", ["step", "epoch", "tokens", "time"])
def test_a_zoom_shows_points_the_whole_picture_left_out_at_the_same_places(seen: Seen, x: str) -> None:
    axis = Axis(x, seen)
    assert axis.kind == x
    first, last = axis.places_of([1_000, 1_100])
    part = charts_json(charts_of(seen), axis, zoom=(first, last))[0]["lines"][0]
    assert part["drawn"] == part["points"]
    assert len([place for place in part["x"] if first <= place <= last]) == 101


def test_an_axis_the_log_does_not_know_falls_back_to_steps(tmp_path: Path) -> None:
    bare = Followed(write_run(tmp_path / "run", [{"step": step, "loss": 1.0} for step in range(1, 40)])).look()
    assert [Axis(x, bare).kind for x in ("epoch", "tokens", "time")] == ["step"] * 3
    with pytest.raises(UsageError, match="expected one of"):
        Axis("phase", bare)


def test_points_after_a_cursor_are_all_and_only_the_new_ones(tmp_path: Path) -> None:
    events = learning(300)
    folder = write_run(tmp_path / "run", events[:200])
    followed = Followed(folder)
    before = followed.look()
    cursor = cursor_of(before, charts_of(before))
    with open(folder / "metrics.jsonl", "a") as file:
        file.writelines(map(line, events[200:]))
    after = Followed(folder).look()  # another server, started later
    told = news(after, charts_of(after), Axis("step", after), cursor)
    assert told is not None
    assert before.curve is not None
    assert told["loss"]["x"] == list(range(before.curve.last_step + 1, 301))
    assert news(after, charts_of(after), Axis("step", after), cursor_of(after, charts_of(after))) == {}


@pytest.mark.parametrize("cursor", ["", "junk", "r.0", "r.0-loss.999999-smooth.1", "r.\u0661-loss.x"])
def test_a_cursor_that_cannot_be_gone_on_from_asks_for_the_charts_anew(seen: Seen, cursor: str) -> None:
    assert news(seen, charts_of(seen), Axis("step", seen), cursor) is None


def test_a_resumed_run_is_drawn_anew(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", learning(100))
    followed = Followed(folder)
    cursor = cursor_of(followed.look(), charts_of(followed.look()))
    with open(folder / "metrics.jsonl", "a") as file:
        file.write(line({"resumed_at": 50}) + line({"step": 51, "loss": 1.0}))
    seen = followed.look()
    assert news(seen, charts_of(seen), Axis("step", seen), cursor) is None
    assert "replaced" in {track.key for track in charts_of(seen)[0].tracks}
