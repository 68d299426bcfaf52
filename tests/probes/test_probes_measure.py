"""Dry steps and the noise scale on a real, small model: what they measure, and that they leave no trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from tests_support import random_llama

from tunewright.data.tokens import TokenRow
from tunewright.engine.base import Base, load_base
from tunewright.engine.batcher import Rows, Window
from tunewright.engine.step import forward_backward
from tunewright.planner.measured_noise import noise_scale
from tunewright.probes import dry_step
from tunewright.probes.dry_step import bench, dry_run, longest, side
from tunewright.probes.noise_scale import SKETCH, _Sketch, measure_noise
from tunewright.schema.errors import Interrupted, RunFailed
from tunewright.schema.measured import MeasuredPoint
from tunewright.schema.recipe import Recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(random_llama(tmp_path_factory.mktemp("models") / "llama"))


def rows(count: int, longest: int = 24) -> list[TokenRow]:
    """Rows of a few tokens only, so that there is something to learn from each: a gradient that they share."""
    random = np.random.Generator(np.random.PCG64(3))
    made = []
    for number in range(1, count + 1):
        ids = random.integers(5, 9, size=int(random.integers(6, longest))).astype(np.int32)
        made.append(TokenRow(number, ids, np.arange(len(ids)) >= len(ids) // 2))
    return made


def recipe(**values: Any) -> Recipe:
    usual: dict[str, Any] = {"model": "m", "data": "d", "learning_rate": 5e-3, "report_to": (), "lora_rank": 4}
    return Recipe(**(usual | values))


def fingerprint(base: Base) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in base.model.state_dict().items()}


def assert_untouched(base: Base, before: dict[str, torch.Tensor]) -> None:
    after = base.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(not p.requires_grad and p.grad is None for p in base.model.parameters())
    assert not any(module.training for module in base.model.modules())


@pytest.mark.parametrize("method", ["lora", "full"])
def test_measuring_leaves_the_base_as_it_was(folder: str, method: Any) -> None:
    base = load_base(folder, method=method)
    before = fingerprint(base)
    asked = recipe(method=method, gradient_checkpointing=True)
    dry_run(base, asked, rows(20), rows(6))
    assert_untouched(base, before)
    measure_noise(base, asked, rows(40), most_rows=20, warm_steps=3)
    assert_untouched(base, before)


def test_sizes_are_one_and_the_planned_ones_on_the_longest_rows(folder: str) -> None:
    train, val = rows(20), rows(9, longest=12)
    found = dry_run(load_base(folder), recipe(per_device_train_batch_size=6, per_device_eval_batch_size=4), train, val)
    lengths = sorted((len(row) for row in train), reverse=True)
    assert found.length == lengths[0]
    assert [(one.rows, one.tokens) for one in found.train.points] == [(1, lengths[0]), (6, sum(lengths[:6]))]
    held = sorted((len(row) for row in val), reverse=True)
    assert [(one.rows, one.tokens) for one in found.eval.points] == [(1, held[0]), (4, sum(held[:4]))]
    assert all(one.seconds > 0 and one.peak_GiB > 0 for one in (*found.train.points, *found.eval.points))


def test_one_planned_row_is_measured_beside_two_and_few_rows_come_again(folder: str) -> None:
    found = dry_run(load_base(folder), recipe(per_device_train_batch_size=1), rows(1))
    assert [one.rows for one in found.train.points] == [1, 2]
    assert longest(Rows(rows(2)), 5).indexes.tolist().count(0) >= 2


def test_a_step_that_needs_more_is_seen_to_need_more(folder: str) -> None:
    """64 rows of 250 tokens hold at least their logits and hidden states: tens of MiB, far above the noise."""
    long_row = TokenRow(1, np.arange(5, 255, dtype=np.int32) % 200 + 5, np.ones(250, np.bool_))
    found = dry_run(load_base(folder), recipe(per_device_train_batch_size=64), [long_row] * 64).train
    small, large = found.points
    assert found.told_apart
    least_GiB = 64 * 250 * 300 * 4 * 2 / 2**30  # float32 logits and their gradient
    assert large.peak_GiB - small.peak_GiB > least_GiB
    assert found.fixed_GiB + 64 * found.per_row_GiB == pytest.approx(large.peak_GiB)


def test_peaks_closer_than_their_spread_are_not_told_apart() -> None:
    small, large = MeasuredPoint(1, 10, 1.000, 0.02, 0.1), MeasuredPoint(8, 80, 1.015, 0.0, 0.2)
    found = side((small, large))
    assert (found.told_apart, found.per_row_GiB, found.fixed_GiB) == (False, 0.0, 1.015)
    assert side((small, MeasuredPoint(8, 80, 1.1, 0.0, 0.2))).told_apart


@pytest.fixture
def short_of_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Training steps of more than so many rows run out of memory, as torch says it."""

    def limit(most: int) -> None:
        def step(pack: Any, windows: Sequence[Window], **how: Any) -> torch.Tensor:
            if how["micro_rows"] > most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return forward_backward(pack, windows, **how)

        monkeypatch.setattr(dry_step, "forward_backward", step)

    return limit


