"""Hostile files end in one line of DataError, never in a traceback of another kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunewright.curve.json_text import parse
from tunewright.curve.read import read_curves, search
from tunewright.schema.errors import DataError

NAMES = ("trainer_state.json", "trainer_log.jsonl", "metrics.jsonl", "log.jsonl", "log.csv", "log.json", "log.txt")
HOSTILE = {
    "empty": b"",
    "white": b" \n\n ",
    "binary": bytes(range(256)) * 4,
    "truncated": b'{"log_history": [{"step": 1, "lo',
    "no_history": b'{"global_step": 3}',
    "wrong_history": b'{"log_history": {"step": 1}}',
    "strange_rows": b'{"log_history": [1, null, "x", [], {"step": "a", "loss": []}]}',
    "list": b"[1, 2, 3]",
    "deep": b"[" * 100_000,
    "deep_nan": b'{"log_history": ' + b"[" * 100_000 + b"NaN",
    "only_header": b"step,loss\n",
    "words": b"step,loss\na,b\n",
    "quotes": b'"step,loss\n1,"2',
    "zero_bytes": b"step,loss\n1,\x00\n",
    "broken_lines": b'{"step": 1, "loss": 1\n' * 10,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_curves(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_a_folder_instead_of_a_file(tmp_path):
    (tmp_path / "trainer_state.json").mkdir()
    with pytest.raises(DataError):
        read_curves(tmp_path)


def test_strange_numbers_are_left_out(tmp_path):
    rows = [
        {"step": 1, "loss": 2.0},
        {"step": 2.5, "loss": 7.0},
        {"step": -3, "loss": 7.0},
        {"step": 10**30, "loss": 7.0},
        {"step": True, "loss": 7.0},
        {"step": 3, "loss": True},
        {"step": 4, "loss": "much"},
        {"step": "5", "loss": "1.5"},
    ]
    file = tmp_path / "log.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 6, "loss": 1e999}\n')
    curve = read_curves(file)[0]
    assert curve.loss.steps.tolist()[:2] == [1, 5]
    assert curve.loss.values.tolist()[:2] == [2.0, 1.5]


def test_a_half_written_last_line_is_left_out(tmp_path):
    file = tmp_path / "log.jsonl"
    file.write_text('{"step": 1, "loss": 1.0}\n{"step": 2, "loss": 0.9}\n{"step": 3, "lo')
    assert read_curves(file)[0].loss.steps.tolist() == [1, 2]


def test_byte_order_mark_and_windows_lines(tmp_path):
    file = tmp_path / "log.csv"
    file.write_bytes(b"\xef\xbb\xbfstep,loss\r\n1,2.0\r\n2,1.0\r\n")
    assert read_curves(file)[0].loss.values.tolist() == [2.0, 1.0]


def test_bare_tokens_only_where_json_fails():
    assert parse('{"a": [1]}') == {"a": [1]}
    assert parse('{"a": -Infinity}') == {"a": float("-inf")}
    with pytest.raises(ValueError, match=r"."):
        parse('{"a": nan}')


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), name=st.sampled_from(NAMES))
def test_any_bytes(tmp_path: Path, content, name):
    (tmp_path / name).write_bytes(content)
    curves, problems = search(tmp_path / name)
    assert all("\n" not in problem.message for problem in problems)
    assert all(len(curve.loss) + len(curve.eval_loss) > 0 for curve in curves)
    assert len(curves) + len(problems) == 1


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.dictionaries(
            st.sampled_from(["step", "loss", "eval_loss", "epoch", "lr", "rows", "total_steps", "train_runtime"]),
            st.recursive(
                st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
                lambda children: st.lists(children, max_size=3),
                max_leaves=5,
            ),
        ),
        max_size=12,
    )
)
def test_any_rows(tmp_path: Path, rows):
    file = tmp_path / "trainer_state.json"
    file.write_text(json.dumps({"log_history": rows}))
    try:
        curve = read_curves(file)[0]
    except DataError:
        return
    assert (curve.loss.steps >= 0).all()
