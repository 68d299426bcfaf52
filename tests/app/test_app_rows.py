"""A spike in our own loop names the rows of its batch and shows them, live and afterwards."""

from __future__ import annotations

import json
import random
import string
from pathlib import Path

import pytest
from tests_support import random_model

import tunewright as tw
from tunewright.app.live import Live
from tunewright.app.offending_rows import row_texts
from tunewright.app.watch import Silent
from tunewright.cli.show_diagnosis import diagnose_text
from tunewright.curve.read import read_curves
from tunewright.record.run import Run
from tunewright.schema.recipe_io import make_recipe, read_settings

GARBAGE = 97
"""The 1-based line of the row that fits nothing."""


class Listening(Silent):
    """Keeps what is said to the user."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def spiky(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Listening]:
    """A run over rows that are all alike but one, whose answer is long noise with a terminal escape in it."""
    folder = tmp_path_factory.mktemp("spiky")
    draw = random.Random(0)
    noise = "\x1b[31m" + "".join(draw.choices(string.printable[:90], k=60))
    rows = [{"prompt": f"What is item {n}?", "completion": "It is blue."} for n in range(1, 201)]
    rows[GARBAGE - 1]["completion"] = noise
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    held = [{"prompt": f"What is item {n}?", "completion": "It is blue."} for n in range(300, 310)]
    (folder / "held.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held))
    watch = Listening()
    answer = tw.train(
        str(folder / "rows.jsonl"),
        model=str(random_model(folder / "llama", "llama")),
        runs_dir=folder,
        watch=watch,
        learning_rate=2e-3,
        val=str(folder / "held.jsonl"),
        method="full",
        per_device_train_batch_size=2,
        num_train_epochs=1,
        warmup_steps=5,
        eval_steps=30,
        seed=0,
    )
    return Path(answer["run"]), watch


def test_the_rows_of_a_spike_are_named_and_shown(spiky: tuple[Path, Listening]) -> None:
    run, watch = spiky
    report = tw.diagnose(run)[0]
    spike = report.diagnosis.finding("spike")
    assert spike is not None
    assert GARBAGE in spike.rows
    assert report.row_texts[GARBAGE].startswith("What is item 97? → ")
    text = diagnose_text(report)
    assert f"row {GARBAGE}: What is item 97?" in text
    assert "\x1b" not in text
    shown = [line for line in watch.said if line.startswith(f"  row {GARBAGE}: ")]
    assert len(shown) == 1
    assert "\x1b" not in shown[0]


def test_rows_are_not_shown_when_the_data_has_changed_or_is_gone(spiky: tuple[Path, Listening]) -> None:
    run, _ = spiky
    report = tw.diagnose(run)[0]
    data = run.parent / "rows.jsonl"
    before = data.read_bytes()
    data.write_bytes(before + b'{"prompt": "new", "completion": "row"}\n')
    assert row_texts(report.curve, report.diagnosis) == {}
    data.unlink()
    assert row_texts(report.curve, report.diagnosis) == {}
    data.write_bytes(before)
    assert GARBAGE in row_texts(read_curves(Run(run).path)[0], report.diagnosis)


def test_a_resumed_run_is_read_from_its_beginning(spiky: tuple[Path, Listening]) -> None:
    run, _ = spiky
    recipe = make_recipe(read_settings(run / "recipe.yaml"))
    live = Live("again", recipe, 100, Silent())
    live.remember(Run(run).events())
    live.on_event({"resumed_at": 60})
    curve = live.curve()
    assert (curve.base_eval_loss is not None, curve.loss.steps.tolist()) == (True, list(range(1, 61)))
