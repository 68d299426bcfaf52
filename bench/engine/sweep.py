"""A sweep: many adapters on the same rows, one after another in TRL and in our engine, and packed in ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from bench.engine.compare import Ratios, difference, end_loss
from bench.engine.field import OURS, TRL, Field
from bench.engine.orders import Order, Report
from bench.engine.single import Say, train
from bench.records import Records

LOWEST_RATE, HIGHEST_RATE = 5e-4, 1.6e-2
RANKS = (2, 4, 8, 16)


@dataclasses.dataclass(frozen=True)
class SweepRow:
    """A sweep's times, summed over its adapters (medians of the rounds), and how far the losses are apart.

    train_s: steps only; setup_s: loading and preparing, once per run, or once for the pack.
    over_trl, over_ours: how many times faster the pack is, by train_s.
    end_loss_difference: the largest relative difference between an adapter's last losses packed and in TRL;
    tamest_difference: that over all steps of the adapter with the lowest learning rate (a high one lets rounding grow).
    """

    adapters: int
    slots: int
    trl_train_s: float
    trl_setup_s: float
    ours_train_s: float
    ours_setup_s: float
    packed_train_s: float
    packed_setup_s: float
    over_trl: Ratios
    over_ours: Ratios
    end_loss_difference: float
    tamest_difference: float


def grid(adapters: int) -> list[tuple[float, int]]:
    """(learning rate, rank) of each adapter: rates evenly spaced on a log scale, ranks taking turns.

    >>> [(round(rate, 4), rank) for rate, rank in grid(2)]
    [(0.0005, 2), (0.016, 4)]
    """
    rates = np.geomspace(LOWEST_RATE, HIGHEST_RATE, adapters).tolist()
    return [(rate, RANKS[place % len(RANKS)]) for place, rate in enumerate(rates)]


def measure_sweep(
    field: Field, records: Records, orders: Sequence[Order], *, slots: int, rounds: int, say: Say
) -> SweepRow:
    """Every round trains all adapters in each of the three ways."""
    found = []
    for number in range(1, rounds + 1):
        name = f"sweep/{len(orders)}/{number}"
        ways = []
        for entry in (TRL, OURS):
            say(f"sweep of {len(orders)}, round {number} of {rounds}: {entry.name}, one after another")
            ways.append([train(field, records, f"{name}/{entry.name}/{k}", entry, o) for k, o in enumerate(orders)])
        say(f"sweep of {len(orders)}, round {number} of {rounds}: ours, packed")
        packed = records.get(f"{name}/packed/{slots}", lambda: _packed(field, orders, slots))
        found.append((*ways, [Report(**report) for report in packed]))
    return summarise(found, slots)


def _packed(field: Field, orders: Sequence[Order], slots: int) -> list[dict[str, object]]:
    return [dataclasses.asdict(report) for report in field.process(OURS).train_pack(orders, slots).reports]


def summarise(rounds: Sequence[Sequence[Sequence[Report]]], slots: int) -> SweepRow:
    """Rounds of (TRL's reports, ours, ours packed), adapters in the same order in each; the tamest first. Pure."""
    # a pack's reports all hold the time of the whole pack
    seconds = {
        field: [
            (*(sum(getattr(report, field) for report in way) for way in ways), getattr(packed[0], field))
            for *ways, packed in rounds
        ]
        for field in ("train_s", "setup_s")
    }
    (trl_train, ours_train, packed_train), (trl_setup, ours_setup, packed_setup) = (
        np.median(np.array(seconds[field]), axis=0).tolist() for field in ("train_s", "setup_s")
    )
    trl, _, packed = rounds[0]
    return SweepRow(
        adapters=len(trl),
        slots=slots,
        trl_train_s=trl_train,
        trl_setup_s=trl_setup,
        ours_train_s=ours_train,
        ours_setup_s=ours_setup,
        packed_train_s=packed_train,
        packed_setup_s=packed_setup,
        over_trl=Ratios.of([theirs / pack for theirs, _, pack in seconds["train_s"]]),
        over_ours=Ratios.of([single / pack for _, single, pack in seconds["train_s"]]),
        end_loss_difference=max(difference([end_loss(a)], [end_loss(b)]) for a, b in zip(trl, packed, strict=True)),
        tamest_difference=difference(trl[0].losses, packed[0].losses),
    )
