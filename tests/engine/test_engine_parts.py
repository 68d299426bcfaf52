"""Schedules against closed forms, batches as pure functions, precision and its reasons, checkpoints on a bad disk."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.data.tokens import TokenRow
from tunewright.engine import precision
from tunewright.engine.batcher import Rows, epoch_order, micro_batches, step_window
from tunewright.engine.columns import Columns
from tunewright.engine.schedule import LRSchedule, PlateauLR
from tunewright.schema.errors import UsageError
from tunewright.schema.recipe import Reshuffle

CPU = torch.device("cpu")


def theirs(kind: str, total: int, warmup: int) -> list[float]:
    """transformers' own schedule, as the rates its optimizer would use."""
    from transformers import optimization as hf

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    decay = round(0.2 * total)
    scheduler = {
        "constant": lambda: hf.get_constant_schedule_with_warmup(optimizer, warmup),
        "linear": lambda: hf.get_linear_schedule_with_warmup(optimizer, warmup, total),
        "cosine": lambda: hf.get_cosine_schedule_with_warmup(optimizer, warmup, total),
        "cosine_with_min_lr": lambda: hf.get_cosine_with_min_lr_schedule_with_warmup(
            optimizer, warmup, total, min_lr_rate=0.1
        ),
        "inverse_sqrt": lambda: hf.get_inverse_sqrt_schedule(optimizer, warmup),
        "wsd": lambda: hf.get_wsd_schedule(
            optimizer, warmup, decay, num_stable_steps=total - warmup - decay, decay_type="1-sqrt"
        ),
    }[kind]()
    rates = []
    for _ in range(total):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("kind", ["constant", "linear", "cosine", "cosine_with_min_lr", "inverse_sqrt", "wsd"])
@pytest.mark.parametrize(("total", "warmup"), [(50, 0), (50, 7), (3, 1)])
def test_schedules_are_transformers_own(kind: str, total: int, warmup: int) -> None:
    ours = LRSchedule(kind, total, warmup, floor=0.1)  # type: ignore[arg-type]
    np.testing.assert_allclose([ours.multiplier(s) for s in range(total)], theirs(kind, total, warmup), atol=1e-12)


