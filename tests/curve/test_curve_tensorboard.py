"""Our reader of event files against TensorBoard's own writer and reader."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.summary.writer.record_writer import RecordWriter

from tunewright.curve.read import read_curves, search
from tunewright.curve.readers.tensorboard import read_scalars
from tunewright.schema.errors import DataError

FIXTURE = Path(__file__).parent / "fixtures/one_run/events/events.out.tfevents.1"
NAME = "events.out.tfevents.7"


def write(path: Path, points, *, start: float = 100.0) -> Path:
    """(step, tag, value) points through TensorBoard's own record writer, in its older form (simple_value)."""
    with open(path, "wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=start, file_version="brain.Event:2").SerializeToString())
        for order, (step, tag, value) in enumerate(points, start=1):
            one = Summary.Value(tag=tag, simple_value=value)
            event = Event(wall_time=start + order, step=step, summary=Summary(value=[one]))
            writer.write(event.SerializeToString())
    return path


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    points=st.lists(
        st.tuples(st.integers(0, 2**40), st.sampled_from(["train/loss", "eval/loss", "x y"]), st.floats(width=32)),
        max_size=40,
    )
)
def test_every_scalar_comes_back(tmp_path: Path, points):
    found, note = read_scalars(write(tmp_path / NAME, points))
    assert note == ""
    assert [(step, tag) for _, step, tag, _ in found] == [(step, tag) for step, tag, _ in points]
    np.testing.assert_array_equal([value for *_, value in found], [value for *_, value in points])


def test_the_same_as_tensorboards_own_loader():
    theirs = []
    for event in EventFileLoader(str(FIXTURE)).Load():
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name == "scalars":
                theirs.append((event.wall_time, event.step, value.tag, float(value.tensor.float_val[0])))
    found, _ = read_scalars(FIXTURE)
    np.testing.assert_equal(found, theirs)


def test_all_of_more_than_ten_thousand_points(tmp_path):
    write(tmp_path / NAME, [(step, "loss", 1 / step) for step in range(1, 12_001)])
    curve = read_curves(tmp_path)[0]
    assert curve.loss.steps.tolist() == list(range(1, 12_001))
    np.testing.assert_array_equal(curve.loss.values, (1 / np.arange(1, 12_001)).astype(np.float32))


def test_tensors_of_every_form(tmp_path):
    forms = [
        TensorProto(dtype=1, float_val=[1.5]),
        TensorProto(dtype=2, double_val=[2.5]),
        TensorProto(dtype=1, tensor_content=struct.pack("<f", 3.5)),
        TensorProto(dtype=9, int64_val=[-4]),
        TensorProto(dtype=1, float_val=[1.0, 2.0]),
        TensorProto(dtype=7, string_val=[b"loss"]),
    ]
    with open(tmp_path / NAME, "wb") as file:
        writer = RecordWriter(file)
        for step, tensor in enumerate(forms):
            summary = Summary(value=[Summary.Value(tag="loss", tensor=tensor)])
            writer.write(Event(wall_time=1.0, step=step, summary=summary).SerializeToString())
    assert [value for *_, value in read_scalars(tmp_path / NAME)[0]] == [1.5, 2.5, 3.5, -4.0]


def test_a_resumed_run_in_two_files_is_one_curve(tmp_path):
    write(tmp_path / NAME, [(step, "train/loss", 5.0) for step in range(1, 31)])
    write(tmp_path / "events.out.tfevents.8", [(step, "train/loss", 1.0) for step in range(21, 26)], start=900.0)
    curve = read_curves(tmp_path)[0]
    assert curve.loss.steps.tolist() == list(range(1, 26))
    assert curve.loss.values[19:21].tolist() == [5.0, 1.0]
    assert curve.replaced.steps.tolist() == list(range(21, 31))


@pytest.mark.parametrize("cut", [1, 5, 13, 20])
def test_a_cut_last_record_is_left_out_and_said(tmp_path, cut):
    write(tmp_path / NAME, [(step, "loss", 2.0) for step in range(1, 6)])
    content = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(content[:-cut])
    curve = read_curves(tmp_path)[0]
    assert curve.loss.steps.tolist() == [1, 2, 3, 4]
    assert curve.notes == (f"{NAME}: the last record is cut off",)


def test_a_flipped_bit_never_becomes_a_number(tmp_path):
    clean = write(tmp_path / NAME, [(step, "loss", float(step)) for step in range(1, 9)]).read_bytes()
    expected = {(step, float(step)) for step in range(1, 9)}
    for at in range(0, len(clean), 3):
        damaged = bytearray(clean)
        damaged[at] ^= 0x10
        (tmp_path / NAME).write_bytes(damaged)
        try:
            found, note = read_scalars(tmp_path / NAME)
        except DataError:
            continue
        assert {(step, value) for _, step, _, value in found} <= expected
        assert note or len(found) == 8


def test_event_files_without_a_loss_are_no_log(tmp_path):
    write(tmp_path / NAME, [(1, "hparam/x", 1.0)])
    curves, problems = search(tmp_path)
    assert not curves
    assert "no training log" in problems[0].message


def test_non_finite_scalars_stay(tmp_path):
    write(tmp_path / NAME, [(1, "loss", math.nan), (2, "loss", math.inf)])
    values = read_curves(tmp_path)[0].loss.values
    assert math.isnan(values[0])
    assert values[1] == math.inf
