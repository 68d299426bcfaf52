"""Tables copied out of notebooks and model cards, histories in one JSON document, and what a banner states."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunewright.curve.read import read_curves, read_one
from tunewright.curve.readers import pasted
from tunewright.schema.errors import DataError

BANNER = """==((====))==  Unsloth - 2x faster free finetuning | Num GPUs used = 1
   \\\\   /|    Num examples = 632 | Num Epochs = 5 | Total steps = 395
O^O/ \\_/ \\    Batch size per device = 1 | Gradient accumulation steps = 8
"""


def one(path: Path, text: str):
    path.write_text(text, encoding="utf-8")
    return read_one(path)


@pytest.mark.parametrize("name", ["log.txt", "notes.md", "pasted"])
@pytest.mark.parametrize(
    "table",
    [
        "Step\tTraining Loss\tValidation Loss\n50\tNo log\t1.5\n100\t1.25\t1.4\n150\t1.0\t1.3\n",
        "Step Training Loss Validation Loss\n50 No log 1.5\n\n100 1.25 1.4\n150 1.0 1.3\n",
        "| Training Loss | Step | Validation Loss |\n|:---:|:---:|:---:|\n| No log | 50 | 1.5 |\n| 1.25 | 100 | 1.4 |\n"
        "| 1.0 | 150 | 1.3 |\n",
        "Step,Training Loss,Validation Loss\n50,No log,1.5\n100,1.25,1.4\n150,1.0,1.3\n",
        "   Step  Training Loss  Validation Loss\n0    50           NaN-           1.5\n"
        "1   100          1.25           1.4\n2   150          1.00           1.3\n",
    ],
    ids=["tabs", "spaces", "bars", "commas", "pandas"],
)
def test_a_table_in_a_text(name: str, table: str, tmp_path: Path) -> None:
    curve = one(tmp_path / name, f"some words before\n{table}TrainOutput(global_step=150, training_loss=1.1)\n")
    assert (curve.kind, curve.loss.steps.tolist(), curve.loss.values.tolist()) == ("pasted", [100, 150], [1.25, 1.0])
    assert (curve.eval_loss.steps.tolist(), curve.eval_loss.values.tolist()) == ([50, 100, 150], [1.5, 1.4, 1.3])


def test_the_banner_above_it_tells_the_epochs(tmp_path: Path) -> None:
    rows = "".join(f"{step}\t{1 + 1 / step}\n" for step in range(1, 396))
    curve = one(tmp_path / "colab.txt", f"{BANNER}[395/395 12:34, Epoch 5/5]\nStep\tTraining Loss\n{rows}")
    assert (curve.total_steps, curve.steps_per_epoch, len(curve.loss)) == (395, 79, 395)
    assert curve.config == {
        "num_train_epochs": 5,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 8,
    }


def test_a_bounded_run_has_no_whole_epochs(tmp_path: Path) -> None:
    printed = "Num Epochs = 3 | Total steps = 100\n{'loss': 1.0}\n{'loss': 0.9}\n"
    curve = one(tmp_path / "run.log", printed)
    assert (curve.kind, curve.total_steps, curve.steps_per_epoch) == ("printed", 100, None)


def test_rows_of_epochs_are_counted_whether_or_not_the_training_loss_is_there(tmp_path: Path) -> None:
    cells = ["1,,1.5", "2,,1.25", "3,0.9,1.4", "4,0.9,1.6"]
    table = one(tmp_path / "epochs.csv", "\n".join(["epoch,train_loss,val_loss", *cells]))
    text = one(tmp_path / "epochs.txt", "\n".join(["Epoch\tTraining Loss\tValidation Loss", *cells]).replace(",", "\t"))
    for curve in (table, text):
        assert curve.base_eval_loss is None
        assert curve.eval_loss.steps.tolist() == [1, 2, 3, 4]
        assert curve.loss.steps.tolist() == [3, 4]


@pytest.mark.parametrize(
    "text",
    [
        "the training loss of step 3 was 4\nand that of step 5 was 6\n",
        "Step\tTraining Loss\nno numbers here\n",
        "name\tTraining Loss\n",
    ],
)
def test_prose_is_no_table(text: str) -> None:
    assert not pasted.has_table(text)


@pytest.mark.parametrize(
    "history",
    [
        [{"step": 10, "loss": 2.0}, {"step": 10, "eval_loss": 2.5}, {"step": 20, "loss": 1.5}],
        {"model": "x", "history": [{"step": 10, "loss": 2.0, "eval_loss": 2.5}, {"step": 20, "loss": 1.5}]},
        {"step": [10, 20], "loss": [2.0, 1.5], "val_loss": [2.5]},
    ],
    ids=["rows", "named", "columns"],
)
def test_a_history_in_one_json_document(history: object, tmp_path: Path) -> None:
    curve = one(tmp_path / "history.json", json.dumps(history))
    assert (curve.loss.steps.tolist(), curve.loss.values.tolist()) == ([10, 20], [2.0, 1.5])
    assert (curve.eval_loss.steps.tolist(), curve.eval_loss.values.tolist()) == ([10], [2.5])


@pytest.mark.parametrize("text", ['{"eval_loss": 1.2}', '["loss"]', '{"loss": [[1]]}', '{"loss": '])
def test_json_without_a_history_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_curves(path)
    assert str(path) in str(caught.value)


def test_a_hint_about_columns_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mein log.csv"
    path.write_text("Schritt,Verlust\n1,2.0\n")
    with pytest.raises(DataError) as caught:
        read_curves(path)
    assert f"tunewright diagnose '{path}' --map loss=COLUMN" in caught.value.hint


def test_steps_that_are_no_numbers_are_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text('step,loss\n"1,000",2.0\n"2,000",1.5\n')
    with pytest.raises(DataError, match="column step holds no step"):
        read_curves(path)
