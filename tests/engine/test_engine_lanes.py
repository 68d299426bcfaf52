"""A step cut for several cores: the same numbers, nobody's neighbour touched, no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from tunewright.data.tokens import TokenRow
from tunewright.engine import lanes
from tunewright.engine.adapter import SlotSpec
from tunewright.engine.attach import attach_lora, open_full
from tunewright.engine.batcher import Rows, Window
from tunewright.engine.evaluate import packed_row_losses, row_losses
from tunewright.engine.frozen import checkpoint_activations
from tunewright.engine.pack import Pack
from tunewright.engine.step import forward_backward

MakeModel = Callable[..., nn.Module]
MakeRows = Callable[..., list[TokenRow]]
SPECS = tuple(SlotSpec(rank, 8.0, seed=rank) for rank in (2, 4, 8))


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Pretends to have so many cores; the list returned gets the number of lanes of every piece of work."""

    def have(count: int) -> list[int]:
        cut: list[int] = []
        run = lanes.side_by_side

        def counted(tasks: Sequence[Callable[[], object]]) -> list[object]:
            cut.append(len(tasks))
            return run(tasks)

        monkeypatch.setattr(lanes, "CORES", count)
        monkeypatch.setattr(lanes, "LEAST_FLOP", 1.0)
        monkeypatch.setattr("tunewright.engine.step.side_by_side", counted)
        monkeypatch.setattr("tunewright.engine.evaluate.side_by_side", counted)
        return cut

    return have


def windows_of(make_rows: MakeRows, K: int) -> list[Window]:
    """Rows of its own for each slot, of other numbers and lengths."""
    return [Window(rows, np.arange(len(rows))) for rows in (Rows(make_rows(5 + 2 * k, seed=k)) for k in range(K))]


def drawn(pack: Pack) -> Pack:
    """The pack with adapters that do something: B is drawn too."""
    generator = torch.Generator().manual_seed(3)
    for slot, spec in enumerate(pack.specs):
        for path in pack.paths(slot):
            B_ro = pack.leaf(f"{path}.B").of(pack.params_KP)[slot, : spec.rank]
            B_ro.copy_(0.1 * torch.randn(B_ro.shape, generator=generator))
    return pack


def step(pack: Pack, windows: Sequence[Window], micro_rows: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    loss_K = forward_backward(pack, windows, step=2, micro_rows=micro_rows)
    return loss_K, pack.grads_KP.clone()


@pytest.mark.parametrize(("K", "lane_count"), [(1, 2), (1, 3), (2, 2), (3, 2), (3, 3)])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_lanes_change_no_loss_and_no_gradient(
    make_model: MakeModel, make_rows: MakeRows, cores: Callable[[int], list[int]], K: int, lane_count: int, family: str
) -> None:
    windows = windows_of(make_rows, K)
    alone = step(drawn(attach_lora(make_model(family), SPECS[:K])), windows)
    cut = cores(lane_count)
    pack = drawn(attach_lora(make_model(family), SPECS[:K]))
    beside = step(pack, windows)
    assert cut == [lane_count]
    torch.testing.assert_close(beside[0], alone[0], rtol=1e-6, atol=0)
    torch.testing.assert_close(beside[1], alone[1], rtol=1e-4, atol=1e-7)
    again = step(pack, windows)
    assert torch.equal(again[0], beside[0])
    assert torch.equal(again[1], beside[1])
    losses = packed_row_losses(pack, [window.rows for window in windows], 2)
    cores(1)
    for ours, theirs in zip(losses, packed_row_losses(pack, [w.rows for w in windows], 2), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_dropout_in_lanes_is_that_of_the_slot_alone(
    make_model: MakeModel, make_rows: MakeRows, cores: Callable[[int], list[int]]
) -> None:
    specs = [SlotSpec(4, 8.0, dropout=0.3, seed=seed) for seed in (1, 2)]
    windows = windows_of(make_rows, 2)
    cut = cores(2)
    together = step(drawn(attach_lora(make_model(), specs)), windows)[0]
    assert cut == [2]
    for slot in range(2):
        alone = step(attach_lora(make_model(), [specs[slot]]), [windows[slot]])[0]
        undrawn = step(attach_lora(make_model(), specs), windows)[0][slot]
        torch.testing.assert_close(alone[0], undrawn, rtol=1e-6, atol=0)
    assert cut == [2, 2, 2]  # a single slot with dropout is not cut
    assert torch.isfinite(together).all()


def test_a_slot_of_nans_stays_in_its_lane(
    make_model: MakeModel, make_rows: MakeRows, cores: Callable[[int], list[int]]
) -> None:
    windows = windows_of(make_rows, 3)
    cores(3)
    healthy = step(drawn(attach_lora(make_model(), SPECS)), windows)
    pack = drawn(attach_lora(make_model(), SPECS))
    pack.params_KP[1].fill_(torch.nan)
    loss_K, grads_KP = step(pack, windows)
    assert torch.isnan(loss_K[1])
    for slot in (0, 2):
        assert torch.equal(loss_K[slot], healthy[0][slot])
        assert torch.equal(grads_KP[slot], healthy[1][slot])


def test_what_cannot_be_cut_is_not(
    make_model: MakeModel, make_rows: MakeRows, cores: Callable[[int], list[int]]
) -> None:
    cut, windows = cores(2), windows_of(make_rows, 1)
    step(open_full(make_model()), windows)
    step(attach_lora(make_model(), SPECS[:1], modules_to_save=["norm"]), windows)
    step(attach_lora(make_model(), SPECS[:1]), windows, micro_rows=1)
    model = make_model()
    checkpoint_activations(model, True)
    step(attach_lora(model, SPECS[:1]), windows)
    assert cut == [1] * len(cut)


def test_the_base_alone_is_evaluated_in_lanes_too(
    make_model: MakeModel, make_rows: MakeRows, cores: Callable[[int], list[int]]
) -> None:
    rows, pack = make_rows(9), drawn(attach_lora(make_model(), SPECS))
    plain = row_losses(make_model(), rows, 2)[0]
    cut = cores(2)
    with pack.adapters_off():
        np.testing.assert_array_equal(row_losses(pack, rows, 2)[0], plain)
    with pack.only(2):
        tuned = row_losses(pack, rows, 2)[0]
    assert cut == [2, 2]
    assert not np.allclose(tuned, plain)


def test_an_error_in_one_lane_waits_for_the_others_and_leaves_nothing_behind() -> None:
    ended, threads = threading.Event(), torch.get_num_threads()

    def fail() -> None:
        raise MemoryError("here")

    def slow() -> None:
        threading.Event().wait(0.05)
        ended.set()

    with pytest.raises(MemoryError, match="here"):
        lanes.side_by_side([fail, slow])
    assert ended.is_set()
    with pytest.raises(MemoryError, match="here"):
        lanes.side_by_side([slow, fail])
    assert lanes.side_by_side([partial(int, number) for number in "1234"]) == [1, 2, 3, 4]
    assert torch.get_num_threads() == threads


def test_small_work_is_one_lane_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    sharing, before = lanes.Sharing.of(nn.Linear(10, 10)), torch.get_num_threads()
    monkeypatch.setattr(lanes, "CORES", 4)
    assert sharing.lanes(100, lanes.FORWARD, 8) == 1
    assert sharing.lanes(10_000_000, lanes.FORWARD, 8) == 2
    assert sharing.lanes(1_000_000_000, lanes.FORWARD, 3) == 3
    with sharing.threads(100, lanes.FORWARD):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
