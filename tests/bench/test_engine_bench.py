"""The parts of the engine bench that compute: rounds, ratios, tables, records, and what a contestant reports."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Qwen3Config

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench.engine.compare import Ratios, difference, middle, same_work, speed  # noqa: E402
from bench.engine.drivers import ours  # noqa: E402
from bench.engine.drivers.serve import memory_bytes  # noqa: E402
from bench.engine.field import PEERS  # noqa: E402
from bench.engine.k_curve import curve_table, flops_per_token, peak_tflops  # noqa: E402
from bench.engine.k_runs import ONE_AFTER_ANOTHER, Cell, Setting, make_model  # noqa: E402
from bench.engine.orders import Order, Report, labels_of  # noqa: E402
from bench.engine.sweep import grid, summarise  # noqa: E402
from bench.engine.work import LONGEST, SHORTEST, WORKS, Lengths, make_order, make_rows  # noqa: E402
from bench.records import Records, fingerprint  # noqa: E402
from bench.table import table  # noqa: E402

from bench import peers  # noqa: E402

REPORT = Report(
    losses=[4.0, 3.0, 2.0],
    ends_s=[10.0, 10.5, 11.5],
    ends_cpu_s=[1.0, 2.0, 5.0],
    tokens=[100, 200, 400],
    supervised=[10, 20, 40],
    setup_s=1.0,
    train_s=2.0,
)


def test_speed_leaves_the_first_steps_out() -> None:
    found = speed(REPORT, warm_steps=1)
    assert (found.step_s, found.tokens_per_s, found.supervised_per_s, found.tokens_per_cpu_s) == (0.75, 400, 40, 150)


@pytest.mark.parametrize("warm_steps", [0, 3])
def test_speed_needs_a_step_with_a_beginning_and_an_end(warm_steps: int) -> None:
    with pytest.raises(ValueError, match="nothing to measure"):
        speed(REPORT, warm_steps)


def test_medians_are_taken_figure_by_figure() -> None:
    slow, fast = (speed(replace(REPORT, ends_s=[0.0, 1.0, end]), 1) for end in (4.0, 2.0))
    assert middle([slow, fast, fast]) == fast
    assert Ratios.of([3.0, 1.0, 2.0]) == Ratios(median=2.0, worst=1.0, rounds=3)


def test_losses_are_compared_step_by_step() -> None:
    assert difference([1.0, 2.0], [1.0, 2.0]) == 0.0
    assert difference([1.0, 2.0], [1.0, 2.5]) == pytest.approx(0.2)
    assert difference([math.nan], [math.nan]) == 0.0
    assert difference([1.0], [math.nan]) == math.inf
    assert math.isnan(difference([1.0], [1.0, 1.0]))


def test_other_tokens_are_seen() -> None:
    assert same_work(REPORT, replace(REPORT, losses=[0.0] * 3))
    assert not same_work(REPORT, replace(REPORT, supervised=[10, 20, 41]))


def test_a_sweep_adds_up_its_runs_and_counts_a_pack_once() -> None:
    trl, single, packed = (replace(REPORT, train_s=seconds, setup_s=seconds / 10) for seconds in (6.0, 3.0, 2.0))
    row = summarise([([trl, trl], [single, single], [packed, packed])], slots=2)
    assert (row.trl_train_s, row.ours_train_s, row.packed_train_s) == (12.0, 6.0, 2.0)
    assert (row.over_trl.median, row.over_ours.median) == (6.0, 3.0)
    assert row.packed_setup_s == pytest.approx(0.2)
    assert row.end_loss_difference == row.tamest_difference == 0.0


def test_the_grid_spans_its_rates_and_takes_turns_with_ranks() -> None:
    rates, ranks = zip(*grid(8), strict=True)
    assert rates[0] == pytest.approx(5e-4)
    assert rates[-1] == pytest.approx(1.6e-2)
    assert ranks == (2, 4, 8, 16) * 2


def test_records_are_measured_once_and_survive_a_cut_last_line(tmp_path: Path) -> None:
    path = tmp_path / "rounds.jsonl"
    calls: list[int] = []

    def measure() -> int:
        calls.append(1)
        return len(calls)

    assert Records(path, "a").get("round 1", measure) == 1
    with open(path, "a", encoding="utf-8") as file:
        file.write('{"state": "a", "key": "round 2", "val')
    again = Records(path, "a")
    assert again.get("round 1", measure) == 1
    assert again.get("round 2", measure) == 2
    assert Records(path, "a").get("round 2", measure) == 2
    assert Records(path, "other state").get("round 1", measure) == 3


def test_a_fingerprint_changes_with_settings_and_with_code(tmp_path: Path) -> None:
    code = tmp_path / "code.py"
    code.write_text("x = 1\n")
    first = fingerprint({"threads": 2}, [tmp_path])
    assert first == fingerprint({"threads": 2}, [tmp_path])
    assert first != fingerprint({"threads": 1}, [tmp_path])
    code.write_text("x = 2\n")
    assert first != fingerprint({"threads": 2}, [tmp_path])


def test_every_line_of_a_table_is_equally_wide() -> None:
    lines = table(["name", "figure"], [["a", 1], ["much longer", 1_000_000]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 4


def test_every_peer_has_pins_and_none_brings_a_torch() -> None:
    assert {peer.environment for peer in PEERS} - {""} == set(peers.peers())
    assert peers.torch_pin().startswith("torch==")
    for peer in peers.peers():
        names = [line.partition("==")[0] for line in (peers.PINS / f"{peer}.txt").read_text().splitlines()]
        assert not {"torch", "torchvision", "torchaudio"} & set(names)


@pytest.mark.parametrize("lengths", ["short", "long"])
def test_rows_are_ragged_and_repeat_themselves(lengths: Lengths, tmp_path: Path) -> None:
    path = make_rows(tmp_path / "one", lengths, 64, seed=3)
    assert path.read_bytes() == make_rows(tmp_path / "two", lengths, 64, seed=3).read_bytes()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    sizes = [len(row["ids"]) for row in rows]
    assert len(rows) == 64
    assert SHORTEST <= min(sizes) < max(sizes) <= LONGEST
    assert all(0 < sum(row["supervised"]) < len(row["ids"]) for row in rows)


@pytest.fixture
def order(tmp_path: Path) -> Order:
    work = next(work for work in WORKS if work.name == "bundled, short").scaled(0.1)
    return make_order(tmp_path, work, learning_rate=1e-3, rank=4, seed=0)


def test_our_driver_trains_the_rows_in_the_order_of_the_file(order: Order) -> None:
    report = ours.train(order)
    rows = order.read_rows()
    steps = [rows[at : at + order.batch_rows] for at in range(0, len(rows), order.batch_rows)]
    assert report.tokens == [sum(len(row["ids"]) for row in step) for step in steps]
    assert report.supervised == [sum(label != -100 for row in step for label in labels_of(row)) for step in steps]
    assert len(report.losses) == len(report.ends_s) == len(report.ends_cpu_s) == order.steps


def test_a_pack_of_our_driver_is_its_runs(order: Order) -> None:
    orders = [order, replace(order, learning_rate=2e-3)]
    packed, alone = ours.train_pack(orders, 2), [ours.train(one) for one in orders]
    for ours_packed, ours_alone in zip(packed, alone, strict=True):
        assert difference(ours_packed.losses, ours_alone.losses) < 1e-4
        assert same_work(ours_packed, ours_alone)


def test_the_peak_of_memory_is_at_least_what_is_resident() -> None:
    assert memory_bytes("VmHWM") >= memory_bytes("VmRSS") > 0


def test_flops_count_a_frozen_base() -> None:
    config = Qwen3Config(
        vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, tie_word_embeddings=True,
    )  # fmt: skip
    model = make_model(config, torch.float32, torch.device("cpu"), 0)
    layer = 32 * 32 + 2 * 32 * 16 + 32 * 32 + 3 * 32 * 64
    # the output layer sees half of the tokens; 3 x attention: once forward, twice backward
    expected = 4 * (2 * layer + 100 * 32 / 2) + 3 * (2 * 16 * 2 * 32)
    assert flops_per_token(model, config, Setting(1, 16)) == expected


def test_the_peak_of_a_device_is_given_or_known_by_name() -> None:
    assert peak_tflops("NVIDIA A100-SXM4-80GB", None) == 312
    assert peak_tflops("NVIDIA A100-SXM4-80GB", 300.0) == 300
    assert peak_tflops("CPU", None) is None


def test_the_curve_is_told_in_times_of_peft() -> None:
    setting = Setting(1, 100)
    cells = [Cell(setting, ONE_AFTER_ANOTHER, 0.1, None, []), Cell(setting, 4, 0.2, 2.5, [])]
    lines = curve_table(cells, {setting: 1e9}, peak=10.0).splitlines()
    assert [cell.strip() for cell in lines[-1].split("|")[1:-1]] == [
        "1 x 100", "4", "200.0", "2,000", "2.00x", "20.0%", "2.50",
    ]  # fmt: skip
    assert np.isclose(cells[1].tokens_per_s, 2000)