def test_running_out_of_memory_is_a_ceiling_not_a_crash(folder: str, short_of_memory: Callable[[int], None]) -> None:
    short_of_memory(5)
    base = load_base(folder)
    before = fingerprint(base)
    found = dry_run(base, recipe(per_device_train_batch_size=16), rows(20)).train
    assert [one.rows for one in found.points] == [1, 4]
    assert found.ceiling_rows == 8
    assert_untouched(base, before)


def test_one_row_that_does_not_fit_ends_the_measurement(folder: str, short_of_memory: Callable[[int], None]) -> None:
    short_of_memory(0)
    base = load_base(folder)
    before = fingerprint(base)
    with pytest.raises(RunFailed, match="out of memory with one row") as caught:
        dry_run(base, recipe(), rows(4))
    assert "gradient_checkpointing" in caught.value.hint
    assert_untouched(base, before)


def test_it_stops_when_asked_and_leaves_the_base_clean(folder: str) -> None:
    base = load_base(folder)
    before = fingerprint(base)
    for probe in (dry_run, measure_noise):
        with pytest.raises(Interrupted):
            probe(base, recipe(), rows(20), should_stop=lambda: True)  # type: ignore[operator]
        assert_untouched(base, before)


# --- noise scale ----------------------------------------------------------------------------------------------


def test_the_reading_is_that_of_the_rows_own_gradients(folder: str) -> None:
    """The same number from gradients taken here, one by one, and the formula applied in the open."""
    train, asked, base = rows(24), recipe(), load_base(folder)
    found = measure_noise(base, asked, train, warm_steps=1).readings[0]
    everything = Rows(train)
    with bench(base, asked) as at_hand:
        s = []
        for index in range(24):
            forward_backward(at_hand.pack, [Window(everything, np.array([index]))], step=0, micro_rows=1)
            s.append(at_hand.pack.grads_KP[0].double().numpy() * everything.supervised[index])
    s_NP, n_N = np.stack(s), everything.supervised.astype(float)
    G = s_NP.sum(0) / n_N.sum()
    trace = (((s_NP - n_N[:, None] * G) / n_N.mean()) ** 2).sum() / 23
    assert found.value == pytest.approx(trace / ((G**2).sum() - trace / 24), rel=1e-3)
    assert found.low is not None
    assert found.low < found.value < found.high  # type: ignore[operator]


def test_the_whole_windows_gradient_is_the_sum_of_the_rows(folder: str) -> None:
    """What ties the rows' noise to a step: its gradient is sum(s) / sum(n), as our loss divides."""
    everything, asked, base = Rows(rows(8)), recipe(), load_base(folder)
    with bench(base, asked) as at_hand:
        s = []
        for index in range(8):
            forward_backward(at_hand.pack, [Window(everything, np.array([index]))], step=0, micro_rows=1)
            s.append(at_hand.pack.grads_KP[0].clone() * int(everything.supervised[index]))
        forward_backward(at_hand.pack, [Window(everything, np.arange(8))], step=0, micro_rows=8)
        whole = at_hand.pack.grads_KP[0].clone()
    expected = torch.stack(s).sum(0) / int(everything.supervised.sum())
    torch.testing.assert_close(whole, expected, rtol=1e-4, atol=1e-6)


def test_two_readings_the_same_every_time(folder: str) -> None:
    base = load_base(folder)
    first, again = (measure_noise(base, recipe(), rows(40), most_rows=24, warm_steps=4).readings for _ in range(2))
    assert first == again
    assert [one.after_steps for one in first] == [0, 4]
    assert first[0] != first[1]


def test_a_warm_up_that_diverges_is_said(folder: str) -> None:
    found = measure_noise(load_base(folder), recipe(learning_rate=1e30), rows(24), warm_steps=8).readings[1]
    assert found.value is None
    assert "not finite" in found.because


def test_a_folded_gradient_keeps_inner_products() -> None:
    size = 3 * SKETCH + 17
    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(size, generator=generator)
    vectors = [shared + torch.randn(size, generator=generator) for _ in range(20)]
    fold = _Sketch(size, torch.device("cpu"), seed=1)
    exact, folded = (torch.stack(each).double() for each in (vectors, [fold(one) for one in vectors]))
    assert folded.shape == (20, SKETCH)
    error = (folded @ folded.T - exact @ exact.T).abs() / (2 * size)
    assert error.max() < 5 / SKETCH**0.5
    tokens = np.ones(20)
    values = [noise_scale((each @ each.T).numpy(), tokens).value for each in (exact, folded)]
    assert values[1] == pytest.approx(values[0], rel=0.02)