def test_step_schedule_is_torchs() -> None:
    ours = LRSchedule("step", total=20, step_size=6, step_gamma=0.5)
    assert [ours.multiplier(s) for s in range(20)] == [0.5 ** (s // 6) for s in range(20)]


@given(
    kind=st.sampled_from(["constant", "linear", "cosine", "cosine_with_min_lr", "step", "wsd", "inverse_sqrt"]),
    total=st.integers(1, 300),
    warmup=st.integers(0, 350),
    share=st.floats(0, 1),
)
@settings(max_examples=300, deadline=None)
def test_multipliers_stay_between_nothing_and_the_peak(kind: str, total: int, warmup: int, share: float) -> None:
    schedule = LRSchedule(kind, total, warmup, floor=share, decay_share=share)  # type: ignore[arg-type]
    rates = [schedule.multiplier(s) for s in range(total + 2)]
    assert all(0.0 <= rate <= 1.0 for rate in rates)
    falling = rates[warmup:]
    assert falling == sorted(falling, reverse=True)


def test_plateau_waits_and_halves() -> None:
    plateau = PlateauLR()
    for loss in (2.0, 1.0, 1.0, math.nan, 1.1):
        plateau.see(loss)
    assert plateau.factor == 0.5
    plateau.see(0.9)
    assert (plateau.best, plateau.waited, plateau.factor) == (0.9, 0, 0.5)


def test_every_epoch_sees_every_row_once(make_rows: Callable[..., list[TokenRow]]) -> None:
    rows = Rows(make_rows(29))
    for epoch in range(3):
        seen = [step_window(rows, seed=3, step=epoch * 4 + step, rows_per_step=8).indexes for step in range(4)]
        assert [len(indexes) for indexes in seen] == [8, 8, 8, 5]
        assert sorted(np.concatenate(seen).tolist()) == list(range(29))
        for indexes in seen:
            assert (np.diff(rows.lengths[indexes]) <= 0).all()
    assert epoch_order(3, 0, 29).tolist() != epoch_order(4, 0, 29).tolist()


def test_rows_come_in_another_seeds_orders_from_its_epoch_on(make_rows: Callable[..., list[TokenRow]]) -> None:
    rows = Rows(make_rows(29))

    def order(seed: int, reshuffle: Reshuffle | None = None) -> list[list[int]]:
        windows = (step_window(rows, seed=seed, step=step, rows_per_step=8, reshuffle=reshuffle) for step in range(12))
        return [window.indexes.tolist() for window in windows]

    own, other, mixed = order(3), order(5), order(3, Reshuffle(from_epoch=2, seed=5))
    assert mixed == [*own[:8], *other[8:]]
    assert mixed[8:] != own[8:]
    assert order(3, Reshuffle(from_epoch=0, seed=5)) == other


@given(seed=st.integers(0, 2**31 - 1), micro_rows=st.integers(1, 9), K=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_batches_hold_every_supervised_token_once(seed: int, micro_rows: int, K: int) -> None:
    random = np.random.Generator(np.random.PCG64(seed))
    table = []
    for number in range(1, 12):
        length = int(random.integers(1, 12))
        mask = random.random(length) < 0.4
        mask[0] = False
        table.append(TokenRow(number=number, ids=random.integers(1, 50, length).astype(np.int32), supervised=mask))
    rows = Rows(table)
    windows = [step_window(rows, seed=seed, step=slot, rows_per_step=7) for slot in range(K)]
    found: list[list[tuple[int, int]]] = [[] for _ in range(K)]
    for batch in micro_batches(windows, micro_rows, CPU):
        b, T = len(batch.ids) // K, batch.ids.shape[1]
        assert sum(batch.per_slot) == sum(batch.per_row) == len(batch.at)
        flat = batch.ids.flatten()
        for at, target in zip(batch.at.tolist(), batch.targets.tolist(), strict=True):
            assert flat[at + 1] == target
            found[at // T // b].append((int(flat[at]), target))
    for slot, window in enumerate(windows):
        expected = [
            (int(table[i].ids[t - 1]), int(table[i].ids[t]))
            for i in window.indexes
            for t in np.flatnonzero(table[i].supervised)
        ]
        assert sorted(found[slot]) == sorted(expected)
        assert window.supervised == len(expected)


@pytest.mark.parametrize(
    ("asked", "dtype", "why"),
    [
        ("auto", torch.float32, "auto"),
        ("fp32", torch.float32, "asked"),
        ("bf16", torch.bfloat16, "asked"),
        ("fp16", torch.float32, "no fast float16"),
    ],
)
def test_precision_on_a_cpu(asked: str, dtype: torch.dtype, why: str) -> None:
    chosen, reason = precision.choose_dtype(asked, CPU)  # type: ignore[arg-type]
    assert chosen is dtype
    assert why in reason


@pytest.mark.parametrize(("has_bf16", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_precision_on_a_gpu(monkeypatch: pytest.MonkeyPatch, has_bf16: bool, dtype: torch.dtype) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bf16)
    gpu = torch.device("cuda", 0)
    assert precision.choose_dtype("auto", gpu)[0] is dtype
    assert precision.choose_dtype("bf16", gpu)[0] is dtype
    assert precision.choose_dtype("fp16", gpu)[0] is torch.float16


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="one of 2 processes"):
        precision.choose_device()


@given(
    ranks=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    sizes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4),
    left_out=st.integers(0, 2**4 - 1),
)
def test_a_row_goes_into_any_larger_pack_and_comes_back(
    ranks: list[int], sizes: list[tuple[int, int]], left_out: int
) -> None:
    def columns(rank: int, kept: list[int]) -> Columns:
        wanted = [(f"{n}.A", (rank, sizes[n][0]), True) for n in kept]
        return Columns.of([*wanted, *((f"{n}.B", (rank, sizes[n][1]), True) for n in kept)])

    kept = [n for n in range(len(sizes)) if not left_out >> n & 1] or [0]
    own, pack = columns(min(ranks), kept), columns(max(ranks), list(range(len(sizes))))
    assert all(leaf.offset % 16 == 0 for leaf in pack.leaves.values())
    own_1P = torch.zeros(1, own.size)
    for leaf in own.leaves.values():
        leaf.of(own_1P).copy_(torch.randn(1, *leaf.shape))
    row_1P = torch.full((1, pack.size), 7.0)
    pack.paste(own, own_1P, row_1P)
    assert torch.equal(pack.cut(own, row_1P), own_1P)
    assert row_1P.count_nonzero() == own_1P.count_nonzero() or own == pack


def plain_rows(count: int) -> list[TokenRow]:
    return [TokenRow(n, np.arange(3, dtype=np.int32), np.array([False, True, True])) for n in range(1, count + 1)]


@given(fixed=st.integers(1, 40), pool=st.integers(1, 30), drawn=st.integers(0, 20), seed=st.integers(0, 3))
def test_every_epoch_takes_the_next_turn_of_the_pool(fixed: int, pool: int, drawn: int, seed: int) -> None:
    everything = plain_rows(fixed + pool)
    rows = Rows(everything[:fixed], everything[fixed:], drawn)
    per_epoch = -(-(fixed + drawn) // 4)
    taken: list[int] = []
    for epoch in range(3):
        windows = [step_window(rows, seed=seed, step=epoch * per_epoch + n, rows_per_step=4) for n in range(per_epoch)]
        seen = [int(index) for window in windows for index in window.indexes]
        assert sorted(index for index in seen if index < fixed) == list(range(fixed))
        taken += sorted((index - fixed - epoch * drawn) % pool for index in seen if index >= fixed)
    counts = [taken.count(turn) for turn in range(pool)]
    assert sum(counts) == 3 * drawn


def test_a_pool_as_large_as_three_epochs_take_shows_every_row_once() -> None:
    everything = plain_rows(10 + 12)
    rows = Rows(everything[:10], everything[10:], 4)
    seen = [int(i) for step in range(3 * 7) for i in step_window(rows, seed=0, step=step, rows_per_step=2).indexes]
    assert sorted(index for index in seen if index >= 10) == list(range(10, 22))
