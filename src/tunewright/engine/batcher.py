"""Which rows a step sees, and how they are laid out: pure functions of (seed, step), so a resumed run needs no cursor.

Shapes: K slots, b rows per slot and micro-batch, N tokens per slot, T tokens of the longest row, S supervised
positions. Rows lie end to end, without pads, in models that can take them so (:mod:`tunewright.engine.attention`).
For the others they are padded on the right: under causal attention no real token can look at a later pad, so no
attention mask is needed and pads cost time only. Sorting a step's rows by length before cutting them into
micro-batches keeps those few.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from tunewright.engine.layout import Indexes, Layout, lay_out, on_device
from tunewright.planner.steps import steps_per_epoch

if TYPE_CHECKING:
    from tunewright.data.tokens import TokenRow
    from tunewright.schema.recipe import Reshuffle


class Rows:
    """Tokenised rows with what every batch needs worked out once: lengths, and where supervised tokens are predicted.

    Token t is predicted from position t - 1, so a row's first token is never a target.

    ``pool``: further rows of which every epoch takes the next ``drawn`` in turn, beginning again at its end: replay
    holds old skills better the more different rows it shows. The arrays hold the rows and then the pool.
    """

    def __init__(self, rows: Sequence[TokenRow], pool: Sequence[TokenRow] = (), drawn: int = 0) -> None:
        self.fixed, self.pool = len(rows), len(pool)
        self.drawn = drawn if pool else 0
        rows = (*rows, *pool)
        self.numbers = np.array([row.number for row in rows], dtype=np.int64)
        self.ids = [np.asarray(row.ids, dtype=np.int64) for row in rows]
        self.lengths = np.array([len(ids) for ids in self.ids], dtype=np.int64)
        # flatnonzero of the mask without its first entry gives t - 1 directly
        self.at = [np.flatnonzero(np.asarray(row.supervised)[1:]) for row in rows]
        self.targets = [ids[at + 1] for ids, at in zip(self.ids, self.at, strict=True)]
        self.supervised = np.array([len(at) for at in self.at], dtype=np.int64)

    def __len__(self) -> int:
        """Rows of one epoch."""
        return self.fixed + self.drawn

    def in_epoch(self, epoch: int, places: Indexes) -> Indexes:
        """The array indexes behind an epoch's places: the fixed rows, then this epoch's turn of the pool."""
        turn = epoch * self.drawn + places - self.fixed
        return np.where(places < self.fixed, places, self.fixed + turn % max(1, self.pool))


class Tables:
    """Rows made ready once for all jobs that hold the same ones."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int, int], tuple[Rows, object]] = {}

    def rows(self, rows: Sequence[TokenRow], pool: Sequence[TokenRow] = (), drawn: int = 0) -> Rows:
        """Those of these arguments; the same object for the same sequences."""
        key = (id(rows), id(pool), drawn)
        if key not in self._made:
            self._made[key] = Rows(rows, pool, drawn), (rows, pool)  # held, so that no other object gets their ids
        return self._made[key][0]


@dataclass(frozen=True)
class Window:
    """One slot's rows of one optimizer step, longest first."""

    rows: Rows
    indexes: Indexes

    @property
    def supervised(self) -> int:
        """Supervised tokens of the whole window: what the loss is divided by."""
        return int(self.rows.supervised[self.indexes].sum())

    @property
    def tokens(self) -> int:
        """Input tokens, pads not counted."""
        return int(self.rows.lengths[self.indexes].sum())

    @property
    def numbers(self) -> list[int]:
        """The rows' 1-based numbers in their file, ascending."""
        return sorted(self.rows.numbers[self.indexes].tolist())


@dataclass(frozen=True)
class Batch:
    """One micro-batch of all slots, rows grouped by slot. ``layout``: how rows lie end to end; None: padded."""

    ids: torch.Tensor  # [1, K*N] end to end, [K*b, T] padded
    positions: torch.Tensor | None  # of the tokens in their rows, end to end only
    layout: Layout | None
    at: torch.Tensor  # [S] indexes into the flattened ids, ascending, so grouped by slot
    targets: torch.Tensor  # [S]
    per_row: list[int]  # K*b counts of supervised positions
    per_slot: list[int]  # K such counts
    lengths_KR: list[Indexes]  # of each slot's own rows


