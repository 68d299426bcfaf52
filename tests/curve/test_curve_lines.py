"""Lines that training loops print, tables as spreadsheets write them, and metrics within metrics."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tunewright.curve.cells import with_point
from tunewright.curve.read import read_curves
from tunewright.curve.readers import lines
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError


def one(path: Path, text: str) -> Curve:
    path.write_text(text, encoding="utf-8")
    (curve,) = read_curves(path)
    return curve


@pytest.mark.parametrize(
    ("line", "rate"),
    [
        ("[10:00:01] INFO step {0}/40 | loss: {1} | lr: 2.0e-05", 2e-5),
        ("iter {0}: loss {1}, time 120.3ms, mfu 2.1%", None),
        ("Step {0} | loss:{1} lr:2e-05 tokens_per_second_per_gpu:1234.5", 2e-5),
        ("Iter {0}: Train loss {1}, Learning Rate 1.000e-05, It/sec 2.1, Peak mem 2.3 GB", 1e-5),
        ("\r 3%|#   | {0}/40 [00:10<01:00, 1.1it/s, loss={1}]", None),
        ("\x1b[32mstep={0} loss={1} aux_loss=0.3\x1b[0m", None),
    ],
)
def test_a_line_of_many_loops(line, rate, tmp_path):
    curve = one(tmp_path / "train.log", "\n".join(line.format(step, 1 + 1 / step) for step in (4, 8, 12)))
    assert (curve.kind, curve.loss.steps.tolist()) == ("printed", [4, 8, 12])
    assert curve.loss.values.tolist() == [1 + 1 / step for step in (4, 8, 12)]
    assert (curve.learning_rate.values.tolist() or [None])[0] == rate


def test_validation_lines_and_what_is_no_training_loss(tmp_path):
    text = (
        "step 5 loss 2.5\nval loss: 2.6, best loss: 2.4\nstep 10: train loss nan, kl_loss 0.1, validation_loss: inf\n"
    )
    curve = one(tmp_path / "out.txt", text)
    assert curve.loss.steps.tolist() == [5, 10]
    assert math.isnan(curve.loss.values[1])
    assert (curve.eval_loss.steps.tolist(), curve.eval_loss.values.tolist()) == ([5, 10], [2.6, math.inf])


def test_steps_that_start_over_in_every_epoch_are_put_end_to_end(tmp_path):
    rows = [f"Epoch [{epoch}/2], Step [{step}/20], Loss: 1.5" for epoch in (1, 2) for step in (10, 20)]
    curve = one(tmp_path / "t.log", "\n".join(rows))
    assert curve.loss.steps.tolist() == [10, 20, 30, 40]
    assert "put end to end" in curve.notes[0]


def test_lines_of_epochs_are_counted_and_the_bar_of_an_ended_epoch_is_no_step(tmp_path):
    rows = [f"Epoch {n}/5\n100/100 [=====] - 5s - loss: {2 / n} - val_loss: {3 / n}" for n in range(1, 6)]
    curve = one(tmp_path / "t.log", "\n".join(rows))
    assert curve.loss.steps.tolist() == curve.eval_loss.steps.tolist() == [1, 2, 3, 4, 5]


def test_prose_is_no_log(tmp_path):
    prose = tmp_path / "notes.txt"
    prose.write_text("Step 3 of the plan: watch the loss.\nIn step 2 the loss 0.5 was good.\n")
    assert not lines.matches(prose)
    prose.write_text("step by step the loss falls\n")
    with pytest.raises(DataError, match="no line with a loss"):
        read_curves(prose)


@pytest.mark.parametrize("sign", [";", "\t"])
def test_decimal_commas_of_a_spreadsheet(sign, tmp_path):
    rows = [sign.join(row) for row in (("step", "loss", "eval_loss"), ("10", "2,25", ""), ("20", "1,5e0", "1,75"))]
    curve = one(tmp_path / "t.csv", "\n".join(rows))
    assert (curve.loss.values.tolist(), curve.eval_loss.values.tolist()) == ([2.25, 1.5], [1.75])
    assert with_point("1,234,567", sign) == "1,234,567"  # thousands are no decimals


def test_a_table_without_rows_and_one_without_numbers_say_so(tmp_path):
    with pytest.raises(DataError, match="a header and no rows"):
        one(tmp_path / "t.csv", "step,loss\n")
    with pytest.raises(DataError, match="column loss holds no number"):
        one(tmp_path / "t.csv", "step,loss\n1,high\n")


@pytest.mark.parametrize(
    "row",
    [
        lambda step: {"step": step, "metrics": {"train": {"loss": 2.0}, "eval": {"loss": 3.0}}},
        lambda step: {"global_step": step, "loss": {"train": 2.0, "val": 3.0}},
        lambda step: {"step": step, "data": {"train/loss": 2.0, "eval/loss": 3.0}},
    ],
)
def test_metrics_within_metrics(row, tmp_path):
    curve = one(tmp_path / "log.jsonl", "".join(json.dumps(row(step)) + "\n" for step in (5, 10)))
    assert (curve.loss.steps.tolist(), curve.loss.values.tolist()) == ([5, 10], [2.0, 2.0])
    assert curve.eval_loss.values.tolist() == [3.0, 3.0]


def test_objects_without_end_are_passed_over(tmp_path):
    deep = '{"a":' * 900 + "1" + "}" * 900
    curve = one(tmp_path / "log.jsonl", f'{{"step": 1, "loss": 2.0}}\n{deep}\n{{"step": 2, "loss": 1.0}}\n')
    assert curve.loss.steps.tolist() == [1, 2]


def test_rows_that_are_counted_for_want_of_a_step_are_said_to_be(tmp_path):
    file = tmp_path / "log.csv"
    file.write_text("time,loss\n" + "".join(f"{i},{2 - i / 9}\n" for i in range(9)))
    assert "rows are counted" in read_curves(file)[0].notes[0]
    file.write_text("update,loss\n" + "".join(f"{5 * i},{2 - i / 9}\n" for i in range(1, 9)))
    assert (read_curves(file)[0].notes, read_curves(file)[0].last_step) == ((), 40)


@pytest.mark.parametrize(
    ("name", "text", "says", "hint"),
    [
        ("log.jsonl", "", "nothing is logged in it yet", "tunewright watch"),
        ("trainer_state.json", '{"log_history": []}', "nothing is logged in it yet", "tunewright watch"),
        ("rows.jsonl", '{"instruction": "a?", "output": "b"}\n', "training data, not the log", "tunewright check"),
    ],
)
def test_a_file_without_a_loss_says_what_it_is(name, text, says, hint, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=says) as caught:
        read_curves(tmp_path / name)
    assert hint in caught.value.hint


def test_a_score_beside_the_loss_is_mentioned_and_the_accuracy_of_tokens_is_not(tmp_path):
    rows = [{"loss": 2 - i / 9, "eval_loss": 2 - i / 9, "eval_mean_token_accuracy": i / 9, "step": i} for i in range(9)]
    path = tmp_path / "log.jsonl"
    assert not any("score" in note for note in one(path, "\n".join(map(json.dumps, rows))).notes)
    scored = [{**row, "eval_accuracy": 0.5} for row in rows]
    assert any("eval_accuracy beside the loss" in note for note in one(path, "\n".join(map(json.dumps, scored))).notes)
