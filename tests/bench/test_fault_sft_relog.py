"""Relogging prints what the Trainer prints, and a stored run comes back as it was."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.fault_sft.record import Log, Record, append_line, pack_lines, read_lines, read_records
from bench.fault_sft.relog import View, log_history, shown_evals, trainer_state, window_means
from bench.fault_sft.spec import Recipe, Spec

NAN = math.nan


def record(raw: list[float], evals: list[tuple[int, float]], **recipe: Any) -> Record:
    count = len(raw)
    log = Log(raw, [1e-3] * count, [0.5] * count, evals)
    return Record(Spec("b", Recipe(**recipe)), log, count, 5.0, (1.0, 2.0))


@pytest.mark.parametrize("every", [1, 3, 5])
@pytest.mark.parametrize("lost", [(), (4,), (2, 3), (6, 7, 8, 9, 10, 11)])
def test_window_means_are_what_the_real_trainer_prints(every: int, lost: tuple[int, ...], tmp_path: Path) -> None:
    import torch
    from transformers import Trainer, TrainingArguments

    raw = [NAN if step in lost else 3.0 / (step + 1) + 0.01 * (step % 3) for step in range(12)]

    class Given(torch.nn.Module):
        """Its loss is what the row says; the gradient is zero, so nothing moves."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, value: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"loss": value.mean() + 0.0 * self.weight.sum()}

    class InOrder(Trainer):
        def _get_train_sampler(self, *given: Any, **named: Any) -> torch.utils.data.Sampler[int]:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        per_device_train_batch_size=1,
        num_train_epochs=1,
        logging_steps=every,
        learning_rate=0.0,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        dataloader_pin_memory=False,
    )
    trainer = InOrder(model=Given(), args=arguments, train_dataset=[{"value": torch.tensor([v])} for v in raw])
    trainer.train()
    printed = {row["step"]: row["loss"] for row in trainer.state.log_history if "loss" in row}

    assert dict(window_means(raw, every)) == printed


def test_without_the_filter_a_nan_is_printed() -> None:
    assert [math.isnan(loss) for _, loss in window_means([1.0, NAN, 2.0, 3.0], 2, nan_filter=False)] == [True, False]


def test_fewer_evaluations_keep_the_last_and_the_start_only_when_wanted() -> None:
    evals = [(0, 3.0), (2, 2.0), (4, 1.5), (6, 1.2), (8, 1.1), (9, 1.0)]

    assert shown_evals(evals, View(nth_eval=2)) == [(0, 3.0), (4, 1.5), (8, 1.1), (9, 1.0)]
    assert shown_evals(evals, View(step_zero=False, nth_eval=4)) == [(8, 1.1), (9, 1.0)]


def test_a_growing_log_is_a_prefix_of_the_whole_one() -> None:
    run = record([3.0, 2.0, 1.0, 0.5], [(0, 3.1), (2, 2.1), (4, 1.1)])
    whole = log_history(run, View())

    assert log_history(run, View(), until=2) == whole[:4]
    assert [row["step"] for row in whole] == [0, 1, 2, 2, 3, 4, 4]


def test_the_state_says_how_long_the_run_is_planned() -> None:
    state = trainer_state(record([1.0] * 12, [(12, 1.0)], batch=4), View(every=5), until=7)

    assert (state["global_step"], state["max_steps"], state["num_train_epochs"]) == (5, 12, 3)
    assert (state["logging_steps"], state["train_batch_size"]) == (5, 4)


def test_the_products_reader_reads_the_state(tmp_path: Path) -> None:
    from bench.fault_sft.ours import curve_of

    curve = curve_of(record([2.0, NAN, 1.0], [(0, 2.5), (3, 1.2)]), View())

    assert curve.loss.values.tolist() == [2.0, 0.0, 1.0]
    assert (curve.base_eval_loss, curve.total_steps) == (2.5, 3)


def test_a_record_comes_back_from_its_file(tmp_path: Path) -> None:
    run = record([2.0, NAN, math.inf], [(0, 2.5), (3, NAN)], rank=16)
    pack_lines(tmp_path / "a.jsonl.gz", [run.to_json()])
    (back,) = read_records(tmp_path / "a.jsonl.gz")

    assert back.spec == run.spec
    assert back.spec.id == run.spec.id
    assert [str(loss) for loss in back.log.raw] == ["2.0", "nan", "inf"]
    assert str(back.log.evals[1][1]) == "nan"
    assert back.general == (1.0, 2.0)


def test_a_line_cut_by_a_kill_is_left_out_and_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    append_line(path, {"id": "one"})
    with path.open("a") as file:
        file.write('{"id": "tw')

    assert [line["id"] for line in read_lines(path)] == ["one"]
    append_line(path, {"id": "three"})
    assert [line["id"] for line in read_lines(path)] == ["one", "three"]


def test_the_packed_bytes_depend_on_the_lines_only(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        pack_lines(tmp_path / name, [{"id": "one"}, {"id": "two"}])

    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