@lru_cache(maxsize=64)
def epoch_order(seed: int, epoch: int, rows: int) -> Indexes:
    """The order of all rows in one epoch; depends on nothing else, so a longer run begins like a shorter one.

    >>> epoch_order(0, 0, 4).tolist() != epoch_order(0, 1, 4).tolist()
    True
    """
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(rows)


def step_window(rows: Rows, *, seed: int, step: int, rows_per_step: int, reshuffle: Reshuffle | None = None) -> Window:
    """The rows of optimizer step ``step`` (from 0), longest first; the last window of an epoch may be smaller."""
    epoch, within = divmod(step, steps_per_epoch(len(rows), rows_per_step))
    seed = reshuffle.seed if reshuffle is not None and epoch >= reshuffle.from_epoch else seed
    drawn = epoch_order(seed, epoch, len(rows))[within * rows_per_step : (within + 1) * rows_per_step]
    return Window(rows, by_length(rows, rows.in_epoch(epoch, drawn)))


def by_length(rows: Rows, indexes: Indexes) -> Indexes:
    """The same rows, longest first (what does not fit in memory shows at once); ties keep their order."""
    return indexes[np.argsort(-rows.lengths[indexes], kind="stable")]


def micro_batches(
    windows: Sequence[Window], micro_rows: int | Sequence[int], device: torch.device, *, longest_flat: int = 0
) -> Iterator[Batch]:
    """Cut the K slots' windows into micro-batches of at most ``micro_rows`` rows per slot (one number, or K).

    A slot is cut as it would be alone. One that has nothing left takes part with pads.
    ``longest_flat``: the longest row the model takes end to end with others, 0 for none.
    """
    size_K = [micro_rows] * len(windows) if isinstance(micro_rows, int) else list(micro_rows)
    count = max(-(-len(window.indexes) // size) for window, size in zip(windows, size_K, strict=True))
    for micro in range(count):
        parts = [
            (w.rows, w.indexes[micro * size : (micro + 1) * size]) for w, size in zip(windows, size_K, strict=True)
        ]
        yield collate(parts, device, longest_flat=longest_flat)


def collate(parts: Sequence[tuple[Rows, Indexes]], device: torch.device, *, longest_flat: int = 0) -> Batch:
    """Lay the slots' rows out: end to end if none is longer than ``longest_flat``, else as one padded block.

    A slot with fewer rows or tokens than its neighbours is filled up with pads, which predict nothing.
    """
    lengths_KR = [rows.lengths[indexes] for rows, indexes in parts]
    b = max(len(lengths) for lengths in lengths_KR)
    T = max(int(lengths.max(initial=1)) for lengths in lengths_KR)
    N = max(1, *(int(lengths.sum()) for lengths in lengths_KR))
    flat = longest_flat >= T
    shape = (1, len(parts) * N) if flat else (len(parts) * b, T)
    ids = np.zeros(shape, dtype=np.int64)  # pad id 0: any id will do, nothing looks at it
    tokens = ids.reshape(-1)
    at: list[Indexes] = []
    targets: list[Indexes] = []
    per_row = [0] * (len(parts) * b)
    for slot, (rows, indexes) in enumerate(parts):
        start = slot * N
        for place, index in enumerate(indexes.tolist(), start=slot * b):
            start = start if flat else place * T
            tokens[start : start + rows.lengths[index]] = rows.ids[index]
            at.append(rows.at[index] + start)
            targets.append(rows.targets[index])
            per_row[place] = len(rows.at[index])
            start += int(rows.lengths[index])
    return Batch(
        ids=on_device(ids, device),
        positions=on_device(_positions(lengths_KR, N), device) if flat else None,
        layout=lay_out(lengths_KR, device) if flat else None,
        at=on_device(np.concatenate(at), device),
        targets=on_device(np.concatenate(targets), device),
        per_row=per_row,
        per_slot=[sum(per_row[slot * b : (slot + 1) * b]) for slot in range(len(parts))],
        lengths_KR=lengths_KR,
    )


def _positions(lengths_KR: Sequence[Indexes], N: int) -> Indexes:
    """[1, K*N]: where each token stands in its row."""
    positions_KN = np.zeros((len(lengths_KR), N), dtype=np.int64)
    for positions, lengths in zip(positions_KN, lengths_KR, strict=True):
        own = int(lengths.sum())
        positions[:own] = np.arange(own) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return positions_KN.reshape(1, -1)
