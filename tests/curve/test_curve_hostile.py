"""Hostile files end in one line of DataError, never in a traceback of another kind."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunewright.curve import json_text
from tunewright.curve.json_text import parse
from tunewright.curve.read import read_curves, search
from tunewright.schema.errors import DataError

FIXTURES = Path(__file__).parent / "fixtures"
NAMES = (
    *("trainer_state.json", "trainer_log.jsonl", "metrics.jsonl", "log.jsonl", "log.csv", "log.json", "log.txt"),
    *("logging.jsonl", "events.out.tfevents.1", "run-x.wandb", "studio.db", "log"),
)
TEXTS = (".json", ".jsonl", ".csv", ".log")
REAL = (
    *("healthy/trainer_state.json", "nan_shown/trainer_state.json", "llamafactory/log/trainer_log.jsonl"),
    *("ms_swift/logging.jsonl", "one_run/events/events.out.tfevents.1", "wandb/run-letters.wandb"),
    *("unsloth_studio/studio.db", "lightning/metrics.csv", "one_run/printed/with_bar.log"),
    "one_run/printed/without_bar.log",
)
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


def mutated(content: bytes, draw: random.Random) -> bytes:
    """A real log with a piece cut, doubled, moved, overwritten, or single bytes changed."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        a, b = sorted(draw.randrange(len(changed) + 1) for _ in range(2))
        way = draw.randrange(6)
        if way == 0:
            del changed[a:b]
        elif way == 1:
            changed[a:a] = changed[a : min(b, a + 2000)]
        elif way == 2:
            changed[a : a + 8] = bytes(draw.randrange(256) for _ in range(8))
        elif way == 3:
            del changed[a:]
        elif way == 4 and changed:
            for _ in range(draw.randint(1, 20)):
                changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        else:
            word = draw.choice([b"NaN", b"null", b"-1e999", b'"', b"{", b"}", b"\n", b",", b"\x00", b"1" * 400])
            changed[a:a] = word
    return bytes(changed)


def check_mutated(folder: Path, name: str, seed: int) -> None:
    """A clear error or a curve whose every number is in the file: nothing missing becomes a 0."""
    content = mutated((FIXTURES / name).read_bytes(), random.Random(seed))
    file = folder / Path(name).name
    file.write_bytes(content)
    curves, problems = search(file)
    assert curves or problems
    assert all("\n" not in problem.message for problem in problems), seed
    written = numbers_in(content) if Path(name).suffix in TEXTS else None
    for curve in curves:
        values = np.concatenate([curve.loss.values, curve.eval_loss.values, curve.learning_rate.values])
        if written is not None:
            assert set(values[np.isfinite(values)].tolist()) <= written, seed
        zeros = int((curve.loss.values == 0).sum() + (curve.eval_loss.values == 0).sum())
        assert zeros <= zeros_written(content), seed
        assert (np.diff(curve.loss.steps) > 0).all(), seed


def numbers_in(content: bytes) -> set[float]:
    text = content.decode("utf-8", "replace")
    return {float(one) for one in re.findall(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", text)}


def zeros_written(content: bytes) -> int:
    """How many zeros a file may hold: texts that read 0, or whole zero numbers of eight and four bytes."""
    texts = len(re.findall(rb"(?<![0-9.])-?0*\.?0+(?:[eE][+-]?\d+)?(?![0-9.])|\d+\.?\d*[eE]-\d{3,}", content))
    return texts + content.count(b"\x00" * 4)


@pytest.mark.parametrize("name", REAL)
def test_mutated_real_logs(tmp_path, name):
    for seed in range(30):
        check_mutated(tmp_path, name, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_many_mutated_real_logs(tmp_path, name):
    for seed in range(1000, 2000):
        check_mutated(tmp_path, name, seed)


def test_a_missing_metric_is_never_a_zero(tmp_path):
    for name in REAL:
        for curve in search(FIXTURES / name)[0]:
            assert 0.0 not in curve.loss.values
            assert 0.0 not in curve.eval_loss.values
            assert 0.0 not in curve.grad_norm.values


def test_a_line_without_an_end_is_not_kept_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(json_text, "MOST_LINE_BYTES", 1000)
    monkeypatch.setattr(json_text, "BLOCK_BYTES", 512)
    file = tmp_path / "log.jsonl"
    file.write_bytes(b'{"step": 1, "loss": 2.0}\n' + b"x" * 50_000)
    assert read_curves(file)[0].loss.values.tolist() == [2.0]
